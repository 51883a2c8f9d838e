"""Detectors must find what is there, nothing that is not, and never learn from what they are tested on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.quality.detectors import (
    FOLDS,
    POOLED,
    Detection,
    DifficultyTable,
    detect,
    difficulty_table,
    importances,
    junior_rules,
    row_columns,
    splits,
)

LEGITIMATE, FRAUDS, CASES = 5_000, 240, 24
VICTIMS_OF_A_CASE = 4
START = pd.Timestamp("2025-01-01", tz="UTC")


def batch(legitimate: int = LEGITIMATE, frauds: int = FRAUDS, seed: int = 1) -> pd.DataFrame:
    """One shard of card purchases; frauds differ from the rest in nothing. Victims meet more than one case."""
    deal = rng(seed, "test")
    rows = legitimate + frauds
    fraud = np.arange(rows) < frauds
    case = np.where(fraud, np.arange(rows) % CASES, -1)
    # Victims of neighbouring cases overlap, so that cases and customers are all joined.
    victim = (case * 2 + deal.integers(0, VICTIMS_OF_A_CASE, rows)) % (2 * CASES)
    customer = np.where(fraud, victim, deal.integers(0, 250, rows))
    seconds = np.sort(deal.uniform(0, 30 * 86_400, rows))[deal.permutation(rows)]
    nothing = pd.Series([None] * rows, dtype=object)

    def named(prefix: str, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pd.Categorical:
        return pd.Categorical([f"{prefix}{number}" for number in numbers])

    return pd.DataFrame(
        {
            "transaction_id": [f"txn_{number}" for number in range(rows)],
            "event_time": START + pd.to_timedelta((seconds * 1e6).astype("timedelta64[us]")),
            "customer_id": named("c", customer),
            "account_id": named("a", customer),
            "card_id": named("k", customer),
            "transaction_type": pd.Categorical(["purchase"] * rows),
            "direction": pd.Categorical(["debit"] * rows),
            "amount": deal.lognormal(3, 1, rows).round(2),
            "channel": pd.Categorical(deal.choice(["pos", "ecommerce"], rows)),
            "entry_mode": pd.Categorical(deal.choice(["chip", "manual"], rows)),
            "authentication": pd.Categorical(deal.choice(["pin", "none"], rows)),
            "response_code": pd.Categorical(deal.choice(["00", "51"], rows, p=[0.97, 0.03])),
            "merchant_id": named("m", deal.integers(0, 100, rows)),
            "merchant_category_code": pd.Categorical(deal.choice(["5411", "5812"], rows)),
            "merchant_country": pd.Categorical(deal.choice(["FR", "DE"], rows)),
            "counterparty_account_id": nothing,
            "counterparty_country": nothing,
            "linked_transaction_id": nothing,
            "dispute_reason": nothing,
            "device_id": named("d", customer),
            "ip_address": named("i", customer),
            "ip_country": pd.Categorical(deal.choice(["FR", "DE"], rows)),
            "latitude": np.nan,
            "longitude": np.nan,
            "account_age_days": deal.integers(100, 3_000, rows),
            "prior_disputes": 0,
            "is_fraud": fraud,
            "case": np.where(fraud, case, np.nan),
            "shard": "card_testing",
        }
    )  # fmt: skip


def aucs(frame: pd.DataFrame) -> tuple[float, float]:
    """Of rows alone and with windows, for frames that are too small to be assessed."""
    scores = detect(frame).scores
    alone, behaviour = (roc_auc_score(frame["is_fraud"], scores[name]) for name in ("rows_only", "with_windows"))
    return float(alone), float(behaviour)


@pytest.fixture(scope="module")
def small() -> Detection:
    return detect(batch(400, 60))


def test_neither_a_case_nor_a_customer_is_on_both_sides():
    """Guards against scores of memory: a victim's or a case's other rows would give the tested ones away."""
    frame = batch()
    key = frame["shard"] + "|" + frame["customer_id"].astype(str)
    tested = []
    for train, test in splits(frame):
        assert not set(key.iloc[train]) & set(key.iloc[test])
        cases = [set(frame.iloc[side].query("is_fraud")["case"]) for side in (train, test)]
        assert cases[0]
        assert cases[1]
        assert not cases[0] & cases[1]
        tested.append(test)
    assert sorted(np.concatenate(tested)) == list(range(len(frame)))


def test_folds_share_the_frauds_of_a_scenario_though_all_its_cases_meet():
    """Guards against joining cases by their victims: one fold would hold nearly all frauds, and learn from none."""
    frame = batch()
    frauds = [int(frame["is_fraud"].iloc[test].sum()) for _, test in splits(frame)]
    assert max(frauds) <= 1.5 * FRAUDS / FOLDS


def test_fraud_with_its_own_amounts_is_found_from_the_row():
    """Guards against a detector that cannot find what any would."""
    frame = batch()
    frame.loc[frame["is_fraud"], "amount"] += 1_000
    detection = detect(frame)
    for skill in (detection.rows_only["card_testing"], detection.with_windows[POOLED]):
        assert (skill.frauds, skill.legitimate, skill.assessed) == (FRAUDS, LEGITIMATE, True)
        assert skill.auc is not None
        assert skill.auc_interval is not None
        assert 0.99 < skill.auc_interval[0] <= skill.auc <= skill.auc_interval[1]


def test_fraud_like_all_other_rows_is_not_found():
    """Guards against a leak of labels, cases or file order into the columns or the folds."""
    alone, behaviour = aucs(batch(1_500))
    assert 0.4 < alone < 0.6
    assert 0.4 < behaviour < 0.62  # victims of several frauds have a little more behind them


def test_fraud_in_bursts_is_found_from_behaviour_alone():
    """Guards against window features that never reach the detector, or that reach the figures of rows alone."""
    frame = batch(1_500)
    first = frame["is_fraud"] & ~frame.duplicated(["case"])
    start = frame["case"].map(frame[first].set_index("case")["event_time"])
    delay = pd.to_timedelta(frame.groupby("case").cumcount() * 20, "s")
    frame["event_time"] = frame["event_time"].where(~frame["is_fraud"], start + delay)
    frame["card_id"] = frame["card_id"].astype(str).where(~frame["is_fraud"], "k" + frame["case"].astype(str))
    alone, behaviour = aucs(frame)
    assert behaviour > alone + 0.2


def test_the_same_frame_and_seed_give_the_same_figures(small):
    """Guards against figures that move between two runs of one command."""
    pd.testing.assert_frame_equal(small.scores, detect(batch(400, 60)).scores, check_exact=True)


def test_few_frauds_are_not_assessed(small):
    """Guards against a figure of a handful of rows that passes for a finding."""
    skill = small.rows_only[POOLED]
    assert (skill.frauds, skill.legitimate, skill.auc, skill.assessed) == (60, 400, None, False)


def test_too_few_cases_are_refused_in_words():
    """Guards against folds without a fraud, which fail deep inside the learner."""
    frame = batch(400, 60)
    frame["case"] = frame["case"].where(frame["case"].isna(), 1.0)
    with pytest.raises(InvalidRequestError, match="has 1 cases"):
        detect(frame)


def test_the_column_that_tells_is_named():
    """Guards against a hunt for shortcuts that points at the wrong column."""
    frame = batch(800, 120)
    frame["entry_mode"] = np.where(frame["is_fraud"], "magstripe", "chip")
    told = importances(frame)
    assert told["card_testing"].idxmax() == "entry_mode"
    assert told.loc["entry_mode", POOLED] > 0.3
    assert told.drop("entry_mode")[POOLED].abs().max() < 0.05


def test_row_columns_hold_no_identifier_and_no_truth():
    """Guards against a detector of rows that knows entities, or reads the answer."""
    columns = set(row_columns(batch(50, 10)))
    assert not {name for name in columns if name.endswith("_id")}
    assert not columns & {"ip_address", "merchant_name", "merchant_city", "is_fraud", "case", "incident", "shard"}


def test_a_world_tour_is_no_more_than_the_learner_can_take():
    """Guards against a large batch with more countries than the learner has bins, and against lost order of ranks."""
    frame = batch(600, 60)
    tour = [f"{a}{b}" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    frame["merchant_country"] = ["FR"] * 400 + tour
    assert detect(frame).scores.notna().all(axis=None)
    columns = row_columns(frame)
    assert set(columns["merchant_country"][:400]) == {0.0}
    assert columns["merchant_country"].nunique() == columns["merchant_country"].max() + 1 == 101


def plain(rows: int) -> pd.DataFrame:
    """Rows a day apart, each of its own customer and amount, on which no rule should look twice."""
    frame = batch(rows, 0)
    for name in ("customer_id", "account_id", "card_id", "device_id", "ip_address"):
        frame[name] = [f"{name}{number}" for number in range(rows)]
    frame["event_time"] = START + pd.to_timedelta(np.arange(rows), "D").astype("timedelta64[us]")
    frame["amount"] = np.linspace(30, 20, rows)
    return frame.assign(channel="pos", account_age_days=1_000, transaction_type="purchase")


def test_textbook_rules_alarm_on_what_they_are_written_for():
    """Guards against a rule that can never fire, or that fires on everything."""
    frame = plain(60)
    last = frame.index[-5:]
    frame.loc[last, "customer_id"] = "hasty"
    frame.loc[last, "event_time"] = frame["event_time"].iloc[-1] + pd.to_timedelta(np.arange(5), "min")
    frame.loc[frame.index[:3], "device_id"] = "shared"
    frame.loc[frame.index[5], ["account_age_days", "amount"]] = [20, 900.0]
    payments, mule = frame.index[20:24], frame.index[30:32]
    frame.loc[payments, ["customer_id", "counterparty_account_id", "transaction_type"]] = ["payer", "payee", "transfer"]
    frame.loc[payments, "amount"] = 25.0
    frame.loc[payments, "event_time"] = frame["event_time"].iloc[20] + pd.to_timedelta(np.arange(4), "h")
    frame.loc[mule, ["account_id", "transaction_type"]] = ["mule", "withdrawal"]
    frame.loc[mule, "event_time"] = frame["event_time"].iloc[30] + pd.to_timedelta(np.arange(2), "h")
    frame["direction"] = frame["direction"].astype(str).where(frame.index != mule[0], "credit")
    frame.loc[mule, "amount"] = 28.5
    alarms = junior_rules(frame)
    assert list(alarms.index[alarms["first payment to a payee, large"]]) == [20]
    assert list(alarms.index[alarms["new payee paid again within a day"]]) == [21, 22, 23]
    assert list(alarms.index[alarms["account paid several times in a day"]]) == [23]
    assert list(alarms.index[alarms["money in passed on within a day"]]) == [31]
    assert list(alarms.index[alarms["many rows in an hour"]]) == [last[-1]]
    assert list(alarms.index[alarms["device of three customers in a week"]]) == [2]
    assert list(alarms.index[alarms["young account, large amount"]]) == [5]
    assert alarms.any(axis=1).sum() == 8


def test_rules_for_shops_and_disputes_alarm_on_what_they_are_written_for():
    """Guards what a junior knows of shops and disputes: rushes, equal sums, impossible journeys, swiped cash, habit."""
    frame = plain(80)
    frame["merchant_id"] = [f"shop{number}" for number in range(80)]
    minutes = pd.to_timedelta(np.arange(4) * 5, "min")
    rush, fees, trip = frame.index[10:14], frame.index[20:24], frame.index[30:32]
    basket, early = frame.index[40:43], frame.index[:4]
    for rows in (rush, fees, early):
        frame.loc[rows, "merchant_id"] = f"one{rows[0]}"
        frame.loc[rows, "event_time"] = frame["event_time"].iloc[rows[0]] + minutes
    frame.loc[fees, "event_time"] = frame["event_time"].iloc[20] + pd.to_timedelta(np.arange(4) * 4, "h")
    frame.loc[fees, "amount"] = 24.99
    frame.loc[trip, "customer_id"] = "tourist"
    frame.loc[trip, "event_time"] = frame["event_time"].iloc[30] + minutes[:2]
    frame.loc[trip, ["latitude", "longitude"]] = [[48.85, 2.35], [43.3, 5.4]]
    frame["entry_mode"] = frame["entry_mode"].astype(object)
    frame.loc[50, ["entry_mode", "transaction_type"]] = ["magstripe", "withdrawal"]
    frame.loc[51, "entry_mode"] = "magstripe"
    frame.loc[60, ["prior_disputes", "amount"]] = [2, 26.0]
    frame.loc[61, ["prior_disputes", "amount"]] = [2, 21.0]
    frame.loc[basket, ["customer_id", "merchant_id", "amount", "prior_disputes"]] = ["taker", "robbed", 99.0, 1]
    frame.loc[basket[1], "amount"] = 22.0
    alarms = junior_rules(frame)
    assert list(alarms.index[alarms["many cards in an hour at a quiet merchant"]]) == list(rush[2:])
    assert list(alarms.index[alarms["one amount on most cards at a merchant"]]) == list(fees[2:])
    assert list(alarms.index[alarms["too far from the last place"]]) == [trip[1]]
    assert list(alarms.index[alarms["magnetic stripe, large amount or cash"]]) == [50]
    assert list(alarms.index[alarms["disputed twice before, purchase above the median"]]) == [60]
    assert list(alarms.index[alarms["disputed before, large again at a shop met this week"]]) == [basket[2]]
    assert alarms.any(axis=1).sum() == 8


def test_the_table_measures_every_difficulty_and_seed():
    """Guards against a table whose cells come from other frames than their heads say."""

    def make(difficulty: float, seed: int) -> pd.DataFrame:
        frame = batch(300, 60, seed)
        loud = frame["is_fraud"] & (rng(seed, "loud").random(len(frame)) < 1 - difficulty)
        return frame.assign(
            account_age_days=np.where(loud, 20, 1_000), amount=frame["amount"].where(~loud, 10_000.0), channel="pos"
        )

    table = difficulty_table(make, (0.0, 0.5), (2,))
    pooled = table.points[table.points["scenario"] == POOLED]
    assert list(zip(pooled["difficulty"], pooled["seed"], strict=True)) == [(0, 2), (0.5, 2)]
    found = table.means()["found"]
    assert found[(POOLED, 0.0)] > 0.9 > 0.7 > found[(POOLED, 0.5)]
    assert "not assessed" in table.markdown()


def test_the_table_ranks_figures_by_difficulty():
    """Guards against a correlation of the wrong sign or figure, and against seeds that are averaged away unseen."""
    rest = {"found": 0.5, "right": 0.25, "false_alarms": 0.01}
    points = pd.DataFrame(
        [
            {"scenario": "phishing", "difficulty": 0.0, "seed": 1, "rows_only": 0.90, "with_windows": 0.9, **rest},
            {"scenario": "phishing", "difficulty": 0.0, "seed": 2, "rows_only": 0.90, "with_windows": 0.9, **rest},
            {"scenario": "phishing", "difficulty": 0.5, "seed": 1, "rows_only": 0.80, "with_windows": 0.95, **rest},
            {"scenario": "phishing", "difficulty": 0.5, "seed": 2, "rows_only": 0.96, "with_windows": 0.95, **rest},
            {"scenario": "phishing", "difficulty": 1.0, "seed": 1, "rows_only": 0.70, "with_windows": 1.0, **rest},
            {"scenario": "phishing", "difficulty": 1.0, "seed": 2, "rows_only": 0.70, "with_windows": 1.0, **rest},
        ]
    )
    table = DifficultyTable(points)
    ranks = table.correlations().loc["phishing"]
    assert ranks["rows_only"] == pytest.approx(-1)
    assert -1 < ranks["rows_only_points"] < -0.5
    assert ranks["with_windows"] == ranks["with_windows_points"] == pytest.approx(1)
    assert "| phishing | 0.90 / 0.90 | 0.88 / 0.95 | 0.70 / 1.00 | -1.00 / 1.00 |" in table.markdown()
    assert "| phishing | 0.50 / 0.25 | 0.50 / 0.25 | 0.50 / 0.25 | 0.010 |" in table.markdown()
