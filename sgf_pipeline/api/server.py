"""``sgf serve``: the application behind its guard, and the server around it."""

from pathlib import Path

from sgf_pipeline.api.app import WAIT_SECONDS, create_app
from sgf_pipeline.api.listening import Listening, make_server
from sgf_pipeline.api.security import protect
from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.llm.backend import Backend
from sgf_pipeline.llm.mini_backend import MiniBackend
from sgf_pipeline.llm.peft_backend import PeftBackend
from sgf_pipeline.settings import Settings


def run(settings: Settings, listening: Listening, *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ``SgfError`` where the server cannot start."""
    app = create_app(settings, preview_backend(settings), wait_seconds=wait_seconds)
    protect(app, settings, local_only=listening.local_only)
    server = make_server(app, listening, settings.sgf_oidc_issuer)
    server.run()
    if not server.started:
        raise ConfigurationError(f"{listening.host}:{listening.port} cannot be listened on: choose another --port")


def preview_backend(settings: Settings) -> Backend:
    """The local model that writes the cases of previews: the bundled one has a way of its own for few cases."""
    if settings.sgf_peft_base is None and settings.sgf_peft_adapter is None:
        return MiniBackend()
    return PeftBackend(
        Path(settings.sgf_peft_base) if settings.sgf_peft_base else None,
        Path(settings.sgf_peft_adapter) if settings.sgf_peft_adapter else None,
        settings.parquet_key,
    )
