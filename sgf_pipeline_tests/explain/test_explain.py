"""Explanations are true of the exported rows, and ``verify`` finds the ones that are not."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from babel.numbers import format_currency, format_decimal

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.explain.explaining import TELLINGS
from sgf_pipeline.explain.log import named
from sgf_pipeline.explain.wording import Count, Money, as_text
from sgf_pipeline_tests.explain.telling import (
    LANGUAGES,
    PLAYED,
    by_hand,
    listed,
    proofs,
    reworded,
    rows_of,
    smallest,
    told,
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scenario", PLAYED)
def test_every_sentence_is_told_and_true(scenario: ScenarioName, language: str) -> None:
    """Guards the promise of facts: every wording of every fact occurs, and a second implementation recomputes it."""
    rows = rows_of(scenario)
    if scenario == "identity_theft":  # some incidents without their quiet rows, some that begin with a repayment
        number = rows["incident_id"].str[4:].astype(int)
        repaid = (rows["step_kind"] == "false_repayment").groupby(rows["incident_id"]).cumsum() > 0
        rows = rows[(rows["is_fraud"] | (number % 2 == 1)) & (repaid | (number % 3 > 0))].reset_index(drop=True)
    if scenario == "merchant_fraud":  # some incidents whose genuine rows are not exported
        rows = rows[rows["is_fraud"] | (rows["incident_id"].str[4:].astype(int) % 3 > 0)].reset_index(drop=True)
    missing = {
        (fact, sentence)
        for fact, story in TELLINGS[scenario].stories.items()
        for part in (story.lead, story.more, story.place)
        for sentence in part.of(language)
    }
    for number in range(30):
        explained = told(reworded(rows, number), scenario, language)
        assert verify(explained) == []
        explained = explained[explained["is_fraud"]].assign(fact=[p["fact"] for p in proofs(explained) if p])
        assert explained["explanation"].str.len().between(40, 400).all()
        for fact, sentence in sorted(missing):
            # the longest stretch without a value is the sentence's mark
            mark = max((piece.split("}")[-1] for piece in sentence.split("{")), key=len)
            if explained.loc[explained["fact"] == fact, "explanation"].str.contains(mark, regex=False).any():
                missing.discard((fact, sentence))
        wanted = explained.loc[explained["fact"].isin([fact for fact, _ in missing]), "incident_id"]
        rows = rows[rows["incident_id"].isin(wanted)].reset_index(drop=True)
        if rows.empty:
            break
    assert missing == set()


@pytest.mark.parametrize("scenario", PLAYED)
def test_both_languages_can_say_the_same(scenario: ScenarioName) -> None:
    """Guards against a fact that only one language tells, and against one value told twice in a breath."""
    for fact, story in TELLINGS[scenario].stories.items():
        for part in (story.lead, story.more, story.place):
            english, french = ([set(named(one)) for one in part.of(at)] for at in LANGUAGES)
            assert len(english) == len(french), fact
            assert set().union(*english) == set().union(*french), fact
        for language in LANGUAGES:
            lead, more = (
                {name for one in part.of(language) for name in named(one)} for part in (story.lead, story.more)
            )
            assert not lead & more, fact


@pytest.mark.parametrize("scenario", PLAYED)
def test_a_row_is_worded_alike_whatever_comes_with_it(scenario: ScenarioName) -> None:
    """Guards determinism: the draw of a sentence must not know the other incidents of the batch or their order."""
    rows = rows_of(scenario)
    explained = told(rows, scenario)
    incident = rows["incident_id"] == rows["incident_id"].iloc[-1]
    alone = told(rows[incident].reset_index(drop=True), scenario)
    for column in ("explanation", "evidence"):
        assert alone[column].tolist() == explained.loc[incident, column].tolist()


@pytest.mark.parametrize("kept", [1, 3, 8])
@pytest.mark.parametrize("scenario", PLAYED)
def test_an_incident_that_was_cut_is_told_by_the_rows_that_are_left(scenario: ScenarioName, kept: int) -> None:
    """Guards rows that nobody can see: what the period or the exact count cut off is never cited."""
    rows = rows_of(scenario, 1)
    rows = rows[rows.groupby("incident_id").cumcount() < kept].reset_index(drop=True)
    explained = told(rows, scenario)
    assert verify(explained) == []
    names = {name for proof in proofs(explained) if proof for name in listed(proof)}
    assert names <= set(rows["transaction_id"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("currency", ["JPY", "KWD"])
@pytest.mark.parametrize("scenario", PLAYED)
def test_currencies_without_and_with_three_decimals(scenario: ScenarioName, currency: str, language: str) -> None:
    """Guards amounts: yen have no decimals, dinars three, in text, evidence and check; none is lost to rounding."""
    explained = told(rows_of(scenario, 1, currency), scenario, language, currency)
    assert verify(explained) == []
    assert explained.loc[explained["is_fraud"], "explanation"].str.contains(currency).all()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3)])
def test_numbers_and_money_are_written_as_babel_writes_them(language: str, currency: str, digits: int) -> None:
    """Guards the marks of thousands and decimals, which are set without babel's slow formatter."""
    for minor in (0, 7, 1_234, 999_999, 123_456_789_012):
        pattern = "#,##0" + "." * (digits > 0) + "0" * digits + " ¤¤"
        expected = format_currency(minor / 10**digits, currency, pattern, locale=language, currency_digits=False)
        assert as_text("amount", Money(), [minor], digits, currency, language) == [expected]
        number = as_text("cards", Count("card"), [minor], digits, currency, language)[0].rsplit(" ", 1)[0]
        assert number == format_decimal(minor, locale=language)


