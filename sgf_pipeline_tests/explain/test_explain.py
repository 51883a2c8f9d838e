"""Explanations are true of the exported rows, and ``verify`` finds the ones that are not."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.explain.explaining import TELLINGS
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

LANGUAGES = ("en", "fr")
PLAYED = {
    "account_takeover": [cases.takeover(vector) for vector in SCENARIOS["account_takeover"].vectors],
    "card_testing": [
        cases.card_testing(),
        cases.cloned_cards(),
        cases.card_testing(customers=3, tempo="slow", geography="remote"),
    ],
    "merchant_fraud": [cases.merchant_fraud(vector) for vector in SCENARIOS["merchant_fraud"].vectors],
    "chargeback_fraud": [cases.disputing(vector) for vector in SCENARIOS["chargeback_fraud"].vectors],
    "money_laundering": [cases.laundering(vector) for vector in SCENARIOS["money_laundering"].vectors],
}


def rows_of(scenario: ScenarioName, each: int = 6) -> pd.DataFrame:
    """Played incidents of every hand-written case of the scenario, mixed in one time order."""
    plan = [(case, cases.incident(scenario, number)) for number, case in enumerate(PLAYED[scenario] * each)]
    return cases.exported([(case, SCENARIOS[scenario].play(case, incident)) for case, incident in plan])


def told(rows: pd.DataFrame, scenario: str, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario=scenario, currency=currency, language=language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scenario", PLAYED)
def test_every_number_is_true_of_the_rows(scenario: ScenarioName, language: str) -> None:
    """Guards the promise of facts: a second implementation recomputes each number from the exported rows."""
    rows = rows_of(scenario)
    explained = told(rows, scenario, language)
    assert verify(explained) == []
    assert explained.index.equals(rows.index)
    assert explained.loc[rows["is_fraud"], "explanation"].str.len().between(40, 400).all()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scenario", PLAYED)
def test_every_sentence_is_used_and_told_true(scenario: ScenarioName, language: str) -> None:
    """Guards the wordings that chance seldom picks: every fact occurs, and each of its sentences verifies."""
    telling = TELLINGS[scenario]
    explained = told(rows_of(scenario, 12), scenario, language)
    explained = explained[explained["is_fraud"]]
    facts = explained["evidence"].map(lambda text: json.loads(text)["fact"])
    assert set(facts) == set(telling.evidence) == set(telling.sentences)
    for fact, sentences in telling.sentences.items():
        texts = explained.loc[facts == fact, "explanation"]
        for sentence in sentences[language]:
            # The longest stretch without a value is the sentence's mark.
            marks = max((piece.split("}")[-1] for piece in sentence.split("{")), key=len)
            assert texts.str.contains(marks, regex=False).any(), f"{fact}: {sentence} was never told"


@pytest.mark.parametrize("kept", [1, 2, 7, 19])
@pytest.mark.parametrize("scenario", PLAYED)
def test_an_incident_that_was_cut_is_told_by_the_rows_that_are_left(scenario: ScenarioName, kept: int) -> None:
    """Guards rows that nobody can see: what the period or the exact count cut off is never cited."""
    rows = rows_of(scenario, 1)
    rows = rows[rows.groupby("incident_id").cumcount() < kept]
    explained = told(rows, scenario)
    assert verify(explained) == []
    named = {name for text in explained["evidence"].dropna() for name in json.loads(text)["transactions"]}
    assert named <= set(rows["transaction_id"])


@pytest.mark.parametrize(("currency", "first"), [("JPY", "JPY"), ("KWD", "KWD")])
def test_currencies_without_and_with_three_decimals(currency: str, first: str) -> None:
    """Guards amounts: yen have no decimals, dinars three, in text, evidence and check."""
    people = cases.people("money_laundering", 200, currency)
    case = cases.laundering("mule_chain")
    block = SCENARIOS["money_laundering"].play(case, cases.incident("money_laundering", population=people))
    for language in LANGUAGES:
        explained = told(cases.exported([(case, block)], people), "money_laundering", language, currency)
        assert verify(explained) == []
        assert explained["explanation"].str.contains(first).all()


def test_rows_that_are_no_fraud_stay_silent_and_uncounted() -> None:
    """Guards scenarios in which honest rows belong to an incident: they get no words and move no number."""
    rows = rows_of("money_laundering", 1)
    honest = rows.iloc[[2]].assign(transaction_id="tx_honest", is_fraud=False, amount=1_000_000.0)
    mixed = pd.concat([rows.iloc[:3], honest, rows.iloc[3:]], ignore_index=True)
    explained = told(mixed, "money_laundering")
    assert explained.loc[3, ["explanation", "evidence"]].isna().all()
    assert verify(explained) == []
    alone = told(rows, "money_laundering")["explanation"].tolist()
    assert explained.drop(index=3)["explanation"].tolist() == alone


def test_categorical_and_arrow_columns_are_read_alike() -> None:
    """Guards the real pipeline, whose words arrive dictionary-encoded."""
    rows = rows_of("card_testing", 2)
    words = [name for name in rows.columns if isinstance(rows[name].iloc[0], str)]
    coded = rows.astype(dict.fromkeys(words, "category"))
    pd.testing.assert_frame_equal(
        explain(coded, scenario="card_testing", currency="EUR", language="en"),
        explain(rows, scenario="card_testing", currency="EUR", language="en"),
    )
    assert verify(told(coded, "card_testing")) == []


def test_no_rows_give_no_explanations() -> None:
    """Guards the empty shard."""
    rows = rows_of("card_testing", 1).iloc[:0]
    explained = explain(rows, scenario="card_testing", currency="EUR", language="en")
    assert list(explained.columns) == ["explanation", "evidence"]
    assert len(explained) == 0
    assert verify(rows.join(explained)) == []


def _by_hand(*rows: dict[str, Any]) -> pd.DataFrame:
    """One incident at a minute a row, with the columns given and nulls elsewhere."""
    nothing = dict.fromkeys(
        ("card_id", "merchant_id", "merchant_name", "counterparty_account_id", "counterparty_country", "device_id",
         "ip_address")
    )  # fmt: skip
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    full = [
        {
            **nothing,
            "transaction_id": f"t{i}",
            "event_time": start + pd.Timedelta(minutes=int(row.pop("minute"))),
            "account_id": "a0",
            "direction": "debit",
            "currency": "EUR",
            "response_code": "00",
            "is_fraud": True,
            "case_step": 0,
            "incident_id": "incident",
            "vector": "donation_probe",
            **row,
        }
        for i, row in enumerate(rows)
    ]
    return pd.DataFrame(full)


def test_card_testing_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon", "device_id": "d", "ip_address": "i"}
    test = {**shop, "step_kind": "unit_test", "amount": 1.0}
    rows = _by_hand(
        {**test, "minute": 0, "card_id": "c1", "response_code": "05"},
        {**test, "minute": 1, "card_id": "c2", "ip_address": "j"},
        {**test, "minute": 3, "card_id": "c1", "response_code": "N7", "device_id": None},
        {**shop, "minute": 303, "card_id": "c2", "step_kind": "spend", "amount": 1234.5},
    )
    explained = told(rows, "card_testing")
    third, last = (json.loads(text) for text in explained["evidence"].iloc[[2, 3]])
    assert third | {"language": "", "scenario": "", "currency": ""} == {
        "scenario": "", "fact": "test", "language": "", "currency": "", "attempt": 3, "attempts": 3,
        "elapsed": {"value": 3, "unit": "minutes"}, "cards": 2, "declined": 2, "devices": 1, "addresses": 2,
        "merchants": 1, "merchant": "Fuel 24 Lyon", "amount": 1.0, "response_code": "N7",
        "transactions": ["t0", "t1", "t2"],
    }  # fmt: skip
    assert last["waited"] == {"value": 5, "unit": "hours"}
    assert (last["spend"], last["spends"], last["card_tests"], last["tested_amount"]) == (1, 1, 1, 1.0)
    assert last["transactions"] == ["t0", "t1", "t3"]
    assert "1,234.50 EUR" in explained["explanation"].iloc[3]
    assert "1\u202f234,50 EUR" in told(rows, "card_testing", "fr")["explanation"].iloc[3]
    assert verify(explained) == []


def test_money_laundering_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    rows = _by_hand(
        {"minute": 0, "step_kind": "inbound_transfer", "direction": "credit", "amount": 4200.0, "vector": "mule_chain",
         "counterparty_account_id": "x", "counterparty_country": "FR"},
        {"minute": 52, "step_kind": "internal_transfer", "amount": 3990.0, "vector": "mule_chain",
         "counterparty_account_id": "a1", "counterparty_country": "FR"},
        {"minute": 52, "step_kind": "internal_transfer", "direction": "credit", "amount": 3990.0, "account_id": "a1",
         "vector": "mule_chain", "counterparty_account_id": "a0", "counterparty_country": "FR"},
    )  # fmt: skip
    explained = told(rows, "money_laundering")
    sent, received = (json.loads(text) for text in explained["evidence"].iloc[[1, 2]])
    assert (sent["leg"], sent["legs"], sent["last_in"], sent["amount"]) == (2, 3, 4200.0, 3990.0)
    assert (sent["passed_on"], sent["kept"], sent["receivers"]) == (95, 5, 1)
    assert sent["since_in"] == {"value": 52, "unit": "minutes"}
    assert (received["fact"], received["came_in"], received["senders"], received["accounts"]) == (
        "received",
        3990.0,
        1,
        2,
    )
    assert verify(explained) == []


def _plant(row: pd.Series, name: str, value: Any) -> str:
    return json.dumps({**json.loads(row["evidence"]), name: value}, ensure_ascii=False)


PLANTED: dict[str, tuple[Callable[[pd.DataFrame], dict[str, Any]], str]] = {
    "number in the text": (
        lambda rows: {"explanation": rows.loc[9, "explanation"] + " It is case 4711."},
        "the text says 4711",
    ),
    "number repeated in the text": (
        lambda rows: {"explanation": rows.loc[9, "explanation"] + f" {json.loads(rows.loc[9, 'evidence'])['cards']}"},
        "which the evidence does not",
    ),
    "number in the evidence": (lambda rows: {"evidence": _plant(rows.loc[9], "cards", 99)}, "evidence has cards 99"),
    "fact of nothing": (lambda rows: {"evidence": _plant(rows.loc[9], "wolves", 3)}, "evidence has wolves"),
    "other fact": (lambda rows: {"evidence": _plant(rows.loc[9], "fact", "spend")}, "evidence tells 'spend'"),
    "other currency": (lambda rows: {"evidence": _plant(rows.loc[9], "currency", "USD")}, "the row in EUR"),
    "other scenario": (lambda rows: {"evidence": _plant(rows.loc[9], "scenario", "theft")}, "unknown scenario"),
    "later row": (
        lambda rows: {"evidence": _plant(rows.loc[9], "transactions", list(rows.loc[[9, 10], "transaction_id"]))},
        "none but earlier exported rows",
    ),
    "too many rows": (
        lambda rows: {"evidence": _plant(rows.loc[9], "transactions", list(rows.loc[0:9, "transaction_id"]))},
        "evidence names 10 transactions",
    ),
    "no explanation": (lambda rows: {"explanation": None}, "is fraud but has no explanation"),
    "explained honest row": (lambda rows: {"is_fraud": False}, "is no fraud but has an explanation"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_falsehood_is_found(name: str) -> None:
    """Guards the gate: an explanation that lies must not pass."""
    incident = SCENARIOS["card_testing"].play(cases.card_testing(), cases.incident("card_testing"))
    explained = told(cases.exported([(cases.card_testing(), incident)]), "card_testing")
    assert verify(explained) == []
    change, sentence = PLANTED[name]
    for column, value in change(explained).items():
        explained.at[9, column] = value
    problems = verify(explained)
    assert any(sentence in problem for problem in problems), problems
    assert any(explained.loc[9, "transaction_id"] in problem for problem in problems)


def test_rows_that_contradict_their_scenario_are_refused() -> None:
    """Guards against eloquent nonsense: a spend on an untested card, money that never came in, an unknown tongue."""
    cards = rows_of("card_testing", 1)
    spend = cards[cards["step_kind"] == "spend"]
    with pytest.raises(ExplanationError, match="passed no test"):
        explain(spend, scenario="card_testing", currency="EUR", language="en")
    wires = rows_of("money_laundering", 1)
    out = wires[wires["step_kind"] == "outbound_transfer"]
    with pytest.raises(ExplanationError, match="none came"):
        explain(out, scenario="money_laundering", currency="EUR", language="en")
    with pytest.raises(ExplanationError, match="no sentences"):
        explain(cards, scenario="card_testing", currency="EUR", language="de")
    with pytest.raises(ExplanationError, match="no sentence tells"):
        explain(wires.assign(step_kind="gift"), scenario="money_laundering", currency="EUR", language="en")
