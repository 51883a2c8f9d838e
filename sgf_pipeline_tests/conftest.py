"""What several test modules share: settings that touch nothing of the user's, and batches built once a session."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from sgf_pipeline.domain.request import GenerationRequest, parse_request
from sgf_pipeline.settings import Settings

# Before any test imports transformers: a test must never reach for a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _no_user_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the user's settings, writes to the user's folders, or uses the user's Dagster instance."""
    home = tmp_path_factory.mktemp("dagster_home")
    for name in list(os.environ):
        if (
            name.startswith("SGF_")
            or name in ("S3_ENDPOINT_URL", "DATABASE_URL", "REDIS_URL")
            or name.startswith(("KAFKA_", "SUPABASE_", "S3_", "AWS_", "OPENAI_"))
        ):
            del os.environ[name]
    os.environ["DAGSTER_HOME"] = str(home)


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """Definitions are loaded with the state of the instance that was opened last; another test may have closed it."""
    with set_defs_state_storage(None):  # dagster has no public name for it
        yield


@pytest.fixture(scope="session")
def case_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's answers, shared by the tests of a session, as they are by the runs of a user."""
    return tmp_path_factory.mktemp("case_cache")


@pytest.fixture(scope="session")
def make_settings(tmp_path_factory: pytest.TempPathFactory, case_cache: Path) -> Callable[..., Settings]:
    """Settings on a fresh storage folder."""

    def make(**changes: Any) -> Settings:
        folder = tmp_path_factory.mktemp("lake")
        values = {
            "sgf_storage_url": str(folder),
            "sgf_cache_dir": case_cache,
            "database_url": f"sqlite:///{folder}.sqlite",
            **changes,
        }
        return Settings.model_validate(values)

    return make


@pytest.fixture(scope="session")
def instance() -> Any:
    """A real Dagster instance on SQLite, for the session."""
    with dg.DagsterInstance.local_temp() as temporary:
        yield temporary


def small_request(
    batch_id: str = "gen_small", delivery: dict[str, Any] | None = None, **changes: Any
) -> GenerationRequest:
    """1,000 rows, 100 frauds, both scenarios, a month."""
    content = {
        "count": 1000,
        "fraud_ratio": 0.1,
        "scenarios": ["card_testing", "money_laundering"],
        "countries": ["FR", "DE"],
        "start_date": "2025-01-01T00:00:00Z",
        "end_date": "2025-01-31T23:59:59Z",
        "seed": 7,
        **changes,
    }
    return parse_request(batch_id, content, delivery or {})