def test_french_plurals_begin_at_two() -> None:
    """Guards grammar: French says no and one in the singular, English one alone."""
    counts = [as_text("cards", Count("card"), [0, 1, 2], 2, "EUR", language) for language in LANGUAGES]
    assert counts == [["0 cards", "1 card", "2 cards"], ["0 carte", "1 carte", "2 cartes"]]


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


def test_card_testing_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon", "device_id": "d", "ip_address": "i"}
    test = {**shop, "step_kind": "unit_test", "amount": 1.0}
    rows = by_hand(
        {**test, "minute": 0, "card_id": "c1", "response_code": "05"},
        {**test, "minute": 1, "card_id": "c2", "ip_address": "j"},
        {**test, "minute": 3, "card_id": "c1", "response_code": "N7", "device_id": None},
        {**shop, "minute": 303, "card_id": "c2", "step_kind": "spend", "amount": 1234.5},
        vector="donation_probe",
    )
    explained = told(rows, "card_testing")
    _, _, third, last = proofs(explained)
    counted = {
        "scenario": "card_testing", "fact": "test", "language": "en", "currency": "EUR", "attempt": 3, "attempts": 3,
        "elapsed": {"value": 3, "unit": "minutes"}, "cards": 2, "good_cards": 1, "declined": 2, "devices": 1,
        "addresses": 2, "merchants": 1, "merchant": "Fuel 24 Lyon", "amount": 1.0, "response_code": "N7",
    }  # fmt: skip
    assert {name: value for name, value in third.items() if name not in ("told", "rows")} == counted
    assert last["waited"] == {"value": 5, "unit": "hours"}
    assert (last["spend"], last["spends"], last["card_tests"], last["tested_amount"]) == (1, 1, 1, 1.0)
    assert last["rows"]["passed"] == {
        "where": {"is_fraud": True, "response_code": "00", "card_id": "c2", "case_step": [0]},
        "span": "earlier",
        "count": 1,
        "transactions": ["t1"],
        "gives": {"waited": "since last", "tested_amount": "last amount"},
    }
    assert "1,234.50 EUR" in explained["explanation"].iloc[3]
    assert "N7 (wrong security code)" in explained["explanation"].iloc[2]
    assert "1\u202f234,50 EUR" in told(rows, "card_testing", "fr")["explanation"].iloc[3]
    assert verify(explained) == []


def test_money_laundering_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    rows = by_hand(
        {"minute": 0, "step_kind": "inbound_transfer", "direction": "credit", "amount": 4200.0,
         "counterparty_account_id": "x"},
        {"minute": 52, "step_kind": "internal_transfer", "amount": 3990.0, "counterparty_account_id": "b"},
        {"minute": 52, "step_kind": "internal_transfer", "direction": "credit", "amount": 3990.0, "account_id": "b",
         "counterparty_account_id": "a"},
        counterparty_country="FR", vector="mule_chain",
    )  # fmt: skip
    explained = told(rows, "money_laundering")
    _, sent, received = proofs(explained)
    assert (sent["leg"], sent["legs"], sent["last_in"], sent["amount"]) == (2, 3, 4200.0, 3990.0)
    assert (sent["passed_on"], sent["kept"], sent["receivers"]) == (95, 5, 1)
    assert sent["since_in"] == {"value": 52, "unit": "minutes"}
    assert (received["fact"], received["came_in"], received["senders"]) == ("received", 3990.0, 1)
    assert (received["accounts"], received["scheme_accounts"]) == (2, 2)
    assert verify(explained) == []


