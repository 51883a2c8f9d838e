"""One shard, simulated: exact, whole, inside its period, the same every time."""

from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.formatting import clean
from sgf_pipeline.quality.gate import judge
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import campaigns, cases_needed, shard_population, simulate
from sgf_pipeline_tests.hand_written import CASES, MULE_CHAIN, content
from sgf_pipeline_tests.scenarios import cases as played_cases

ALL = tuple(SCENARIOS)


def rows_of(asked: RequestContent, name: str, cases: list[FraudCase] | None = None) -> tuple[pd.DataFrame, dict]:
    stream = simulate(asked, name, cases or CASES[name])
    table = pa.Table.from_batches(list(stream), stream.schema)
    return table.to_pandas(), stream.facts


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(1, 3000),
    ratio=st.sampled_from([0.0, 0.004, 0.04, 0.5, 1.0]),
    hours=st.sampled_from([1, 30, 24 * 31, 24 * 365 * 3]),
    currency=st.sampled_from(["EUR", "JPY"]),
    size=st.sampled_from([None, 1, 3, 5000]),
)
def test_any_request_gives_exactly_its_rows_and_frauds_inside_its_period(name, count, ratio, hours, currency, size):
    """Guards exactness: odd counts, tiny and huge populations, an hour to three years, no minor unit."""
    start = pd.Timestamp("2025-03-01", tz="UTC")
    end = start + pd.Timedelta(hours, "h") - pd.Timedelta(1, "s")
    asked = content(
        count=count, fraud_ratio=ratio, scenarios=[name], currency=currency, population_size=size, countries=["FR"],
        start_date=start.isoformat(), end_date=end.isoformat(),
    )  # fmt: skip
    rows, _ = rows_of(asked, name)
    assert len(rows) == count
    assert int(rows["is_fraud"].sum()) == asked.fraudulent
    assert rows["time"].between(start, end + pd.Timedelta(999_999, "us")).all()
    assert (rows["amount"] >= 0).all()
    assert list(rows["row"]) == list(range(count))
    linked = rows["linked_row"].dropna().astype(int)
    assert linked.between(0, count - 1).all()


@pytest.mark.parametrize("name", ALL)
def test_the_same_content_and_cases_give_the_same_rows(name):
    """Guards against any hidden state: a second simulation in the same process must not differ."""
    one, _ = rows_of(content(scenarios=[name]), name)
    other, _ = rows_of(content(scenarios=[name]), name)
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("name", ALL)
def test_another_seed_changes_what_happens_and_another_population_seed_changes_who(name):
    """Guards against a seed that moves nothing, and against customers that change with every batch of a tenant."""
    seeds = ({"population_seed": 1}, {"population_seed": 1, "seed": 99}, {"population_seed": 2})
    base, reseeded, moved = (content(scenarios=[name], **seed) for seed in seeds)
    rows, other_rows = rows_of(base, name)[0], rows_of(reseeded, name)[0]
    assert not np.array_equal(rows["amount"], other_rows["amount"])
    assert not np.array_equal(rows["time"], other_rows["time"])
    who, same, others = (shard_population(asked, name) for asked in (base, reseeded, moved))
    assert np.array_equal(who.habit, same.habit)
    assert np.array_equal(who.city, same.city)
    assert not np.array_equal(who.habit, others.habit)


@pytest.mark.parametrize("name", ALL)
def test_fraud_lies_in_every_tenth_of_the_period(name):
    """Guards against frauds of one day: with 50 incidents or more every tenth of the period has some."""
    rows, facts = rows_of(content(count=20_000, scenarios=[name]), name)
    assert facts["incidents"] >= 50
    times = rows.loc[rows["is_fraud"], "time"]
    start, end = pd.Timestamp("2025-01-01", tz="UTC"), pd.Timestamp("2025-02-01", tz="UTC")
    tenths = ((times - start) / (end - start) * 10).astype(int)
    assert sorted(tenths.unique()) == list(range(10))


