"""``explain``: facts of exported rows, in words and as evidence.

Belongs here: the walk from a scenario's facts to text and JSON. Does not belong here: facts and sentences of one
scenario (its module) or how numbers are written (``wording``).
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.money import minor_digits
from sgf_pipeline.explain import (
    account_takeover,
    card_testing,
    chargeback_fraud,
    identity_theft,
    merchant_fraud,
    money_laundering,
    phishing,
)
from sgf_pipeline.explain.log import Array, Facts, Log, Telling
from sgf_pipeline.explain.wording import LANGUAGES, as_evidence, as_text

TELLINGS: dict[str, Telling] = {
    "account_takeover": account_takeover.TELLING,
    "card_testing": card_testing.TELLING,
    "chargeback_fraud": chargeback_fraud.TELLING,
    "identity_theft": identity_theft.TELLING,
    "merchant_fraud": merchant_fraud.TELLING,
    "money_laundering": money_laundering.TELLING,
    "phishing": phishing.TELLING,
}


def explain(rows: pd.DataFrame, *, scenario: str, currency: str, language: str) -> pd.DataFrame:
    """Explanations of the fraud rows of one shard.

    ``rows``: every exported row of whole incidents, in time order — the columns ``FEATURES`` with ``is_fraud``,
    ``case_step``, ``incident_id``, ``vector`` and ``step_kind``. Returns a frame on the same index with
    ``explanation`` (one or two sentences) and ``evidence`` (JSON: the numbers by name, durations as value and unit,
    money in major units, and at most 8 ``transactions`` that the numbers speak of); both are ``None`` on rows that
    are no fraud. Numbers count what the incident's exported rows had shown up to and including the row, but for
    totals ("7 of 23"), which count all its exported rows.

    Raises ``ExplanationError`` for a scenario or language without sentences, and where the rows contradict the
    scenario (money carried on that never came in, a card spent that passed no test).
    """
    if scenario not in TELLINGS or language not in LANGUAGES:
        raise ExplanationError(f"there are no sentences for {scenario!r} in {language!r}: write them in explain/")
    telling = TELLINGS[scenario]
    explanation = np.full(len(rows), None, dtype=object)
    evidence = np.full(len(rows), None, dtype=object)
    if len(rows):
        log = Log(rows, minor_digits(currency))
        facts = telling.facts(log)
        untold = np.flatnonzero(log.is_fraud & (facts.fact == None))  # noqa: E711 (elementwise)
        if len(untold):
            raise ExplanationError(f"row {rows.index[untold[0]]!r} of {scenario} is fraud that no sentence tells")
        mentioned = _mentioned(facts, log.words("transaction_id"), log.is_fraud)
        wordings = _wordings(log)
        for name in telling.evidence:
            chosen = np.flatnonzero(facts.fact == name)
            if len(chosen):
                head = {"scenario": scenario, "fact": name, "language": language, "currency": currency}
                texts, proofs = _told(telling, facts, chosen, head, wordings[chosen], mentioned[chosen])
                explanation[chosen] = texts
                evidence[chosen] = proofs
    return pd.DataFrame({"explanation": explanation, "evidence": evidence}, index=rows.index, dtype=object)


def _told(
    telling: Telling, facts: Facts, chosen: Array, head: dict[str, str], wordings: Array, mentioned: Array
) -> tuple[list[str], list[str]]:
    """Texts and evidence of the rows at the positions ``chosen``, which all tell the same fact."""
    digits = minor_digits(head["currency"])
    names = telling.evidence[head["fact"]]
    raw: dict[str, Sequence[Any]] = {name: facts.values[name][chosen].tolist() for name in names}
    told = [as_text(name, telling.kinds[name], raw[name], digits, head["currency"], head["language"]) for name in names]
    proven = [as_evidence(name, telling.kinds[name], raw[name], digits) for name in names]
    sentences = telling.sentences[head["fact"]][head["language"]]
    texts = [
        sentences[wording % len(sentences)].format(**dict(zip(names, values, strict=True)))
        for wording, values in zip(wordings.tolist(), zip(*told, strict=True), strict=True)
    ]
    proofs = [
        json.dumps({**head, **dict(zip(names, values, strict=True)), "transactions": ids}, ensure_ascii=False)
        for values, ids in zip(zip(*proven, strict=True), mentioned, strict=True)
    ]
    return texts, proofs


def _wordings(log: Log) -> Array:
    """A number an incident, from the CRC-32 of its id: one incident is worded alike, two may differ."""
    hashes = [zlib.crc32(str(name).encode()) for name in log.words("incident_id")[_first_rows(log.incident)]]
    return np.array(hashes, dtype=np.int64)[log.incident]


def _first_rows(incident: Array) -> Array:
    """Position of the first row of each incident (codes count from 0 in order of appearance)."""
    return np.unique(incident, return_index=True)[1]


def _mentioned(facts: Facts, identifiers: Array, is_fraud: Array) -> Array:
    """The transaction ids each fraud row speaks of, without repeats, in the order of the mentions."""
    mentioned = np.full(len(identifiers), None, dtype=object)
    columns = [positions[is_fraud].tolist() for positions in facts.mentions]
    names = identifiers.tolist()
    for row, positions in zip(np.flatnonzero(is_fraud).tolist(), zip(*columns, strict=True), strict=True):
        mentioned[row] = [names[position] for position in dict.fromkeys(positions) if position >= 0]
    return mentioned
