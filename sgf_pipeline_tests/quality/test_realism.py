"""Each statistic must give the known answer, and a batch that is unreal in one respect must be seen to be."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.formatting import clean
from sgf_pipeline.quality import realism
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

SCENARIOS = ["card_testing", "money_laundering"]


def asked(**changes: object) -> RequestContent:
    return content(**{"count": 50_000, "scenarios": SCENARIOS, "fraud_ratio": 0.04, **changes})


def batch(request: RequestContent) -> pd.DataFrame:
    """The clean rows of all shards, through the door that the command uses."""
    shards = []
    for name in request.scenarios:
        ids = Identifiers("s", content_sha="c", seed=1, population_seed=1, scenario=name)
        shards.append((name, list(clean(simulate(request, name, CASES[name]), request, ids))))
    return realism.collect(shards, request)


def values(rows: pd.DataFrame, request: RequestContent) -> dict[str, float | None]:
    return {line.name: line.value for line in realism.measure(rows, request, replicates=0)}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return batch(asked())


@pytest.fixture(scope="module")
def usual(rows) -> dict[str, float | None]:
    return values(rows, asked())


def test_first_digits_of_even_logarithms_follow_benford_and_even_amounts_do_not():
    """Guards the first digit: of amounts below one unit, of exact powers of ten, of any currency."""
    even_logs = 10.0 ** np.linspace(-1, 4, 50_000, endpoint=False)
    assert realism.benford_mad(np.round(even_logs, 3)) < 0.002
    assert realism.benford_mad(np.arange(1000, 10_000)) > 0.05
    by_hand = np.abs(np.array([1 / 3, 0, 0, 0, 0, 0, 1 / 3, 0, 1 / 3]) - realism.BENFORD).mean()
    assert realism.benford_mad([0.1, 70, 900, 0]) == pytest.approx(by_hand)


@pytest.mark.parametrize(("unit", "whole", "ninety_nine"), [(100, 1200, 1299), (1000, 12_000, 12_990)])
def test_endings_are_those_of_the_currencys_round_amount(unit, whole, ninety_nine):
    """Guards endings where money has no minor unit: 12,000 won is a whole amount, 12,990 ends like 12.99."""
    minor = [whole, whole, ninety_nine, whole + 3, 0]
    assert realism.ending_share(minor, unit, 0) == 0.5
    assert realism.ending_share(minor, unit, 99) == 0.25


def test_spread_and_skew_are_those_of_the_logarithm():
    """Guards against measuring amounts instead of their logarithms."""
    sigma, skew = realism.log_spread(np.exp(rng(1).normal(3, 1.3, 50_000)))
    assert sigma == pytest.approx(1.3, abs=0.02)
    assert skew == pytest.approx(0, abs=0.04)
    assert realism.log_spread(rng(1).gamma(1, 1, 50_000))[1] < -0.5


def test_merchants_of_known_popularity():
    """Guards slope and share of the top: visits that fall as 1 / rank, and merchants that are all alike."""
    visits = np.repeat(np.arange(2000), (20_000 / np.arange(1, 2001)).astype(int))
    assert realism.zipf_slope(visits) == pytest.approx(-1, abs=0.02)
    assert realism.top_share(visits) == pytest.approx(sum(20_000 // n for n in range(1, 21)) / len(visits))
    alike = np.repeat(np.arange(2000), 10)
    assert realism.zipf_slope(alike) == pytest.approx(0)
    assert realism.top_share(alike) == 0.01


def test_repeats_within_a_card():
    """Guards loyalty and natural repeats against counting first visits, or another card's."""
    cards, shops = ["a", "a", "a", "b"], ["x", "x", "y", "x"]
    assert realism.repeat_merchant_share(cards, shops) == 0.25
    assert realism.exact_repeats(cards, [1, 1, 1, 1], shops, [5, 5, 5, 5]) == 0.25
    assert realism.exact_repeats(cards, [1, 2, 1, 1], shops, [5, 5, 5, 5]) == 0


def test_between_card_share_is_not_inflated_by_few_rows_a_card():
    """Guards the correction: cards without habits of their own differ by chance alone, which is not a habit."""
    card = np.repeat(np.arange(300), 30)
    noise = rng(2).normal(0, 1, len(card))
    assert realism.between_card_share(card, np.exp(noise)) < 0.01
    habits = rng(3).normal(0, 0.5, 300)[card]
    assert realism.between_card_share(card, np.exp(noise + habits)) == pytest.approx(0.2, abs=0.04)


