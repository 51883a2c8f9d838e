"""A user's own vectors: checked and played by the rules of a known one, labelled by their own name."""

import json

import pyarrow as pa
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content
from sgf_pipeline_tests.own_fraud import VECTOR, own_cases

OWN = [FraudCase.model_validate_json(json.dumps(case)) for case in own_cases(12)]


def labelled(name: ScenarioName, cases: list[FraudCase], **changes: float) -> pa.Table:
    asked = content(**{"count": 500, "scenarios": [name], **changes})
    identifiers = Identifiers("salt", content_sha=asked.content_sha, seed=1, population_seed=1, scenario=name)
    done = label(clean(simulate(asked, name, cases), asked, identifiers), cases, asked, name, identifiers)
    table = pa.Table.from_batches(list(done.rows))
    assert done.problems == []
    return table


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("place", [0, -1])
def test_an_own_vector_is_played_as_the_known_one_and_labelled_as_itself(name: ScenarioName, place: int) -> None:
    """Guards against a play or a sentence that looks up a vector it cannot know, and against a label that hides what
    was taught. But for the names of vector and case the rows are those of the known vector."""
    case = CASES[name][place]
    own = labelled(name, [case.model_copy(update={"vector": f"{case.vector}__own"})])
    known = labelled(name, [case])
    for table, vector in ((own, f"{case.vector}__own"), (known, case.vector)):
        assert set(table.column("vector").to_pylist()) == {None, vector}
    same = [column for column in own.column_names if column not in ("vector", "case_id")]
    assert own.select(same).to_pylist() == known.select(same).to_pylist()


def test_the_rules_of_the_known_vector_hold() -> None:
    """Guards against an own vector as a way around the constraints."""
    table = SCENARIOS["phishing"]
    assert [table.violations(case) for case in OWN] == [[]] * len(OWN)
    stolen = OWN[0].model_copy(update={"vector": "smishing_credentials__own"})
    assert any("smishing_credentials uses stolen credentials" in one for one in table.violations(stolen))
    assert any("not one of" in one for one in table.violations(OWN[0].model_copy(update={"vector": "arson__own"})))


def test_a_shard_of_own_cases_alone_is_built() -> None:
    """Guards against gangs that like none of the vectors that there are."""
    vectors = {vector for vector in labelled("phishing", OWN).column("vector").to_pylist() if vector}
    assert vectors == {VECTOR}


def test_what_was_taught_has_its_share_of_the_incidents() -> None:
    """Guards against gangs that choose among known vectors: two thirds of the cases were a third of the fraud."""
    cases = [*OWN, *[case for case in CASES["phishing"] if case.vector != "bank_impersonation"][:6]]
    rows = labelled("phishing", cases, count=1000, fraud_ratio=0.4).to_pandas()
    incidents = rows[rows["is_fraud"]].drop_duplicates("incident_id")["vector"]
    assert len(incidents) > len(cases)
    assert (incidents == VECTOR).mean() >= 0.55
