"""Explanations of phishing, counted by hand. What holds for all scenarios is in ``test_explain``."""

import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import verify
from sgf_pipeline_tests.explain.telling import by_hand, proofs, rows_of, told

NAME = "phishing"


def test_savings_that_were_left_out_are_not_told() -> None:
    """Guards honest rows of an incident: they give way to the exact count, and then no sentence may speak of them."""
    rows = rows_of(NAME)
    explained = told(rows[rows["is_fraud"]].reset_index(drop=True), NAME)
    assert verify(explained) == []
    assert not explained["evidence"].str.contains("funded_payment").any()
    assert told(rows, NAME)["evidence"].str.contains("funded_payment", na=False).any()


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    mule = {"account_id": "mule", "counterparty_account_id": "victim", "direction": "credit"}
    savings = {"step_kind": "savings_in", "is_fraud": False, "direction": "credit"}
    pay = {"step_kind": "victim_payment"}
    rows = by_hand(
        {"step_kind": "victim_try", "minute": 0, "amount": 50.0},
        {**mule, "step_kind": "victim_try", "minute": 0, "amount": 50.0},
        {**pay, "minute": 60, "amount": 700.0, "response_code": "51"},
        {**savings, "minute": 90, "amount": 8000.0},
        {**pay, "minute": 180, "amount": 7500.0},
        {**pay, **mule, "minute": 180, "amount": 7500.0},
        {**mule, "direction": "debit", "step_kind": "mule_withdrawal", "minute": 240, "amount": 755.0},
        account_id="victim", counterparty_account_id="mule", counterparty_country="FR", vector="romance_scam",
    )  # fmt: skip
    explained = told(rows, NAME)
    assert verify(explained) == []
    first, _, second, _, funded, received, cash = proofs(explained)
    assert (first["fact"], first["loss"]) == ("first_payment", 7550.0)
    assert (second["payment"], second["paid"], second["first_amount"]) == (2, 50.0, 50.0)
    assert (funded["fact"], funded["brought_in"], funded["paid"]) == ("funded_payment", 8000.0, 7550.0)
    assert funded["since_funds"] == {"value": 90, "unit": "minutes"}
    assert funded["rows"]["savings"]["transactions"] == ["t3"]
    assert (received["fact"], received["came_in"], received["senders"]) == ("received", 7550.0, 1)
    assert (cash["passed_on"], cash["kept"], cash["last_in"]) == (10, 90, 7500.0)
    assert (cash["leg"], cash["legs"]) == (6, 6)


def test_a_mule_without_receipts_is_refused() -> None:
    """Guards against eloquent nonsense: a mule that takes out what never came in."""
    rows = rows_of(NAME)
    with pytest.raises(ExplanationError, match="none came"):
        told(rows[rows["step_kind"] == "mule_withdrawal"].reset_index(drop=True), NAME)
