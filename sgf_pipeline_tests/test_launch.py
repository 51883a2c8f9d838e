"""What launching refuses before it asks anybody, and what it says of a server that is none.

On a Dagster that runs: ``integration/test_launch``.
"""

import pytest

from sgf_pipeline import batches, launch
from sgf_pipeline.cli.launching import raise_where_failed
from sgf_pipeline.dagster_client import DagsterClient, Failure
from sgf_pipeline.definitions import lake_of
from sgf_pipeline.domain.errors import (
    ConfigurationError,
    OrchestratorUnavailableError,
    SgfError,
    StorageUnavailableError,
    outcome_of,
)
from sgf_pipeline.progress import ShardState
from sgf_pipeline_tests.conftest import small_request

CLOSED = "http://user:secret@127.0.0.1:9"  # nobody listens on the discard port


@pytest.mark.parametrize("url", ["", "127.0.0.1:3000", "ftp://host", "http://", "http://[::1"])
def test_an_address_that_is_none_is_a_wrong_setting(url):
    """Guards against an httpx traceback for a typing error."""
    with pytest.raises(ConfigurationError, match="SGF_DAGSTER_URL"):
        DagsterClient(url)


def test_a_server_that_does_not_answer_is_named_without_its_password(make_settings):
    """Guards against retries that nobody makes (the error is transient), and against secrets in messages."""
    lake = lake_of(make_settings())
    batches.register(lake, small_request("gen_down"))
    with DagsterClient(CLOSED) as dagster:
        with pytest.raises(OrchestratorUnavailableError, match=r"http://127\.0\.0\.1:9 does not answer") as refused:
            launch.launch(lake, dagster, "gen_down", requested_by="test")
        assert "secret" not in str(refused.value)
        assert "secret" not in dagster.run_url("x")
    assert outcome_of(refused.value).retry
    assert outcome_of(refused.value).exit_code == 75


@pytest.mark.parametrize(
    ("kind", "error"), [("StorageUnavailableError", StorageUnavailableError), (None, SgfError), ("KeyError", SgfError)]
)
def test_a_failed_shard_leaves_with_the_exit_code_of_its_own_error(kind, error):
    """Guards scripts that tell a full disk from a bad request: any class of ours is found, transient ones, too."""
    request = small_request("gen_failed", scenarios=["phishing"])
    failed = launch.ShardStatus(
        "phishing",
        ShardState.FAILED,
        None,
        None,
        "run",
        None,
        None,
        Failure("the sentence", kind, "lake_export"),
    )
    status = launch.BatchStatus(request, launch.BatchState.FAILED, (failed,), None, False, None, None, None, None, ())
    with pytest.raises(SgfError, match="gen_failed, phishing: the sentence") as left:
        raise_where_failed([status])
    assert type(left.value) is error
