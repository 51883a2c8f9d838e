"""How varied explanations are, and the rows that one of them speaks of.

Belongs here: the measure of wording and the way from an explanation to its rows, both from exported columns alone.
Does not belong here: whether an explanation is true (``explain.verify``) or how it is worded (``explain``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.domain.randomness import rng

# A number with its marks of thousands and decimals is one token; an apostrophe parts two words.
_TOKEN = re.compile(r"\d+(?:[.,\u202f]\d+)*|[^\W\d_]+")

ALIKE = 0.9


@dataclass(frozen=True)
class Sameness:
    """``sampled`` explanations; ``pairs`` of them that belong to different incidents; the shares (0–1) of those pairs
    whose token Jaccard index is at least ``ALIKE``, with numbers (``alike``) and by their words alone
    (``alike_words``). Both are 0 where there is no such pair.
    """

    sampled: int
    pairs: int
    alike: float
    alike_words: float


def tokens(text: str) -> frozenset[str]:
    """The different words (lower case) and numbers (as written) of an explanation."""
    return frozenset(_TOKEN.findall(text.lower()))


def sameness(rows: pd.DataFrame, seed: int, most: int = 1_000) -> Sameness:
    """How often explanations of different incidents say nearly the same.

    ``rows``: any labelled rows with ``explanation`` and ``incident_id``; those without an explanation are left out, of
    the others ``most`` are drawn by ``seed`` without replacement. Two explanations are alike where the sets of their
    tokens have a Jaccard index (shared tokens over all tokens of both) of at least ``ALIKE``.
    """
    told = rows.loc[rows["explanation"].notna().to_numpy(), ["explanation", "incident_id"]]
    if len(told) > most:
        told = told.iloc[np.sort(rng(seed, "sameness").choice(len(told), most, replace=False))]
    said = [tokens(text) for text in told["explanation"]]
    incident = pd.factorize(told["incident_id"])[0]
    apart = np.triu(incident[:, None] != incident[None, :])
    pairs = int(apart.sum())
    words = [frozenset(token for token in one if not token[0].isdigit()) for one in said]
    alike, alike_words = (float((_alike(sets) & apart).sum()) / pairs if pairs else 0.0 for sets in (said, words))
    return Sameness(len(said), pairs, alike, alike_words)


def _alike(sets: list[frozenset[str]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which pairs of sets have a Jaccard index of at least ``ALIKE``."""
    column = {token: number for number, token in enumerate(sorted(frozenset().union(*sets)))}
    table = np.zeros((len(sets), len(column)), dtype=np.float32)
    for line, one in enumerate(sets):
        table[line, [column[token] for token in one]] = 1
    shared = table @ table.T
    sizes = table.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - shared
    # in whole tenths: 0.9 has no exact binary form, and 9 shared of 10 must count
    alike: np.ndarray[Any, np.dtype[np.bool_]] = np.rint(10 * shared) >= np.rint(10 * ALIKE) * either
    return alike


def follow(row: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the explanation of one fraud row speaks of.

    ``row``: a labelled fraud row. ``rows``: the labelled rows of its shard in the order of the shard's file, this one
    among them (rows of other shards do no harm). Returns those rows of ``rows`` that its evidence cites, in their
    order, with a first column ``cited_as``: the name of the citation, ``this`` for the row itself. A row that is cited
    twice is there twice. Citations are followed by their conditions, so that all their rows come, not only those whose
    ids are listed.

    Raises ``ExplanationError`` where the row has no evidence or does not lie among ``rows``.
    """
    name = row["transaction_id"]
    if not isinstance(row["evidence"], str):
        raise ExplanationError(f"transaction {name!r} has no evidence: only fraud rows can be followed")
    incident = rows[(rows["incident_id"] == row["incident_id"]).to_numpy()]
    place = np.flatnonzero((incident["transaction_id"] == name).to_numpy())
    if len(place) != 1:
        raise ExplanationError(f"transaction {name!r} is {len(place)} times among the rows: give its whole shard once")
    until = {"earlier": place[0], "so far": place[0] + 1, "whole": len(incident)}
    found = [incident.iloc[place].assign(cited_as="this")]
    for cited_as, citation in json.loads(row["evidence"])["rows"].items():
        within = incident.iloc[: until[citation["span"]]]
        for column, words in citation["where"].items():
            if words is None:
                within = within[within[column].isna()]
            else:
                within = within[within[column].isin(words if isinstance(words, list) else [words])]
        found.append(within.assign(cited_as=cited_as))
    cited: pd.DataFrame = pd.concat(found)[["cited_as", *rows.columns]]
    return cited
