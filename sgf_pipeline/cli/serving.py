"""``sgf serve``: the REST API on this machine.

Belongs here: what is said at the start. Does not belong here: the server (``api.server``).
"""

import typer

from sgf_pipeline.api import server
from sgf_pipeline.api.listening import Listening
from sgf_pipeline.cli import statuses
from sgf_pipeline.definitions import lake_of


def serve(listening: Listening, *, wait_seconds: float, storage_url: str | None) -> None:
    """Serve until it is told to stop. Raises ``SgfError`` where it cannot start."""
    settings = statuses.settings_of(storage_url)
    listening.check(settings.sgf_oidc_issuer)
    lake_of(settings).check_writable()
    scheme = "http" if listening.tls_cert is None else "https"
    typer.echo(f"{scheme}://{listening.host}:{listening.port}/docs; batches are built by {settings.shown_dagster_url}",
               err=True)  # fmt: skip
    server.run(settings, listening, wait_seconds=wait_seconds)
