"""The audit trail: one row of ``synthetic_batches`` for each manifest, chained by SHA-256.

Belongs here: appending a row, and walking the chain. Does not belong here: the table and the triggers that refuse
UPDATE, DELETE and TRUNCATE (``sgf_pipeline.resources.migrations``), and how its rows are reached (each warehouse's
``trail``).

Every row holds the hash of the row before it, the first one 64 zeros. Whoever changes, removes or forges a row breaks
the chain at that row; whoever cuts its tail is found by the manifests, each of which names its own row.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sgf_pipeline.domain.errors import AuditError, SinkUnavailableError
from sgf_pipeline.domain.request import canonical_json

GENESIS = "0" * 64
COLUMNS = ("position", "tenant", "batch_id", "manifest_number", "content_sha", "receipts_sha", "request", "shards",
           "row_count", "fraudulent", "legit", "model", "cost_usd", "s3_uri", "requested_by", "created_at",
           "sgf_version", "previous_sha", "row_sha")  # fmt: skip
_FACTS = COLUMNS[1:-2]
# A run that was killed and repeated is later, and perhaps of a newer version, than the row that it finds again.
_COMPARED = tuple(name for name in _FACTS if name not in ("created_at", "sgf_version"))
_SAME_MANIFEST = ("tenant", "batch_id", "manifest_number", "receipts_sha", "s3_uri")
# Where no lock can be held over several requests, a writer whose place is taken begins again this often.
ATTEMPTS = 50


@dataclass(frozen=True)
class Link:
    """A row's place in the chain: what its manifest remembers."""

    position: int
    row_sha: str


class PlaceTakenError(Exception):
    """Another row names the same row before it: somebody appended in between."""


class Trail(Protocol):
    """The rows of ``synthetic_batches``, as a warehouse reaches them."""

    def find(self, **wanted: Any) -> Mapping[str, Any] | None:
        """A row with these values, if there is one."""

    def newest(self) -> Mapping[str, Any] | None:
        """The row with the highest position."""

    def insert(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises ``PlaceTakenError`` where nothing else keeps two writers from the same place."""

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """All rows by position."""


class Audited(Protocol):
    """A warehouse with an audit trail."""

    @property
    def address(self) -> str:
        """For messages: never with a password or key."""

    def trail(self, *, writing: bool) -> AbstractContextManager[Trail]:
        """The trail; for ``writing``, nobody else's ``writing`` comes between where the warehouse can see to that."""


@dataclass(frozen=True)
class Claim:
    """What a manifest says of its row: the manifest's name, for messages, and the facts that the row must hold."""

    name: str
    facts: Mapping[str, Any]


def append(warehouse: Audited, facts: Mapping[str, Any]) -> Link:
    """Append a row with these facts (``COLUMNS`` but the place and the hashes), after the last one; return its place.

    The same manifest (batch, number, receipts, address) is not appended twice: a run killed before its manifest was
    written finds its row again. Raises ``AuditError`` where that row says something else, or the last row is not sound,
    for a chain that goes on after a forged row would hide it.
    """
    for _ in range(ATTEMPTS):
        with warehouse.trail(writing=True) as trail:
            known = trail.find(**{name: facts[name] for name in _SAME_MANIFEST})
            if known is not None:
                _sound(warehouse, known)
                _compare(warehouse, known, facts, "its manifest")
                return Link(known["position"], known["row_sha"])
            last = trail.newest()
            if last is not None:
                _sound(warehouse, last)
            row = {
                "position": 1 if last is None else last["position"] + 1,
                **{name: facts[name] for name in _FACTS},
                "previous_sha": GENESIS if last is None else last["row_sha"],
            }
            row["row_sha"] = row_sha(row)
            try:
                trail.insert(row)
            except PlaceTakenError:
                continue
            return Link(row["position"], row["row_sha"])
    raise SinkUnavailableError(
        f"audit trail of {warehouse.address}: another writer was quicker {ATTEMPTS} times: try again later"
    )


def row_sha(row: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all of the row but its own hash."""
    return hashlib.sha256(canonical_json({name: row[name] for name in COLUMNS[:-1]}).encode()).hexdigest()


def verify(warehouse: Audited, manifests: Iterable[tuple[str, Link]] = ()) -> int:
    """Walk the chain, then look each manifest's link up in it; return how many rows it has.

    ``manifests``: (name of the manifest for messages, its link). Raises ``AuditError`` naming the first broken row.
    """
    hashes: dict[int, str] = {}
    before = GENESIS
    with warehouse.trail(writing=False) as trail:
        for place, row in enumerate(trail.rows(), start=1):
            if row["position"] != place:
                raise AuditError(_broken(warehouse, row, f"row {place} is missing before it"))
            if row["previous_sha"] != before:
                raise AuditError(_broken(warehouse, row, "it does not name the hash of the row before it"))
            _sound(warehouse, row)
            before = hashes[place] = row["row_sha"]
    for name, link in manifests:
        if hashes.get(link.position) != link.row_sha:
            what = "is another one" if link.position in hashes else "is gone: the chain's tail was cut"
            raise AuditError(
                f"audit trail of {warehouse.address} is broken: row {link.position}, which {name} names, {what};"
                " compare with a backup of the database, or point DATABASE_URL at the warehouse of that batch"
            )
    return len(hashes)


def account(warehouse: Audited, claims: Mapping[int, Claim]) -> None:
    """Hold every row to the manifest that names it. ``claims``: by the row's position; all manifests that there are.

    The chain alone does not show a row that was forged at its end and hashed as it should be, nor a manifest that was
    changed or removed. Raises ``AuditError`` naming the first row that differs, or that no manifest names.
    """
    with warehouse.trail(writing=False) as trail:
        for row in trail.rows():
            claim = claims.get(row["position"])
            if claim is None:
                raise AuditError(
                    f"audit trail of {warehouse.address} holds row {row['position']} (batch {row['batch_id']}, manifest"
                    f" {row['manifest_number']}) that no manifest names: it was forged or its manifest removed; if the"
                    " batch lies in another storage, name that one too (--storage-url); if its run was killed, build it"
                    " again"
                )
            _compare(warehouse, row, claim.facts, claim.name)


def _sound(warehouse: Audited, row: Mapping[str, Any]) -> None:
    if row["row_sha"] != row_sha(row):
        raise AuditError(_broken(warehouse, row, "its hash is not that of its content"))


def _compare(warehouse: Audited, row: Mapping[str, Any], facts: Mapping[str, Any], name: str) -> None:
    for fact in _COMPARED:
        if row[fact] != facts[fact]:
            raise AuditError(_broken(warehouse, row, f"its {fact} is not that of {name}"))


def _broken(warehouse: Audited, row: Mapping[str, Any], why: str) -> str:
    return (
        f"audit trail of {warehouse.address} is broken at row {row['position']}"
        f" (batch {row['batch_id']}, manifest {row['manifest_number']}): {why}; compare with a backup of the database"
    )