@pytest.mark.parametrize("hours", [1, 6, 24])
@pytest.mark.parametrize("name", ALL)
def test_incidents_of_a_short_period_do_not_pile_up_at_its_bounds(name: str, hours: int) -> None:
    """Guards the row order and the microseconds: a start moved to a bound would tell fraud by its time alone."""
    start = pd.Timestamp("2025-01-01T20:00", tz="UTC")
    end = start + pd.Timedelta(hours, "h")
    rows, facts = rows_of(
        content(
            count=8_000, fraud_ratio=0.1, scenarios=[name], seed=3, difficulty=0.5,
            start_date=start.isoformat(), end_date=end.isoformat(),
        ),
        name,
    )  # fmt: skip
    fraud = rows[rows["is_fraud"]]
    begins = fraud.groupby("incident")["time"].min()
    assert facts["incidents"] >= 10
    assert begins.is_unique
    assert fraud.groupby("time")["incident"].nunique().max() == 1
    bounds = begins.isin([start, end, end + pd.Timedelta(999_999, "us"), start + (end - start) * 0.05])
    assert not bounds.any()
    # One in a thousand has no digit below the millisecond, by chance.
    plain = rows["time"].dt.microsecond % 1000 == 0
    assert plain[rows["is_fraud"]].sum() <= 5
    assert plain[~rows["is_fraud"]].mean() < 0.005


