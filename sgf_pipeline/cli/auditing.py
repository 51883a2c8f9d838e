"""``sgf audit verify``: walk the audit trail, and hold every manifest of the storage to it.

Belongs here: reading settings and telling the outcome. Does not belong here: the chain (``resources.audit``).
"""

import typer

from sgf_pipeline import batches
from sgf_pipeline.definitions import lake_of, warehouse_of
from sgf_pipeline.resources import audit
from sgf_pipeline.settings import read_settings


def verify(storage_url: str | None) -> None:
    """Print how many rows and manifests hold together. Raises ``AuditError`` naming the first that does not."""
    settings = read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))
    lake = lake_of(settings)
    warehouse = warehouse_of(settings)
    links = [
        (f"manifest {manifest['number']} of batch {manifest['batch_id']}", audit.Link(**manifest["audit"]))
        for manifest in batches.all_manifests(lake)
    ]
    rows = audit.verify(warehouse, links)
    typer.echo(f"audit trail of {warehouse.address}: {rows} rows hold together, {len(links)} manifests name their row")
