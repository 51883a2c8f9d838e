"""Explanations of account takeover, counted by hand. What holds for all scenarios is in ``test_explain``."""

import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import verify
from sgf_pipeline_tests.explain.telling import by_hand, proofs, told

NAME = "account_takeover"


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    wired = {"step_kind": "own_mule_transfer", "counterparty_account_id": "m", "counterparty_country": "FR"}
    phone = {"device_id": "d", "ip_address": "i"}
    shop = {"step_kind": "purchase", "merchant_id": "s", "merchant_name": "Audio 3", "card_id": "c"}
    rows = by_hand(
        {**shop, **phone, "minute": 0, "amount": 40.0},
        {**wired, **phone, "minute": 5, "amount": 900.0, "response_code": "61"},
        {**wired, **phone, "minute": 9, "amount": 400.0, "ip_address": "j"},
        {**wired, "minute": 9, "amount": 400.0, "direction": "credit", "account_id": "m",
         "counterparty_account_id": "a", "device_id": "e", "ip_address": "k"},
        {**shop, "minute": 309, "amount": 60.5},
        {"step_kind": "cash_withdrawal", "minute": 311, "amount": 50.0, "merchant_id": "x", "merchant_name": "Cash"},
        vector="sim_swap",
    )  # fmt: skip
    explained = told(rows, NAME)
    assert verify(explained) == []
    opening, refused, sent, received, bought, cash = proofs(explained)
    assert (opening["fact"], opening["moves"], opening["haul"], opening["age"]) == ("opening", 6, 550.5, 400)
    assert (refused["taken"], refused["declined"]) == (40.0, 1)
    assert (sent["taken"], sent["since_last"], sent["move"]) == (440.0, {"value": 4, "unit": "minutes"}, 3)
    assert (received["fact"], received["received"], received["taken"]) == ("received", 400.0, 440.0)
    assert (bought["fact"], bought["merchants"], bought["devices"], bought["addresses"]) == ("bought", 1, 1, 2)
    assert bought["elapsed"] == {"value": 5, "unit": "hours"}
    assert (cash["taken"], cash["withdrawn"], cash["declined"]) == (550.5, 50.0, 1)
    assert "declined with code 61 (above the limit)" in explained["explanation"].iloc[1]


def test_a_mule_who_receives_what_nobody_lost_is_refused() -> None:
    """Guards against eloquent nonsense: a credit leg without its debit leg cannot be explained."""
    rows = by_hand(
        {"step_kind": "own_mule_transfer", "minute": 0, "amount": 5.0, "direction": "credit"}, vector="sim_swap"
    )
    with pytest.raises(ExplanationError, match="before any was taken"):
        told(rows, NAME)
