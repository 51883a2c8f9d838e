"""Explanations of phishing are true of the exported rows, in both languages, also of incidents that were cut."""

import json
from functools import cache
from typing import Any

import pandas as pd
import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.explain.explaining import TELLINGS
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["phishing"]
TELLING = TELLINGS["phishing"]


@cache
def rows_of(each: int = 8) -> pd.DataFrame:
    """Played incidents of every vector, mixed in one time order."""
    plan = [cases.phishing(vector) for vector in SCENARIO.vectors] * each
    played = [(case, SCENARIO.play(case, cases.incident("phishing", number))) for number, case in enumerate(plan)]
    return cases.exported(played)


def told(rows: pd.DataFrame, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario="phishing", currency=currency, language=language))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_sentence_is_told_and_true(language: str) -> None:
    """Guards the promise of facts: every fact and wording occurs, and a second implementation finds each number."""
    explained = told(rows_of(), language)
    assert verify(explained) == []
    fraud = explained[explained["is_fraud"]]
    assert fraud["explanation"].str.len().between(40, 400).all()
    assert explained.loc[~explained["is_fraud"], ["explanation", "evidence"]].isna().all(axis=None)
    facts = fraud["evidence"].map(lambda text: json.loads(text)["fact"])
    assert set(facts) == set(TELLING.evidence) == set(TELLING.sentences)
    for fact, sentences in TELLING.sentences.items():
        texts = fraud.loc[facts == fact, "explanation"]
        for sentence in sentences[language]:
            mark = max((piece.split("}")[-1] for piece in sentence.split("{")), key=len)
            assert texts.str.contains(mark, regex=False).any(), f"{fact}: {sentence} was never told"


@pytest.mark.parametrize("kept", [1, 2, 3, 5, 8])
def test_an_incident_that_was_cut_is_told_by_the_rows_that_are_left(kept: int) -> None:
    """Guards rows that nobody can see: what the period or the exact count cut off is never cited or counted."""
    rows = rows_of()
    rows = rows[rows.groupby("incident_id").cumcount() < kept]
    explained = told(rows)
    assert verify(explained) == []
    named = {name for text in explained["evidence"].dropna() for name in json.loads(text)["transactions"]}
    assert named <= set(rows["transaction_id"])


def test_savings_that_were_left_out_are_not_told() -> None:
    """Guards honest rows of an incident: they give way to the exact count, and then no sentence may speak of them."""
    rows = rows_of()
    explained = told(rows[rows["is_fraud"]])
    assert verify(explained) == []
    assert not explained["evidence"].str.contains("funded_payment").any()
    assert told(rows)["evidence"].str.contains("funded_payment", na=False).sum() >= 10


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_currencies_without_and_with_three_decimals(currency: str) -> None:
    """Guards amounts: yen have no decimals, dinars three, in text, evidence and check."""
    people = cases.people("phishing", 200, currency)
    case = cases.phishing("police_impersonation")
    block = SCENARIO.play(case, cases.incident("phishing", population=people))
    for language in ("en", "fr"):
        explained = told(cases.exported([(case, block)], people), language, currency)
        assert verify(explained) == []
        assert explained["explanation"].str.contains(currency).all()


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    common: dict[str, Any] = {
        "currency": "EUR", "response_code": "00", "is_fraud": True, "incident_id": "incident", "case_step": 0,
        "vector": "romance_scam", "card_id": None, "merchant_id": None, "merchant_name": None, "device_id": None,
        "ip_address": None, "counterparty_country": "FR", "direction": "debit", "account_id": "victim",
        "counterparty_account_id": "mule", "step_kind": "victim_payment",
    }  # fmt: skip
    mule: dict[str, Any] = {"account_id": "mule", "counterparty_account_id": "victim", "direction": "credit"}
    written: list[tuple[int, dict[str, Any]]] = [
        (0, {"step_kind": "victim_try", "amount": 50.0}),
        (0, {**mule, "step_kind": "victim_try", "amount": 50.0}),
        (60, {"amount": 700.0, "response_code": "51"}),
        (90, {"amount": 8000.0, "step_kind": "savings_in", "is_fraud": False, "direction": "credit"}),
        (180, {"amount": 7500.0}),
        (180, {**mule, "amount": 7500.0}),
        (240, {**mule, "direction": "debit", "step_kind": "mule_withdrawal", "amount": 755.0}),
    ]
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    rows = pd.DataFrame(
        [
            {**common, **row, "transaction_id": f"t{i}", "event_time": start + pd.Timedelta(minutes=minute)}
            for i, (minute, row) in enumerate(written)
        ]
    )
    explained = told(rows)
    assert verify(explained) == []
    proofs = [json.loads(text) if text else {} for text in explained["evidence"]]
    assert (proofs[2]["payment"], proofs[2]["paid"], proofs[2]["first_amount"]) == (2, 50.0, 50.0)
    assert (proofs[4]["fact"], proofs[4]["brought_in"], proofs[4]["paid"]) == ("funded_payment", 8000.0, 7550.0)
    assert proofs[4]["since_funds"] == {"value": 90, "unit": "minutes"}
    assert proofs[4]["transactions"] == ["t3", "t2", "t4"]
    assert (proofs[5]["fact"], proofs[5]["came_in"], proofs[5]["senders"]) == ("received", 7550.0, 1)
    assert (proofs[6]["passed_on"], proofs[6]["kept"], proofs[6]["last_in"]) == (10, 90, 7500.0)
    assert (proofs[6]["leg"], proofs[6]["legs"]) == (6, 6)


def test_a_mule_without_receipts_is_refused() -> None:
    """Guards against eloquent nonsense: a mule that takes out what never came in."""
    rows = rows_of()
    with pytest.raises(ExplanationError, match="none came"):
        explain(rows[rows["step_kind"] == "mule_withdrawal"], scenario="phishing", currency="EUR", language="en")