def test_lag_1_sees_memory_within_a_card_and_nothing_else():
    """Guards against correlation that comes from the cards' own levels, or runs over from card to card."""
    generator = rng(4)
    chains = generator.normal(0, 1, (200, 200))
    for column in range(1, 200):
        chains[:, column] += 0.3 * chains[:, column - 1]
    levels = generator.normal(0, 3, (200, 1))
    card = np.repeat(np.arange(200), 200)
    assert realism.lag_1(card, np.exp((chains + levels).ravel())) == pytest.approx(0.3, abs=0.03)
    shuffled = generator.permuted(chains, axis=1) + levels
    assert realism.lag_1(card, np.exp(shuffled.ravel())) == pytest.approx(0, abs=0.03)


def test_gaps_of_known_rhythm():
    """Guards sign and size of burstiness and memory: a clock, chance, and quiet weeks that follow quiet weeks."""
    card = np.repeat(np.arange(20), 400)
    clock = np.tile(np.arange(400) * 2, 20)
    assert realism.burstiness_and_memory(card, clock)[0] == pytest.approx(-1)
    chance = np.cumsum(rng(5).exponential(20, (20, 400)), axis=1).astype(int).ravel()
    burst, memory = realism.burstiness_and_memory(card, chance)
    assert burst == pytest.approx(0, abs=0.04)
    assert memory == pytest.approx(0, abs=0.04)
    seasons = np.cumsum(np.tile(np.repeat([1, 9], 50), (20, 4)), axis=1).ravel()
    assert realism.burstiness_and_memory(card, seasons)[1] > 0.9


def test_nothing_is_said_about_fewer_than_ten_busy_cards():
    """Guards against figures that are about three cards."""
    card = np.repeat(np.arange(9), 50)
    assert realism.between_card_share(card, np.ones(len(card))) is None
    assert realism.lag_1(card, np.ones(len(card))) is None
    assert realism.burstiness_and_memory(card, np.arange(len(card))) is None


def test_hours_of_known_shape():
    """Guards the clock's figures: even hours, one hour only, and an hour in which nothing happens."""
    even = np.tile(np.arange(24), 10)
    assert (realism.hour_entropy(even), realism.peak_to_trough(even)) == (pytest.approx(1), 1)
    assert (realism.hour_entropy([12] * 30), realism.peak_to_trough([12] * 30)) == (0, 30)


def test_every_line_is_measured_and_the_same_whatever_the_order_of_rows(rows, usual):
    """Guards determinism, and lines that silently measure nothing."""
    again = values(rows.sample(frac=1, random_state=1), asked())
    ordered = {"lag_1"}  # rows of one moment on one card may change places
    assert {name for name, value in usual.items() if value is None} <= {"empty_tenths"}
    assert {n: v for n, v in again.items() if n not in ordered} == {n: v for n, v in usual.items() if n not in ordered}
    assert again["lag_1"] == pytest.approx(usual["lag_1"], abs=0.002)


def test_exported_rows_measure_as_clean_rows_do(rows, usual):
    """Guards the manifest's use: exported shards name incidents by ``incident_id``, and are read from Parquet."""
    exported = rows.assign(
        incident_id="inc_" + rows["shard"].astype(str) + rows["incident"].astype("Int64").astype(str)
    )
    exported.loc[rows["incident"].isna(), "incident_id"] = None
    table = pa.Table.from_pandas(exported[[*realism.COLUMNS, "shard"]], preserve_index=False)
    assert values(table.to_pandas(), asked()) == usual


