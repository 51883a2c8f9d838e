"""Explanations of chargeback fraud: numbers counted by hand, what is never cited, and planted falsehoods."""

import json
from typing import Any

import pandas as pd
import pytest

from sgf_pipeline.explain import explain, verify
from sgf_pipeline.explain.chargeback_fraud import VECTORS
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["chargeback_fraud"]


def told(rows: pd.DataFrame, language: str = "en") -> pd.DataFrame:
    return rows.join(explain(rows, scenario="chargeback_fraud", currency="EUR", language=language))


def played(vector: str, number: int = 1) -> pd.DataFrame:
    case = cases.disputing(vector)
    return cases.exported([(case, SCENARIO.play(case, cases.incident("chargeback_fraud", number)))])


def by_hand() -> pd.DataFrame:
    """Two purchases, one kept, a refund, a purchase, a chargeback, a last purchase; one row a day."""
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    bought = {"step_kind": "goods_purchase", "is_fraud": True, "direction": "debit"}
    kept = {"step_kind": "kept_purchase", "is_fraud": False, "direction": "debit"}
    back = {"is_fraud": False, "direction": "credit"}
    rows: list[dict[str, Any]] = [
        {**bought, "amount": 1200.5, "merchant_id": "m1", "merchant_name": "Audio 24", "card_id": "c1"},
        {**bought, "amount": 99.0, "merchant_id": "m2", "merchant_name": "Shoes", "card_id": "c1"},
        {**kept, "amount": 50.0, "merchant_id": "m3", "merchant_name": "Grocer", "card_id": "c2"},
        {**back, "step_kind": "merchant_refund", "amount": 40.25, "merchant_id": "m2", "merchant_name": "Shoes"},
        {**bought, "amount": 10.0, "merchant_id": "m2", "merchant_name": "Shoes", "card_id": "c2"},
        {**back, "step_kind": "dispute", "amount": 1200.5, "merchant_id": "m1", "merchant_name": "Audio 24"},
        {**bought, "amount": 20.0, "merchant_id": "m1", "merchant_name": "Audio 24", "card_id": "c1"},
    ]
    nothing = dict.fromkeys(("counterparty_account_id", "counterparty_country", "device_id", "ip_address"))
    return pd.DataFrame(
        {
            "card_id": "c1",
            **nothing,
            "transaction_id": f"t{i}",
            "event_time": start + pd.Timedelta(days=i),
            "account_id": "a",
            "currency": "EUR",
            "response_code": "00",
            "case_step": 0,
            "incident_id": "incident",
            "vector": "double_dip",
            **row,
        }
        for i, row in enumerate(rows)
    )


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    explained = told(by_hand())
    evidence = {row: json.loads(explained.at[row, "evidence"]) for row in (0, 1, 4, 6)}
    first, second, third, fourth = evidence.values()
    assert (first["fact"], first["purchases"], first["amount"], first["transactions"]) == (
        "first_purchase", 4, 1200.5, ["t0"],
    )  # fmt: skip
    assert (second["fact"], second["purchase"], second["spent"], second["merchants"], second["cards"]) == (
        "purchase", 2, 1299.5, 2, 1,
    )  # fmt: skip
    assert (third["fact"], third["refunds"], third["returned"], third["spent"]) == ("after_refund", 1, 40.25, 1309.5)
    assert third["since_back"] == {"value": 24, "unit": "hours"}
    assert third["transactions"] == ["t0", "t3", "t4"]
    assert (fourth["fact"], fourth["purchase"], fourth["disputes"], fourth["returned"], fourth["spent"]) == (
        "after_dispute", 4, 1, 1240.75, 1329.5,
    )  # fmt: skip
    assert fourth["transactions"] == ["t0", "t5", "t6"]
    assert verify(explained) == []
    assert verify(told(by_hand(), "fr")) == []
    assert "1\u202f299,50 EUR" in told(by_hand(), "fr")["explanation"][1]


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_vector_is_told_true_and_only_on_its_purchases(vector: str, language: str) -> None:
    """Guards both languages: numbers follow from the rows; chargebacks, refunds and kept purchases stay silent."""
    explained = told(played(vector), language)
    assert verify(explained) == []
    assert (explained["explanation"].notna() == explained["is_fraud"]).all()
    words = VECTORS[vector][language]
    assert explained.loc[explained["is_fraud"], "explanation"].str.contains(words, regex=False).all()


def test_every_vector_has_words() -> None:
    """Guards a new vector against being told by its bare key."""
    assert set(VECTORS) == set(SCENARIO.vectors)


def test_a_purchase_never_cites_its_own_chargeback() -> None:
    """Guards the future: what comes weeks later, or after the period, is no evidence of the purchase."""
    rows = played("not_received_claim")
    explained = told(rows)
    cut = told(rows[rows["step_kind"] != "dispute"].reset_index(drop=True))
    text = explained.loc[explained["is_fraud"], "evidence"].tolist()
    assert text == cut.loc[cut["is_fraud"], "evidence"].tolist()


@pytest.mark.parametrize(
    ("name", "value"), [("returned", 1.0), ("disputes", 9), ("spent", 5.0), ("purchases", 40), ("fact", "purchase")]
)
def test_a_planted_falsehood_is_found(name: str, value: Any) -> None:
    """Guards the gate: an explanation that lies about refunds and disputes must not pass."""
    explained = told(by_hand())
    evidence = json.loads(explained.at[6, "evidence"])
    explained.at[6, "evidence"] = json.dumps({**evidence, name: value})
    assert any("t6" in problem for problem in verify(explained))