def days(first: str, last: str) -> tuple[int, int]:
    """The microseconds at which two days begin."""
    start, end = (pd.Timestamp(day, tz="UTC").value // 1000 for day in (first, last))
    return start, end


def test_campaigns_come_and_go_and_differ_in_size() -> None:
    """Guards against fraud that trickles evenly: a gang's incidents lie close together, and gangs differ."""
    start, end = days("2025-01-01", "2025-03-02")
    found = list(islice(campaigns(1, 1, "phishing", start, end), 60))
    spans = [max(one.starts_us) - min(one.starts_us) for one in found if len(one.starts_us) > 1]
    assert max(spans) < (end - start) / 5
    assert np.median(spans) > 8 * 3_600_000_000
    sizes = [len(one.starts_us) for one in found]
    assert len(set(sizes)) >= 5
    assert 0.25 < np.mean(np.array(sizes) == 1) < 0.75
    assert all(start <= moment < end for one in found for moment in one.starts_us)
    for n in (15, 30, 60):
        tenths = {int((one.starts_us[0] - start) / (end - start) * 10) for one in found[:n]}
        assert tenths == set(range(10))


def test_gangs_live_on_from_night_to_night_and_are_gone_after_months() -> None:
    """Guards drift: what a gang likes and shares is decided by population seed and date, not by the batch's seed."""

    def shared(one: int, other: int, population_seed: int = 1) -> float:
        nights = []
        for seed, night in ((one, one), (other + 1000, other)):
            start = pd.Timestamp("2025-01-01", tz="UTC").value // 1000 + night * 86_400_000_000
            gangs = islice(campaigns(seed, population_seed, "phishing", start, start + 86_399_000_000), 30)
            nights.append([(gang.likes, gang.rng().integers(0, 1 << 40)) for gang in gangs])
        return float(np.mean([a == b for a, b in zip(*nights, strict=True)]))

    next_night, next_week, later = (np.mean([shared(night, night + gap) for night in range(6)]) for gap in (1, 7, 60))
    assert next_night > 0.85
    assert next_night > next_week > later
    assert later < 0.1


def test_the_mix_of_vectors_drifts_with_the_calendar() -> None:
    """Guards nightly batches of one population: last night's mix of vectors is nearer than that of months ago."""
    name = "phishing"
    every = [played_cases.phishing(vector) for vector in SCENARIOS[name].vectors] * 2

    def mix(night: int) -> np.ndarray:
        day = pd.Timestamp("2025-01-01", tz="UTC") + pd.Timedelta(night, "D")
        asked = content(
            scenarios=[name], count=1200, fraud_ratio=0.1, seed=night, population_seed=5, population_size=500,
            start_date=day.isoformat(), end_date=(day + pd.Timedelta(86_399, "s")).isoformat(),
        )  # fmt: skip
        rows, _ = rows_of(asked, name, every)
        counted = rows[rows["is_fraud"]].groupby("case")["incident"].nunique()
        by_vector = np.bincount(counted.index.to_numpy().astype(int) % 9, weights=counted.to_numpy(), minlength=9)
        return np.asarray(by_vector / by_vector.sum())

    first, next_nights, later = ([mix(night + gap) for night in range(0, 10, 2)] for gap in (0, 1, 75))
    near = np.mean([np.abs(a - b).sum() for a, b in zip(first, next_nights, strict=True)])
    far = np.mean([np.abs(a - b).sum() for a, b in zip(first, later, strict=True)])
    assert near < 0.8 * far


def test_no_case_is_left_behind() -> None:
    """Guards the fairness of the draw: fashion may favour a case by two plays, never forget another."""
    name = "phishing"
    every = [played_cases.phishing(vector) for vector in SCENARIOS[name].vectors]
    rows, facts = rows_of(content(scenarios=[name], count=8_000, fraud_ratio=0.1), name, every)
    plays = rows.loc[rows["case"] >= 0].groupby("case")["incident"].nunique()
    assert facts["plays_of_one_case"] == plays.max()
    assert set(plays.index) == set(range(9))
    assert plays.max() - plays.min() <= 2


def test_a_shortened_incident_is_counted_and_leaves_no_half_transfer():
    """Guards against a debit leg inside the bank whose credit leg fell away when the count was reached."""
    for frauds in range(1, 40):
        asked = content(count=frauds, fraud_ratio=1, scenarios=["money_laundering"])
        rows, facts = rows_of(asked, "money_laundering", [MULE_CHAIN])
        transfers = rows[rows["transaction_type"] == "transfer"]
        own = set(rows["account"])
        inside = transfers[transfers["counterparty"].isin(own) & (transfers["direction"] == "debit")]
        credited = set(rows["linked_row"].dropna().astype(int))
        assert set(inside["row"]) <= credited, frauds
        assert facts["shortened_incidents"] <= 1


def test_a_period_shorter_than_the_case_is_cut_and_said_so():
    """Guards against steps outside the period being exported, and against a silent variant."""
    asked = content(end_date="2025-01-01T05:59:59Z", count=500)
    rows, facts = rows_of(asked, "money_laundering")
    assert facts["cut_incidents"] > 0
    assert rows["time"].max() < pd.Timestamp("2025-01-01T06:00:00Z")


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_gate_holds_for_any_request(data):
    """Guards all seven plays at once: any subset, size, ratio, currency and period passes the gate, whole."""
    names = data.draw(st.lists(st.sampled_from(ALL), min_size=1, unique=True), "scenarios")
    hours = data.draw(st.sampled_from([1, 26, 24 * 10, 24 * 31, 24 * 365 * 3]), "hours")
    end = pd.Timestamp("2025-03-01", tz="UTC") + pd.Timedelta(hours, "h") - pd.Timedelta(1, "s")
    asked = content(
        count=data.draw(st.integers(1, 20_000), "count"),
        fraud_ratio=data.draw(st.decimals(0, 1, places=3).map(float), "ratio"),
        scenarios=names,
        currency=data.draw(st.sampled_from(["EUR", "JPY", "KWD", "KRW"]), "currency"),
        start_date="2025-03-01",
        end_date=end.isoformat(),
    )
    for name in asked.shard_counts():
        ids = Identifiers("s", content_sha="c", seed=asked.seed, population_seed=asked.population_seed, scenario=name)
        verdict = judge(clean(simulate(asked, name, CASES[name]), asked, ids), asked, name)
        assert verdict.passed, (name, verdict.checks)


def test_frauds_without_a_case_are_an_error_and_no_frauds_need_none():
    """Guards against a pipeline that makes up frauds without the model."""
    with pytest.raises(ModelError, match="holds no case"):
        list(simulate(content(), "card_testing", []))
    assert sum(batch.num_rows for batch in simulate(content(fraud_ratio=0), "card_testing", [])) == 2_000


def test_an_empty_shard_is_no_rows():
    """Guards against a request of one row that fails in the shard that gets none."""
    asked = content(count=1, fraud_ratio=0)
    sizes = [
        sum(batch.num_rows for batch in simulate(asked, name, [])) for name in ("card_testing", "money_laundering")
    ]
    assert sizes == [1, 0]


def test_cases_grow_slower_than_frauds():
    """Guards the cost of the model: cases are asked for by incidents, never by rows."""
    needed = [cases_needed("card_testing", frauds) for frauds in (0, 1, 1_000, 100_000, 10_000_000)]
    assert needed[:2] == [0, 1]
    assert needed == sorted(needed)
    assert needed[4] < 10 * needed[3] + 1
