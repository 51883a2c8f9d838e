"""``sgf audit verify``: walk the audit trail, and hold every manifest of the storage to it.

Belongs here: reading settings and telling the outcome. Does not belong here: the chain (``resources.audit``).
"""

from collections.abc import Sequence

import typer

from sgf_pipeline import batches
from sgf_pipeline.definitions import lake_of, warehouse_of
from sgf_pipeline.manifests import audit_facts
from sgf_pipeline.resources import audit
from sgf_pipeline.settings import read_settings


def verify(storage_urls: Sequence[str]) -> None:
    """Print how many rows and manifests hold together. Raises ``AuditError`` naming the first that does not.

    ``storage_urls``: every storage whose batches the warehouse has; that of the settings where none is given.
    """
    settings = read_settings()
    links: list[tuple[str, audit.Link]] = []
    claims: dict[int, audit.Claim] = {}
    untold = 0
    for url in storage_urls or (settings.sgf_storage_url,):
        for name, manifest in batches.all_manifests(lake_of(read_settings(sgf_storage_url=url))):
            if "audit" not in manifest:  # made by a version that kept no trail
                untold += 1
                continue
            link = audit.Link(**manifest["audit"])
            links.append((name, link))
            claims[link.position] = audit.Claim(name, audit_facts(manifest))
    warehouse = warehouse_of(settings)
    rows = audit.verify(warehouse, links)
    audit.account(warehouse, claims)
    typer.echo(f"audit trail of {warehouse.address}: {rows} rows hold together, each as its manifest says")
    if untold:
        typer.echo(f"{untold} manifests are older than the trail and name no row")
