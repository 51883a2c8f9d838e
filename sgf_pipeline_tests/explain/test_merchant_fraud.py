"""Explanations of merchant fraud: true with and without the genuine rows, and counted once by hand.

Numbers and wordings of whole incidents are held in ``test_explain``.
"""

import json
from typing import Any

import pandas as pd
import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

NAME = "merchant_fraud"
SCENARIO = SCENARIOS[NAME]


def rows_of(each: int, currency: str = "EUR") -> pd.DataFrame:
    """Played incidents of every vector, mixed in one time order."""
    people = cases.people(NAME, 600, currency)
    plan = [
        (case, cases.incident(NAME, number, campaign=number // 4, population=people))
        for number, case in enumerate([cases.merchant_fraud(vector) for vector in SCENARIO.vectors] * each)
    ]
    return cases.exported([(case, SCENARIO.play(case, incident)) for case, incident in plan], people)


def told(rows: pd.DataFrame, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario=NAME, currency=currency, language=language))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_genuine_rows_that_are_not_exported_are_not_spoken_of(language: str) -> None:
    """Guards batches of nothing but fraud: no sentence may lean on a genuine sale that nobody can see."""
    rows = rows_of(6)
    rows = rows[rows["is_fraud"]].reset_index(drop=True)
    explained = told(rows, language)
    assert verify(explained) == []
    facts = {json.loads(text)["fact"] for text in explained["evidence"]}
    assert "charge" in facts
    assert not facts & {"skimmed", "inflated", "renewal"}


def test_genuine_rows_get_no_words() -> None:
    """Guards the honest: a captured purchase, a delivered order and a victim's dispute are no fraud."""
    explained = told(rows_of(2))
    honest = ~explained["is_fraud"]
    assert honest.any()
    assert explained.loc[honest, ["explanation", "evidence"]].isna().all(axis=None)
    assert explained.loc[~honest, ["explanation", "evidence"]].notna().all(axis=None)


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_currencies_without_and_with_three_decimals(currency: str) -> None:
    """Guards amounts that are compared to find a repeated charge: none may be lost to rounding."""
    explained = told(rows_of(2, currency), "fr", currency)
    assert verify(explained) == []
    repeats = explained[explained["is_fraud"] & (explained["step_kind"] == "repeated_charge")]
    assert {json.loads(text)["fact"] for text in repeats["evidence"]} == {"repeated"}


def _by_hand(vector: str, *rows: dict[str, Any]) -> pd.DataFrame:
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon", "device_id": "d", "ip_address": "i"}
    full = [
        {
            **shop, "transaction_id": f"t{i}", "event_time": start + pd.Timedelta(minutes=int(row.pop("minute"))),
            "account_id": "a", "card_id": "c", "direction": "debit", "currency": "EUR", "response_code": "00",
            "counterparty_account_id": None, "counterparty_country": None, "is_fraud": True, "case_step": 0,
            "incident_id": "incident", "vector": vector, **row,
        }
        for i, row in enumerate(rows)
    ]  # fmt: skip
    return pd.DataFrame(full)


def test_skimming_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    rows = _by_hand(
        "skimming_terminal",
        {"minute": 0, "step_kind": "captured_purchase", "amount": 12.0, "is_fraud": False},
        {"minute": 60, "step_kind": "captured_purchase", "amount": 30.5, "is_fraud": False, "card_id": "e"},
        {"minute": 3000, "step_kind": "skimmed_purchase", "amount": 99.0, "response_code": "05"},
        {"minute": 6060, "step_kind": "skimmed_cash", "amount": 1200.0, "card_id": "e"},
    )
    explained = told(rows)
    last = json.loads(explained["evidence"].iloc[3])
    assert (last["fact"], last["charge"], last["charges"], last["cards"]) == ("skimmed", 2, 2, 2)
    assert (last["genuine"], last["since"]) == (30.5, {"value": 4, "unit": "days"})
    assert last["transactions"] == ["t2", "t1", "t3"]
    assert "1,200.00 EUR" in explained["explanation"].iloc[3]
    assert verify(explained) == []


def test_self_refund_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    back = {"step_kind": "self_refund", "direction": "credit"}
    rows = _by_hand(
        "self_refund",
        {"minute": 0, "step_kind": "sham_sale", "amount": 20.0},
        {"minute": 5, "step_kind": "sham_sale", "amount": 80.0, "card_id": "e"},
        {"minute": 190, "amount": 20.0, **back},
        {"minute": 200, "amount": 80.0, "card_id": "e", **back},
        {"minute": 250, "amount": 15.0, **back},
    )
    explained = told(rows)
    last = json.loads(explained["evidence"].iloc[4])
    assert (last["refund"], last["refunds"], last["paid"], last["refunded"]) == (3, 3, 20.0, 35.0)
    assert (last["since"], last["transactions"]) == ({"value": 4, "unit": "hours"}, ["t0", "t4"])
    assert verify(explained) == []
    with pytest.raises(ExplanationError, match="nothing was sold"):
        told(rows.iloc[2:].reset_index(drop=True))
