"""Explanations differ between incidents, and lead to the rows that they speak of."""

import json
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.quality.explanations import follow, sameness, tokens
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content


@cache
def labelled(name: ScenarioName, language: str = "en") -> pd.DataFrame:
    """A labelled shard of 1,500 rows, 240 of them fraud, in the order of its file."""
    asked = content(scenarios=[name], count=1_500, fraud_ratio=0.16, language=language)
    identifiers = Identifiers(
        "salt", content_sha=asked.content_sha, seed=asked.seed, population_seed=asked.population_seed, scenario=name
    )
    simulated = simulate(asked, name, CASES[name])
    batches = list(clean(simulated, asked, identifiers))
    rows = RowStream(batches[0].schema, lambda: iter(batches))
    shard = label(rows, CASES[name], asked, name, identifiers)
    assert shard.problems == []
    return pa.Table.from_batches(list(shard.rows)).unify_dictionaries().to_pandas()


def _lapse(microseconds: int) -> dict[str, Any]:
    """A duration as the docs state it: rounded down, in the largest unit of which there are at least two."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if microseconds >= 2 * length * 1_000_000:
            return {"value": microseconds // (length * 1_000_000), "unit": unit}
    return {"value": microseconds // 1_000_000, "unit": "seconds"}


def _given(how: str, rows: pd.DataFrame, this: pd.Series) -> Any:
    """The number that comes of followed rows."""
    if how == "count":
        return len(rows)
    if how.startswith("distinct "):
        return rows[how.removeprefix("distinct ")].nunique()
    if how == "sum of amount":
        return pytest.approx(rows["amount"].sum())
    if how == "largest amount":
        return rows["amount"].max() if len(rows) else 0.0
    one = rows.iloc[0 if "first" in how else -1]
    if how.endswith(" amount"):
        return one["amount"]
    return _lapse((this["event_time"] - one["event_time"]) // pd.Timedelta(1, "us"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_explanation_leads_to_the_very_rows_it_speaks_of(name: ScenarioName) -> None:
    """Guards the reader: of ten fraud rows, every number comes of the rows that the evidence leads to."""
    rows = labelled(name)
    for _, row in rows[rows["is_fraud"]].sample(10, random_state=4).iterrows():
        evidence = json.loads(row["evidence"])
        cited = follow(row, rows)
        assert cited.columns[0] == "cited_as"
        assert set(cited["cited_as"]) <= {"this", *evidence["rows"]}
        assert set(cited["incident_id"]) == {row["incident_id"]}
        this = cited[cited["cited_as"] == "this"]
        assert this["transaction_id"].tolist() == [row["transaction_id"]]
        assert this["amount"].tolist() == [evidence["amount"]]
        for cited_as, citation in evidence["rows"].items():
            found = cited[cited["cited_as"] == cited_as]
            assert len(found) == citation["count"]
            assert found["event_time"].is_monotonic_increasing
            assert set(citation["transactions"]) <= set(found["transaction_id"])
            assert len(citation["transactions"]) == min(len(found), 8) or len(found) > 8
            if citation["span"] != "whole":
                assert (found["event_time"] <= row["event_time"]).all()
            for number, how in citation["gives"].items():
                assert evidence[number] == _given(how, found, row), (number, how)


def test_a_row_that_cannot_be_followed_is_refused() -> None:
    """Guards against an empty answer where nothing was asked: an honest row, a row of another shard."""
    rows = labelled("card_testing")
    with pytest.raises(ExplanationError, match="only fraud rows"):
        follow(rows[~rows["is_fraud"]].iloc[0], rows)
    with pytest.raises(ExplanationError, match="0 times among the rows"):
        follow(rows[rows["is_fraud"]].iloc[0], labelled("phishing"))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_incidents_are_told_in_different_words(language: str) -> None:
    """Guards variety: of all scenarios and within each, at most 2 % of pairs are alike, numbers left out or not."""
    shards = [labelled(name, language) for name in SCENARIOS]
    for rows in (*shards, pd.concat(shards)):
        measured = sameness(rows, seed=1)
        assert measured.pairs > 10_000
        assert measured.alike <= 0.02
        assert measured.alike_words <= 0.02


def test_tokens_are_words_and_numbers() -> None:
    """Guards the measure: marks of thousands belong to the number, an apostrophe parts words, case does not count."""
    assert tokens("L'achat de 1\u202f234,50 EUR, N7; 1,234.50 %") == {
        "l", "achat", "de", "1\u202f234,50", "eur", "n", "7", "1,234.50",
    }  # fmt: skip


def test_sameness_counted_by_hand() -> None:
    """Guards the measure: pairs of one incident do not count, 9 shared tokens of 10 are alike, 8 of 10 are not."""
    nine = "a b c d e f g h i"
    rows = pd.DataFrame(
        {
            "explanation": [nine, nine, f"{nine} j", "a b c d e f g h x", f"{nine} 5", None],
            "incident_id": ["one", "one", "two", "three", "four", "five"],
        }
    )
    measured = sameness(rows, seed=1)
    assert (measured.sampled, measured.pairs) == (5, 9)
    # both rows of "one" with "two" and with "four"; by words alone "two" with "four" too, of which all is 9 of 10
    assert measured.alike == pytest.approx(4 / 9)
    assert measured.alike_words == pytest.approx(5 / 9)
    assert sameness(rows.iloc[:2], seed=1).alike == 0.0


def test_the_sample_is_drawn_by_the_seed() -> None:
    """Guards the figure of a large batch: the same seed draws the same rows, and no more than asked for."""
    rows = pd.concat([labelled(name) for name in SCENARIOS], ignore_index=True)
    one, again, other = (sameness(rows, seed, most=200) for seed in (1, 1, 2))
    assert one == again
    assert one.sampled == 200
    assert one.pairs != other.pairs
