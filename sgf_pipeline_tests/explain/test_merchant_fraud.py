"""Explanations of merchant fraud: true with and without the genuine rows, and counted once by hand."""

import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import verify
from sgf_pipeline_tests.explain.telling import by_hand, proofs, rows_of, told

NAME = "merchant_fraud"
SHOP = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon", "device_id": "d", "ip_address": "i", "card_id": "c"}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_genuine_rows_that_are_not_exported_are_not_spoken_of(language: str) -> None:
    """Guards batches of nothing but fraud: no sentence may lean on a genuine sale that nobody can see."""
    rows = rows_of(NAME)
    explained = told(rows[rows["is_fraud"]].reset_index(drop=True), NAME, language)
    assert verify(explained) == []
    facts = {proof["fact"] for proof in proofs(explained)}
    assert "charge" in facts
    assert not facts & {"skimmed", "inflated", "renewal"}


def test_genuine_rows_get_no_words() -> None:
    """Guards the honest: a captured purchase, a delivered order and a victim's dispute are no fraud."""
    explained = told(rows_of(NAME, 1), NAME)
    honest = ~explained["is_fraud"]
    assert honest.any()
    assert explained.loc[honest, ["explanation", "evidence"]].isna().all(axis=None)
    assert explained.loc[~honest, ["explanation", "evidence"]].notna().all(axis=None)


def test_repeated_amounts_are_found_in_currencies_of_three_decimals() -> None:
    """Guards amounts that are compared to find a repeated charge: none may be lost to rounding."""
    explained = told(rows_of(NAME, 1, "KWD"), NAME, "fr", "KWD")
    repeats = explained["is_fraud"] & (explained["step_kind"] == "repeated_charge")
    assert {proof["fact"] for proof in proofs(explained[repeats])} == {"repeated"}


def test_skimming_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    captured = {"step_kind": "captured_purchase", "is_fraud": False}
    rows = by_hand(
        {**captured, "minute": 0, "amount": 12.0},
        {**captured, "minute": 60, "amount": 30.5, "card_id": "e"},
        {"minute": 3000, "step_kind": "skimmed_purchase", "amount": 99.0, "response_code": "05"},
        {"minute": 6060, "step_kind": "skimmed_cash", "amount": 1200.0, "card_id": "e"},
        **SHOP, vector="skimming_terminal",
    )  # fmt: skip
    explained = told(rows, NAME)
    last = proofs(explained)[3]
    assert (last["fact"], last["charge"], last["charges"], last["cards"]) == ("skimmed", 2, 2, 2)
    assert (last["genuine"], last["since_genuine"]) == (30.5, {"value": 4, "unit": "days"})
    assert last["rows"]["genuine"]["transactions"] == ["t1"]
    assert "1,200.00 EUR" in explained["explanation"].iloc[3]
    assert verify(explained) == []


def test_self_refund_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    back = {"step_kind": "self_refund", "direction": "credit"}
    rows = by_hand(
        {"minute": 0, "step_kind": "sham_sale", "amount": 20.0},
        {"minute": 5, "step_kind": "sham_sale", "amount": 80.0, "card_id": "e"},
        {"minute": 190, "amount": 20.0, **back},
        {"minute": 200, "amount": 80.0, "card_id": "e", **back},
        {"minute": 250, "amount": 15.0, **back},
        **SHOP, vector="self_refund",
    )  # fmt: skip
    explained = told(rows, NAME)
    last = proofs(explained)[4]
    assert (last["refund"], last["refunds"], last["paid"], last["refunded"]) == (3, 3, 20.0, 35.0)
    assert last["since_sale"] == {"value": 4, "unit": "hours"}
    assert verify(explained) == []
    with pytest.raises(ExplanationError, match="nothing was sold"):
        told(rows.iloc[2:].reset_index(drop=True), NAME)
