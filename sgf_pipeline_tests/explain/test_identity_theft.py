"""Explanations of identity theft, counted by hand, and of incidents of which only the end is left."""

import json

import pytest

from sgf_pipeline.explain import verify
from sgf_pipeline_tests.explain.telling import LANGUAGES, by_hand, proofs, rows_of, told

NAME = "identity_theft"


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon"}
    wire = {"counterparty_country": "FR", "counterparty_account_id": "x"}
    quiet = {**shop, "is_fraud": False, "step_kind": "build_purchase"}
    rows = by_hand(
        {**quiet, "minute": 0, "amount": 12.5},
        {**wire, "minute": 60, "amount": 1500.0, "direction": "credit", "is_fraud": False, "step_kind": "build_wages"},
        {**quiet, "minute": 1800, "amount": 44.9, "response_code": "51"},
        {**quiet, "minute": 3600, "amount": 31.0},
        {**shop, "minute": 6000, "amount": 700.0, "step_kind": "goods_purchase"},
        {**shop, "minute": 6060, "amount": 650.0, "step_kind": "goods_purchase", "response_code": "51"},
        {**wire, "minute": 6180, "amount": 500.0, "step_kind": "false_repayment", "direction": "credit"},
        {**wire, "minute": 6240, "amount": 450.25, "step_kind": "transfer_out"},
        vector="recruited_front",
    )
    explained = told(rows, NAME)
    turn, refused, back, sent = proofs(explained)[4:]
    assert (turn["fact"], turn["quiet_payments"], turn["largest_quiet"]) == ("turn", 2, 31.0)
    assert (turn["quiet_time"], turn["quiet_spent"]) == ({"value": 4, "unit": "days"}, 43.5)
    assert turn["rows"]["quiet"]["transactions"] == ["t0", "t3"]
    assert (refused["row"], refused["rows_in_all"], refused["taken"], refused["refused"]) == (2, 4, 700.0, 1)
    assert (back["fact"], back["repaid"], back["taken"]) == ("false_repayment", 500.0, 700.0)
    assert (sent["taken"], sent["refused"], sent["elapsed"]) == (1150.25, 1, {"value": 4, "unit": "hours"})
    assert (sent["largest_taken"], sent["since_last"]) == (700.0, {"value": 60, "unit": "minutes"})
    assert "450.25 EUR" in explained["explanation"].iloc[7]
    assert "450,25 EUR" in told(rows, NAME, "fr")["explanation"].iloc[7]
    assert verify(explained) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_repayment_whose_takings_were_cut_away_says_nothing_of_them(language: str) -> None:
    """Guards against a shard that fails because the period or the count left an incident only its end."""
    rows = rows_of(NAME, 1)
    repayments = rows[rows["step_kind"] == "false_repayment"].reset_index(drop=True)
    explained = told(repayments, NAME, language)
    assert {json.loads(text)["fact"] for text in explained["evidence"]} == {"unseen_taking"}
    assert verify(explained) == []
