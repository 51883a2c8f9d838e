"""Explanations of identity theft are true of the exported rows, with and without the quiet rows before."""

import json

import pandas as pd
import pytest

from sgf_pipeline.explain import explain, verify
from sgf_pipeline.explain.identity_theft import TELLING
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["identity_theft"]
LANGUAGES = ("en", "fr")


def rows_of(each: int = 4) -> pd.DataFrame:
    """Incidents of every vector, those with an odd number without their quiet rows, mixed in one time order."""
    plan = [(cases.identity_theft(vector), i) for i, vector in enumerate(tuple(SCENARIO.vectors) * each)]
    rows = cases.exported([(case, SCENARIO.play(case, cases.incident("identity_theft", i))) for case, i in plan])
    odd = rows["incident_id"].str[4:].astype(int) % 2 == 1
    return rows[rows["is_fraud"] | ~odd].reset_index(drop=True)


def told(rows: pd.DataFrame, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario="identity_theft", currency=currency, language=language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_used_and_every_number_true(language: str) -> None:
    """Guards the promise of facts: a second implementation recomputes each number, every wording is told."""
    rows = rows_of(6)
    # of every third incident only the end is left, from its repayment on
    repaid = rows.groupby("incident_id")["step_kind"].transform(lambda kinds: (kinds == "false_repayment").cumsum())
    whole = rows["incident_id"].str[4:].astype(int) % 3 > 0
    explained = told(rows[whole | (repaid > 0)].reset_index(drop=True), language)
    assert verify(explained) == []
    fraud = explained[explained["is_fraud"]]
    assert explained.loc[~explained["is_fraud"], ["explanation", "evidence"]].isna().all(axis=None)
    assert fraud["explanation"].str.len().between(40, 400).all()
    facts = fraud["evidence"].map(lambda text: json.loads(text)["fact"])
    assert set(facts) == set(TELLING.evidence) == set(TELLING.sentences)
    for fact, sentences in TELLING.sentences.items():
        for sentence in sentences[language]:
            mark = max((piece.split("}")[-1] for piece in sentence.split("{")), key=len)
            assert fraud.loc[facts == fact, "explanation"].str.contains(mark, regex=False).any(), sentence


@pytest.mark.parametrize("kept", [1, 9, 15, 20])
def test_an_incident_that_was_cut_is_told_by_the_rows_that_are_left(kept: int) -> None:
    """Guards rows that nobody can see: what the period or the exact count cut off is never cited."""
    rows = rows_of(1)
    rows = rows[rows.groupby("incident_id").cumcount() < kept].reset_index(drop=True)
    explained = told(rows)
    assert verify(explained) == []
    named = {name for text in explained["evidence"].dropna() for name in json.loads(text)["transactions"]}
    assert named <= set(rows["transaction_id"])


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon", "direction": "debit", "counterparty_country": None,
            "counterparty_account_id": None}  # fmt: skip
    wire = {"merchant_id": None, "merchant_name": None, "direction": "debit", "counterparty_country": "FR",
            "counterparty_account_id": "x"}  # fmt: skip
    quiet = {**shop, "is_fraud": False, "step_kind": "build_purchase"}
    rows = pd.DataFrame(
        [
            {**quiet, "hour": 0, "amount": 12.5},
            {**wire, "hour": 1, "amount": 1500.0, "direction": "credit", "is_fraud": False, "step_kind": "build_wages"},
            {**quiet, "hour": 30, "amount": 44.9, "response_code": "51"},
            {**quiet, "hour": 60, "amount": 31.0},
            {**shop, "hour": 100, "amount": 700.0, "step_kind": "goods_purchase"},
            {**shop, "hour": 101, "amount": 650.0, "step_kind": "goods_purchase", "response_code": "51"},
            {**wire, "hour": 103, "amount": 500.0, "step_kind": "false_repayment", "direction": "credit"},
            {**wire, "hour": 104, "amount": 450.25, "step_kind": "transfer_out"},
        ]
    )
    rows = rows.assign(
        transaction_id=[f"t{i}" for i in range(len(rows))],
        event_time=start + pd.to_timedelta(rows["hour"], unit="h"),
        is_fraud=rows["is_fraud"].eq(False).map({True: False, False: True}),
        response_code=rows["response_code"].fillna("00"),
        account_id="a", card_id=None, currency="EUR", case_step=0, incident_id="i", vector="recruited_front",
        device_id=None, ip_address=None,
    )  # fmt: skip
    explained = told(rows)
    turn, refused, back, sent = (json.loads(text) for text in explained["evidence"].iloc[4:])
    assert (turn["fact"], turn["quiet_payments"], turn["largest_quiet"]) == ("turn", 2, 31.0)
    assert turn["quiet_time"] == {"value": 4, "unit": "days"}
    assert turn["transactions"] == ["t4", "t3"]
    assert (refused["row"], refused["rows"], refused["taken"], refused["refused"]) == (2, 4, 700.0, 1)
    assert (back["fact"], back["repaid"], back["taken"]) == ("false_repayment", 500.0, 700.0)
    assert (sent["taken"], sent["refused"], sent["elapsed"]) == (1150.25, 1, {"value": 4, "unit": "hours"})
    assert "1,150.25 EUR" in explained["explanation"].iloc[7]
    assert "1\u202f150,25 EUR" in told(rows, "fr")["explanation"].iloc[7]
    assert verify(explained) == []


def test_a_planted_falsehood_is_found() -> None:
    """Guards the gate: a lie does not pass."""
    explained = told(rows_of(1))
    row = explained.index[explained["is_fraud"]][3]
    evidence = json.loads(explained.at[row, "evidence"])
    explained.at[row, "evidence"] = json.dumps({**evidence, "amount": evidence["amount"] + 1})
    assert any("evidence has amount" in problem for problem in verify(explained))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_repayment_whose_takings_were_cut_away_says_nothing_of_them(language: str) -> None:
    """Guards against a shard that fails because the period or the count left an incident only its end."""
    rows = rows_of(1)
    repayments = rows[rows["step_kind"] == "false_repayment"].reset_index(drop=True)
    explained = told(repayments, language)
    assert {json.loads(text)["fact"] for text in explained["evidence"]} == {"unseen_taking"}
    assert verify(explained) == []
