"""The corpus: archetypes that are there and differ, and cases that are valid, new and in their cells."""

import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.scenarios.phishing import BY_MULE, PAYMENTS
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import Corpus, build_corpus, candidates


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(seed=4, cases_per_cell=1)


@pytest.mark.parametrize("name", SCENARIOS)
def test_archetypes_are_many_and_differ(name: ScenarioName) -> None:
    """Guards against a corpus drawn from one small grammar."""
    archetypes = BOOKS[name].archetypes
    assert len(archetypes) >= 60
    assert len({archetype.name for archetype in archetypes}) == len(archetypes)
    structures = {
        (archetype.vector, tuple((move.kind, move.channel, move.low, move.high, move.only) for move in archetype.steps))
        for archetype in archetypes
    }
    assert len(structures) == len(archetypes)
    stories = [story for archetype in archetypes for story in archetype.stories]
    assert len(set(stories)) == len(stories) >= 180


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_cell_is_reached(name: ScenarioName, corpus: Corpus) -> None:
    """Guards against cells that a batch may ask for and the model has never seen anything like."""
    matrix = set(SCENARIOS[name].matrix)
    examples = [*corpus.train[name], *corpus.held_out[name]]
    assert {example.brief for example in examples} == matrix
    assert not {e.brief for e in corpus.train[name]} & {e.brief for e in corpus.held_out[name]}
    assert 0.02 * len(matrix) < len({e.brief for e in corpus.held_out[name]}) < 0.1 * len(matrix)
    # Between one and the same few plans a cell could not vary.
    assert all(len(candidates(BOOKS[name], brief)) >= 3 for brief in matrix)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_case_is_valid_and_in_its_cell(name: ScenarioName, corpus: Corpus) -> None:
    """Guards against teaching the model what its answers are then rejected for."""
    for example in (*corpus.train[name], *corpus.held_out[name]):
        assert SCENARIOS[name].violations(example.case) == []
        assert example.case.follows(example.brief)
        assert 20 <= len(example.case.story) <= 200
        assert "{" not in example.case.story


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_cell_shows_in_the_case(name: ScenarioName, corpus: Corpus) -> None:
    """Guards against briefs that are only repeated: tempo must show in time, sophistication in means and steps."""
    cases = [example.case for example in corpus.train[name]]

    def mean(what: str, value: str, measure: str) -> float:
        chosen = [case for case in cases if getattr(case, what) == value]
        if measure == "steps":
            return sum(len(case.steps) for case in chosen) / len(chosen)
        return sum(getattr(case, measure) for case in chosen) / len(chosen)

    longest = {t: max(c.duration_minutes() for c in cases if c.tempo == t) for t in ("burst", "steady")}
    shortest = {t: min(c.duration_minutes() for c in cases if c.tempo == t) for t in ("steady", "slow")}
    assert longest["burst"] <= shortest["steady"]
    assert longest["steady"] <= shortest["slow"]
    for measure in ("devices", "addresses", "steps"):
        assert mean("sophistication", "low", measure) < mean("sophistication", "high", measure)
    assert mean("geography", "domestic", "outsiders") < mean("geography", "remote", "outsiders")
    # A case must fit a shard: about as many frauds as the scenario says, and a tail.
    rows = [_fraud_rows(case) for case in cases]
    assert abs(sum(rows) / len(rows) - SCENARIOS[name].rows_per_incident) < 3
    assert max(rows) > 30


def _fraud_rows(case: FraudCase) -> int:
    """Fraud rows of the plan: a transfer between two customers has two."""
    table = SCENARIOS[case.scenario].step_kinds
    inside = ("internal_transfer", *(PAYMENTS if any(step.kind in BY_MULE for step in case.steps) else ()))
    return sum(step.count * (2 if step.kind in inside else 1) for step in case.steps if table[step.kind].is_fraud)


def test_equal_seeds_give_equal_corpora(corpus: Corpus) -> None:
    """Guards against hidden state: a model can only be trained again if its corpus can be built again."""
    again = build_corpus(("money_laundering",), seed=4, cases_per_cell=1)
    assert again.train["money_laundering"] == corpus.train["money_laundering"]
    other = build_corpus(("money_laundering",), seed=5, cases_per_cell=1)
    assert other.train["money_laundering"] != corpus.train["money_laundering"]


def test_cases_of_a_cell_differ() -> None:
    """Guards against widening that widens nothing."""
    corpus = build_corpus(("card_testing",), seed=1, cases_per_cell=4)
    signatures = {example.case.signature() for example in corpus.train["card_testing"]}
    assert len(signatures) > 0.9 * len(corpus.train["card_testing"])


def test_a_scenario_without_archetypes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a bare KeyError for a scenario whose archetypes are still to come."""
    monkeypatch.delitem(BOOKS, "phishing")
    with pytest.raises(ModelError, match="phishing"):
        build_corpus(("phishing",), seed=0)
