"""``explain``: facts of exported rows, in words and as evidence.

Belongs here: the walk from a scenario's facts to text and JSON. Does not belong here: facts and sentences of one
scenario (its module), which rows a number comes from (``citing``) or how numbers are written (``wording``).
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
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
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import Array, Log, Story, Telling, named
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

# The orders in which lead, more and place may follow one another.
_ORDERS = (("place", "lead", "more"), ("lead", "more", "place"), ("lead", "place", "more"))


def explain(rows: pd.DataFrame, *, scenario: str, currency: str, language: str) -> pd.DataFrame:
    """Explanations of the fraud rows of one shard.

    ``rows``: every exported row of whole incidents, in time order — the columns ``FEATURES`` with ``is_fraud``,
    ``case_step``, ``incident_id``, ``vector`` and ``step_kind``. Returns a frame on the same index with
    ``explanation`` (three sentences) and ``evidence`` (JSON, described in ``docs/explanations.md``: the values by name,
    the order in which the text tells them, and the rows that each number comes from); both are ``None`` on rows that
    are no fraud. Numbers speak of the incident's exported rows up to and including the row, but for totals ("7 of
    23"), which count all of them. Sentences are drawn by incident and transaction id alone.

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
        seen = Citations(log, telling)
        fact = telling.facts(log, seen)
        untold = np.flatnonzero(log.is_fraud & (fact == None))  # noqa: E711 (elementwise)
        if len(untold):
            raise ExplanationError(f"row {rows.index[untold[0]]!r} of {scenario} is fraud that no sentence tells")
        for name, story in telling.stories.items():
            chosen = np.flatnonzero(fact == name)
            if len(chosen):
                head = {"scenario": scenario, "fact": name, "language": language, "currency": currency}
                explanation[chosen], evidence[chosen] = _told(telling, log, seen, chosen, head, story)
    return pd.DataFrame({"explanation": explanation, "evidence": evidence}, index=rows.index, dtype=object)


def _told(
    telling: Telling, log: Log, seen: Citations, chosen: Array, head: dict[str, str], story: Story
) -> tuple[list[str], list[str]]:
    """Texts and evidence of the rows at the positions ``chosen``, which all tell the same fact."""
    digits, names = minor_digits(head["currency"]), story.names
    texts: list[Sequence[str]] = []
    proven: list[Sequence[Any]] = []
    for name in names:
        column = log.words(telling.words[name]) if name in telling.words else seen.numbers[name]
        raw = column[chosen].tolist()
        kind = telling.kinds[name]
        texts.append(as_text(name, kind, raw, digits, head["currency"], head["language"]))
        proven.append(as_evidence(name, kind, raw, digits))
    incidents, transactions = log.words("incident_id")[chosen], log.words("transaction_id")[chosen]
    drawn = [_draw(story, head["language"], *ids) for ids in zip(incidents, transactions, strict=True)]
    said = [
        template.format_map(dict(zip(names, values, strict=True)))
        for template, values in zip(drawn, zip(*texts, strict=True), strict=True)
    ]
    proofs = [
        json.dumps(
            {**head, **dict(zip(names, values, strict=True)), "told": told, "rows": seen.cite(told, row)},
            ensure_ascii=False,
        )
        for told, values, row in zip(map(named, drawn), zip(*proven, strict=True), chosen.tolist(), strict=True)
    ]
    return said, proofs


def _draw(story: Story, language: str, incident: str, transaction: str) -> str:
    """The sentences of one row, joined: drawn by the BLAKE2 hash of its incident and its own id."""
    lot = int.from_bytes(blake2b(f"{incident}/{transaction}".encode(), digest_size=8).digest(), "big")
    lot, order = divmod(lot, len(_ORDERS))
    parts = {}
    for part, wordings in (("lead", story.lead), ("more", story.more), ("place", story.place)):
        sentences = wordings.of(language)
        lot, choice = divmod(lot, len(sentences))
        parts[part] = sentences[choice]
    return " ".join(parts[part] for part in _ORDERS[order])
