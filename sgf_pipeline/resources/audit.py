"""The audit trail: one row of ``synthetic_batches`` for each manifest, chained by SHA-256.

Belongs here: appending a row, and walking the chain. Does not belong here: the table and the triggers that refuse
UPDATE, DELETE and TRUNCATE (``sgf_pipeline.resources.migrations``).

Every row holds the hash of the row before it, the first one 64 zeros. Whoever changes, removes or forges a row breaks
the chain at that row; whoever cuts its tail is found by the manifests, each of which names its own row.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sgf_pipeline.domain.errors import AuditError
from sgf_pipeline.domain.request import canonical_json
from sgf_pipeline.resources.warehouse import Warehouse

GENESIS = "0" * 64
COLUMNS = ("position", "tenant", "batch_id", "manifest_number", "content_sha", "receipts_sha", "request", "shards",
           "row_count", "fraudulent", "legit", "model", "cost_usd", "s3_uri", "requested_by", "created_at",
           "sgf_version", "previous_sha", "row_sha")  # fmt: skip
_FACTS = COLUMNS[1:-2]
_TABLE = sa.table("synthetic_batches", *map(sa.column, COLUMNS))


@dataclass(frozen=True)
class Link:
    """A row's place in the chain: what its manifest remembers."""

    position: int
    row_sha: str


def append(warehouse: Warehouse, facts: Mapping[str, Any]) -> Link:
    """Append a row with these facts (``COLUMNS`` but the place and the hashes), after the last one; return its place.

    The same manifest (batch, number, receipts) is not appended twice: a run killed before its manifest was written
    finds its row again. Raises ``AuditError`` where the last row is not sound, for a chain that goes on after a
    forged row would hide it.
    """
    with warehouse.writing() as connection:
        known = connection.execute(
            sa.text("SELECT position, row_sha FROM synthetic_batches WHERE tenant = :tenant AND batch_id = :batch_id"
                    " AND manifest_number = :manifest_number AND receipts_sha = :receipts_sha"),
            {name: facts[name] for name in ("tenant", "batch_id", "manifest_number", "receipts_sha")},
        ).first()  # fmt: skip
        if known is not None:
            return Link(*known)
        newest = connection.execute(sa.select(_TABLE).order_by(_TABLE.c.position.desc()).limit(1)).mappings().first()
        last = None if newest is None else dict(newest)
        if last is not None and row_sha(last) != last["row_sha"]:
            raise AuditError(_broken(warehouse, last, "its hash is not that of its content"))
        row = {
            "position": 1 if last is None else last["position"] + 1,
            **{name: facts[name] for name in _FACTS},
            "previous_sha": GENESIS if last is None else last["row_sha"],
        }
        row["row_sha"] = row_sha(row)
        connection.execute(sa.insert(_TABLE), row)
        return Link(row["position"], row["row_sha"])


def row_sha(row: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all of the row but its own hash."""
    return hashlib.sha256(canonical_json({name: row[name] for name in COLUMNS[:-1]}).encode()).hexdigest()


def verify(warehouse: Warehouse, manifests: Iterable[tuple[str, Link]] = ()) -> int:
    """Walk the chain, then look each manifest's link up in it; return how many rows it has.

    ``manifests``: (name of the manifest for messages, its link). Raises ``AuditError`` naming the first broken row.
    """
    hashes: dict[int, str] = {}
    before = GENESIS
    with warehouse.reading() as connection:
        found = connection.execution_options(stream_results=True).execute(sa.select(_TABLE).order_by(_TABLE.c.position))
        for place, row in enumerate(map(dict, found.mappings()), start=1):
            if row["position"] != place:
                raise AuditError(_broken(warehouse, row, f"row {place} is missing before it"))
            if row["previous_sha"] != before:
                raise AuditError(_broken(warehouse, row, "it does not name the hash of the row before it"))
            if row["row_sha"] != row_sha(row):
                raise AuditError(_broken(warehouse, row, "its hash is not that of its content"))
            before = hashes[place] = row["row_sha"]
    for name, link in manifests:
        if hashes.get(link.position) != link.row_sha:
            what = "is another one" if link.position in hashes else "is gone: the chain's tail was cut"
            raise AuditError(
                f"audit trail of {warehouse.address} is broken: row {link.position}, which {name} names, {what};"
                " compare with a backup of the database"
            )
    return len(hashes)


def _broken(warehouse: Warehouse, row: Mapping[str, Any], why: str) -> str:
    return (
        f"audit trail of {warehouse.address} is broken at row {row['position']}"
        f" (batch {row['batch_id']}, manifest {row['manifest_number']}): {why}; compare with a backup of the database"
    )