def _changed(number: str) -> str:
    """Another number of the same look: its last digit differs."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def _lies_in_the_text(row: pd.Series) -> Iterator[str]:
    names = [json.loads(row["evidence"]).get(name) for name in ("merchant", "cash_point")]
    hidden = [match.span() for name in names if name for match in re.finditer(re.escape(name), row["explanation"])]
    for match in re.finditer(r"\d+", row["explanation"]):
        start, end = match.span()
        if not any(first <= start and end <= last for first, last in hidden):
            yield row["explanation"][:start] + _changed(match.group()) + row["explanation"][end:]


def _lies_in_the_evidence(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every number of the evidence; steps of a condition apart, which is judged by the rows that it finds."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if key != "case_step":
                yield from _lies_in_the_evidence(part, (*above, key))
    elif not isinstance(value, bool) and isinstance(value, int | float):
        yield above


def _with_lie(evidence: str, path: tuple[Any, ...]) -> str:
    changed = json.loads(evidence)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] += 1
    return json.dumps(changed, ensure_ascii=False)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scenario", PLAYED)
def test_no_number_can_be_changed_unnoticed(scenario: ScenarioName, language: str) -> None:
    """Guards the gate: each numeral of the text, and each number of the evidence, is changed by one in turn."""
    explained = told(smallest(rows_of(scenario)), scenario, language)
    assert verify(explained) == []
    frauds = explained.index[explained["is_fraud"]]
    at = frauds[-1] if language == "en" else frauds[len(frauds) // 2]
    row = explained.loc[at]
    lies = [("explanation", text) for text in _lies_in_the_text(row)]
    paths = _lies_in_the_evidence(json.loads(row["evidence"]))
    lies += [("evidence", _with_lie(row["evidence"], path)) for path in paths]
    assert len(lies) >= 8
    for column, lie in lies:
        planted = explained.copy()
        planted.at[at, column] = lie
        assert any(row["transaction_id"] in problem for problem in verify(planted)), (column, lie)


def _plant(row: pd.Series, name: str, value: Any) -> str:
    return json.dumps({**json.loads(row["evidence"]), name: value}, ensure_ascii=False)


def _cite(row: pd.Series, **changes: Any) -> str:
    """The evidence with its first citation changed."""
    evidence = json.loads(row["evidence"])
    name = next(iter(evidence["rows"]))
    evidence["rows"][name] = {**evidence["rows"][name], **changes}
    return json.dumps(evidence, ensure_ascii=False)


PLANTED: dict[str, tuple[Callable[[pd.DataFrame, int], dict[str, Any]], str]] = {
    "number in the text": (
        lambda rows, at: {"explanation": rows.loc[at, "explanation"] + " It is case 4711."},
        "the text says 4711, which the evidence does not",
    ),
    "number repeated in the text": (
        lambda rows, at: {"explanation": rows.loc[at, "explanation"] + f" {rows.loc[at, 'amount']}"},
        "which the evidence does not",
    ),
    "number missing in the text": (
        lambda rows, at: {"explanation": "A card was tried."},
        "the text does not",
    ),
    "other unit": (
        lambda rows, at: {"explanation": rows.loc[at, "explanation"].replace(" EUR", " USD")},
        "without EUR, the unit of amount",
    ),
    "other shop": (
        lambda rows, at: {
            "explanation": rows.loc[at, "explanation"].replace(rows.loc[at, "merchant_name"], "Elsewhere")
        },
        "the text does not name",
    ),
    "fact of nothing": (lambda rows, at: {"evidence": _plant(rows.loc[at], "wolves", 3)}, "evidence has wolves"),
    "other fact": (lambda rows, at: {"evidence": _plant(rows.loc[at], "fact", "spend")}, "evidence tells 'spend'"),
    "other currency": (lambda rows, at: {"evidence": _plant(rows.loc[at], "currency", "USD")}, "the row in EUR"),
    "other scenario": (lambda rows, at: {"evidence": _plant(rows.loc[at], "scenario", "theft")}, "unknown scenario"),
    "no rows": (lambda rows, at: {"evidence": _plant(rows.loc[at], "rows", {})}, "cites no rows for it"),
    "later row": (
        lambda rows, at: {"evidence": _cite(rows.loc[at], transactions=list(rows.loc[[at, at + 1], "transaction_id"]))},
        "list transactions that the condition does not find",
    ),
    "row withheld": (lambda rows, at: {"evidence": _cite(rows.loc[at], transactions=[])}, "must"),
    "other condition": (
        lambda rows, at: {"evidence": _cite(rows.loc[at], where={"is_fraud": True, "account_id": "nobody"})},
        "the condition finds 0",
    ),
    "unknown column": (lambda rows, at: {"evidence": _cite(rows.loc[at], where={"mood": "bad"})}, "unknown column"),
    "no explanation": (lambda rows, at: {"explanation": None}, "is fraud but has no explanation"),
    "explained honest row": (lambda rows, at: {"is_fraud": False}, "is no fraud but has an explanation"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_falsehood_is_found(name: str) -> None:
    """Guards the gate: an explanation that lies must not pass."""
    rows = rows_of("card_testing", 1)
    explained = told(rows[rows["incident_id"] == "inc_0"].reset_index(drop=True), "card_testing")
    assert verify(explained) == []
    at = 11  # more rows before it than a citation lists
    change, sentence = PLANTED[name]
    for column, value in change(explained, at).items():
        explained.at[at, column] = value
    problems = verify(explained)
    assert any(sentence in problem for problem in problems), problems
    assert any(explained.loc[at, "transaction_id"] in problem for problem in problems)


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