@pytest.mark.parametrize(
    ("line", "unreal"),
    [
        ("zipf_slope", lambda f: f.assign(merchant_id=np.arange(len(f)) % 900)),
        ("top_merchants", lambda f: f.assign(merchant_id=np.arange(len(f)) % 900)),
        ("repeat_merchant", lambda f: f.assign(merchant_id=np.arange(len(f)))),
        ("whole", lambda f: f.assign(amount=f["amount"].round(0) + 0.37)),
        ("ending_99_all", lambda f: f.assign(amount=f["amount"].round(0) + 0.37)),
        ("benford", lambda f: f.assign(amount=100 + f["amount"] % 900)),
        ("sigma_ln", lambda f: f.assign(amount=20.0)),
        ("between_cards", lambda f: f.assign(amount=np.exp(rng(6).normal(3, 1, len(f))))),
        ("lag_1", lambda f: f.assign(amount=np.exp(rng(6).normal(3, 1, len(f))))),
        ("rows_a_card", lambda f: f.assign(card_id=np.arange(len(f)) % 2000)),
        ("exact_repeats", lambda f: f.assign(amount=np.arange(len(f)) / 100)),
        ("hour_entropy", lambda f: f.assign(event_time=f["event_time"].dt.floor("D") + pd.Timedelta(hours=12))),
        ("peak_to_trough", lambda f: f.assign(event_time=pd.date_range("2025-01-01", "2025-01-31", len(f), tz="UTC"))),
        ("declines", lambda f: f.assign(response_code="00")),
        ("refunds", lambda f: f[f["transaction_type"] != "refund"]),
        ("tiny", lambda f: f.assign(amount=f["amount"] + 3)),
        ("tiny_declined", lambda f: f.assign(response_code="00")),
        ("hard_negatives", lambda f: f.assign(hard_negative=None)),
        ("tests_approved", lambda f: f.assign(response_code="05")),
        ("tests_one", lambda f: f.assign(amount=1.0)),
        ("tests_zero", lambda f: f.assign(amount=0.5)),
        ("fraud_days", lambda f: f[~f["is_fraud"] | (f["event_time"].dt.day == 9)]),
    ],
)
def test_a_batch_that_is_unreal_in_one_respect_is_out_of_that_goal(rows, line, unreal):
    """Guards each line against letting through the very thing it is there for."""
    found = {one.name: one for one in realism.measure(unreal(rows), asked(), replicates=0)}
    assert not found[line].in_goal


def test_fraud_that_pauses_for_a_tenth_of_the_period_is_seen(rows):
    """Guards the spread of fraud over the period, which is judged where a shard has fifty incidents."""
    many = rows.assign(incident=np.where(rows["is_fraud"], np.arange(len(rows)), np.nan))
    assert values(many, asked())["empty_tenths"] == 0
    paused = many[~many["is_fraud"] | ~many["event_time"].dt.day.isin([7, 8, 9, 10, 11])]
    assert values(paused, asked())["empty_tenths"] >= 1


def test_hours_are_those_of_the_customers_home():
    """Guards against UTC hours, and the hours of a shop abroad: everybody pays at noon of where he lives."""
    purchase = {
        "card_id": "k", "transaction_type": "purchase", "amount": 5.0, "channel": "pos", "response_code": "00",
        "merchant_id": "m", "is_fraud": False, "incident_id": None, "hard_negative": None, "shard": "phishing",
    }  # fmt: skip
    tokyo = {"merchant_country": "JP", "merchant_city": "Tokyo", "event_time": pd.Timestamp("2025-01-10T03:30:00Z")}
    new_york = {
        "merchant_country": "US", "merchant_city": "New York City", "event_time": pd.Timestamp("2025-01-10T17:30:00Z")
    }  # fmt: skip
    at_home = [{**purchase, **where, "customer_id": who} for who, where in (("a", tokyo), ("b", new_york))] * 1000
    abroad = [{**purchase, **new_york, "event_time": tokyo["event_time"], "customer_id": "a"}] * 300
    request = asked(countries=["JP"])
    assert values(pd.DataFrame(at_home + abroad), request)["hour_entropy"] == 0
    moved = pd.DataFrame(at_home + abroad).assign(merchant_country="JP", merchant_city="Tokyo")
    assert values(moved, request)["hour_entropy"] > 0.1


def test_a_small_batch_has_wider_goals_and_a_tiny_one_none(rows):
    """Guards small batches against goals that chance alone misses, and large ones against being forgiven."""
    few = rows[rows["customer_id"].isin(sorted(rows["customer_id"].unique())[:500])]
    widened = realism.measure(few, asked(count=10_000), replicates=20)
    assert widened == realism.measure(few, asked(count=10_000), replicates=20)
    spread = {line.name: line.margin for line in widened}
    assert 0.002 < spread["whole"] < 0.05
    assert 0.005 < spread["repeat_merchant"] < 0.1
    assert spread["exact_repeats"] < 0.006  # a customer drawn twice does not repeat himself
    assert {line.name for line in realism.measure(rows, asked()) if line.margin} == set(realism.TEST_LINES)
    tiny = realism.measure(few, asked(count=1_000))
    assert not any(line.judged for line in tiny)
    assert all(line.in_goal for line in tiny)


