"""Explanations of account takeover, counted by hand. What holds for all scenarios is in ``test_explain``."""

import json
from typing import Any

import pandas as pd
import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

NAME = "account_takeover"
SCENARIO = SCENARIOS[NAME]
LANGUAGES = ("en", "fr")


def rows_of(currency: str) -> pd.DataFrame:
    """A played incident of every vector, mixed in one time order."""
    people = cases.people(NAME, 600, currency)
    plan = [
        (case, cases.incident(NAME, number, campaign=number // 4, population=people))
        for number, case in enumerate(cases.takeover(vector) for vector in SCENARIO.vectors)
    ]
    return cases.exported([(case, SCENARIO.play(case, incident)) for case, incident in plan], people)


def told(rows: pd.DataFrame, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario=NAME, currency=currency, language=language))


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_currencies_without_and_with_three_decimals(currency: str) -> None:
    """Guards amounts: yen have no decimals, dinars three, in text, evidence and check."""
    for language in LANGUAGES:
        assert verify(told(rows_of(currency), language, currency)) == []


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    wired = {"step_kind": "own_mule_transfer", "counterparty_account_id": "m", "counterparty_country": "FR"}
    phone = {"device_id": "d", "ip_address": "i"}
    shop = {"step_kind": "purchase", "merchant_id": "s", "merchant_name": "Audio 3", "card_id": "c"}
    rows = _by_hand(
        {**shop, **phone, "minute": 0, "amount": 40.0},
        {**wired, **phone, "minute": 5, "amount": 900.0, "response_code": "61"},
        {**wired, **phone, "minute": 9, "amount": 400.0, "ip_address": "j"},
        {**wired, "minute": 9, "amount": 400.0, "direction": "credit", "account_id": "m",
         "counterparty_account_id": "a", "device_id": "e", "ip_address": "k"},
        {**shop, "minute": 309, "amount": 60.5},
        {"step_kind": "cash_withdrawal", "minute": 311, "amount": 50.0, "merchant_id": "x", "merchant_name": "Cash"},
    )  # fmt: skip
    explained = told(rows)
    assert verify(explained) == []
    opening, refused, sent, received, bought, cash = (json.loads(text) for text in explained["evidence"])
    assert (opening["fact"], opening["moves"]) == ("opening", 6)
    assert (refused["taken"], refused["declined"], refused["receivers"]) == (40.0, 1, 1)
    assert (sent["taken"], sent["since_last"], sent["move"]) == (440.0, {"value": 4, "unit": "minutes"}, 3)
    assert (received["fact"], received["received"], received["taken"]) == ("received", 400.0, 440.0)
    assert (bought["fact"], bought["merchants"], bought["devices"], bought["addresses"]) == ("bought", 1, 1, 2)
    assert bought["elapsed"] == {"value": 5, "unit": "hours"}
    assert (cash["taken"], cash["withdrawn"], cash["declined"]) == (550.5, 50.0, 1)
    assert "declined with code 61 (above the limit)" in explained["explanation"].iloc[1]


def test_a_mule_who_receives_what_nobody_lost_is_refused() -> None:
    """Guards against eloquent nonsense: a credit leg without its debit leg cannot be explained."""
    rows = _by_hand({"step_kind": "own_mule_transfer", "minute": 0, "amount": 5.0, "direction": "credit"})
    with pytest.raises(ExplanationError, match="before any was taken"):
        told(rows)


def _by_hand(*rows: dict[str, Any]) -> pd.DataFrame:
    """One incident of a swapped SIM, with the columns given and nulls elsewhere."""
    nothing = dict.fromkeys(
        ("card_id", "merchant_id", "merchant_name", "counterparty_account_id", "counterparty_country", "device_id",
         "ip_address")
    )  # fmt: skip
    always = {
        "account_id": "a", "direction": "debit", "currency": "EUR", "response_code": "00", "is_fraud": True,
        "case_step": 0, "incident_id": "incident", "vector": "sim_swap",
    }  # fmt: skip
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    return pd.DataFrame(
        [
            {**nothing, **always, **row, "transaction_id": f"t{i}", "event_time": start + pd.Timedelta(minutes=minute)}
            for i, row in enumerate(rows)
            for minute in [row["minute"]]
        ]
    )