def test_a_refused_purchase_is_no_settled_one(rows):
    """Guards like for like: card data hold what was paid, and a refused payment is often tried again."""
    refused = values(rows.assign(response_code="51"), asked())
    assert refused["repeat_merchant"] is None
    assert refused["whole"] is None
    assert refused["whole_all"] is not None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "few",
    [
        lambda f: f[f["is_fraud"]],
        lambda f: f[~f["is_fraud"]],
        lambda f: f[~f["is_fraud"]].head(1),
        lambda f: f[f["card_id"].isna()],
        lambda f: f[f["amount"] == 0],
    ],
    ids=["all fraud", "no fraud", "one row", "no cards", "no money"],
)
def test_a_batch_that_lacks_something_is_measured_as_far_as_it_goes(rows, few):
    """Guards odd but legal requests, of which the manifest measures every one, against errors and NaN."""
    lines = realism.measure(few(rows), asked(count=10_000), replicates=2)
    assert [line.name for line in lines] == [line.name for line in realism.LINES]
    assert all(line.value is None or np.isfinite(line.value) for line in lines)


def test_a_short_period_is_not_judged_by_the_length_of_its_log(rows):
    """Guards nightly batches of one day, in which no card can be loyal to anybody."""
    day = asked(start_date="2025-01-01T00:00:00Z", end_date="2025-01-01T23:59:59Z")
    lines = {line.name: line for line in realism.measure(rows, day)}
    assert not any(lines[name].judged for name in realism.LOG_LINES)
    assert lines["whole"].judged


@pytest.mark.parametrize(
    ("changes", "unjudged", "why"),
    [
        ({"end_date": "2025-12-31T23:59:59Z"}, realism.LONG_LINES, "longer than 120 days"),
        ({"end_date": "2025-01-02T23:59:59Z"}, realism.DAY_LINES, "shorter than 3 days"),
        ({"fraud_ratio": 0.3}, realism.MIX_LINES, "more than 20%"),
        ({"hard_negative_share": 0.1}, realism.MIX_LINES, "more than 5%"),
    ],
)
def test_a_line_is_not_judged_where_the_request_rules_its_goal_out(rows, changes, unjudged, why):
    """Guards odd but legal requests against goals they cannot meet, and verdicts without a reason."""
    lines = {line.name: line for line in realism.measure(rows, asked(**changes), replicates=0)}
    for name in unjudged:
        assert not lines[name].judged
        assert why in lines[name].unjudged
    assert lines["whole"].judged
    assert all(bool(line.unjudged) != line.judged for line in lines.values())
    assert {line.name for line in realism.measure(rows, asked(), replicates=0) if line.unjudged} <= {"empty_tenths"}


@pytest.mark.parametrize(("currency", "bound"), [("EUR", 2.0), ("JPY", 200.0), ("KWD", 0.66)])
def test_what_is_tiny_follows_the_price_level(rows, currency, bound):
    """Guards the dinar of Kuwait, of which two buy what six euros do, against a fifth of all rows that are tiny."""
    request = asked(currency=currency, countries=["FR"])
    just = {"amount": np.where(np.arange(len(rows)) % 2, bound, bound * 1.1)}
    honest = rows.assign(**just, is_fraud=False)
    assert values(honest, request)["tiny"] == pytest.approx(0.5, abs=0.001)


def test_a_huge_batch_is_measured_on_whole_customers(rows, monkeypatch):
    """Guards the sample: rows drawn one by one would take loyalty and memory from every card."""
    monkeypatch.setattr(realism, "MOST_ROWS", 25_000)
    table = pa.Table.from_pandas(rows.drop(columns="shard"), preserve_index=False)
    sample = realism.collect([("phishing", table.to_batches(7_000))], asked())
    assert 0.3 < len(sample) / len(rows) < 0.7
    kept = rows[rows["customer_id"].isin(sample["customer_id"].unique())]
    assert len(kept) == len(sample)
