"""What is promised is on record, whatever dies; on a real storage, with no Dagster that answers."""

from typing import Any

import pytest

from sgf_pipeline import batches
from sgf_pipeline.acceptance import Launcher
from sgf_pipeline.dagster_client import DagsterClient
from sgf_pipeline.domain.errors import ConflictError, InvalidRequestError, OrchestratorUnavailableError
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.services import free_port

CONTENT = small_request().content.model_dump(mode="json")
ASKED = {"count": 1000, "tenant": "default"}


@pytest.fixture
def lake(tmp_path):
    return LakeResource(url=str(tmp_path / "lake"))


def launcher(lake: LakeResource, **options: Any) -> Launcher:
    return Launcher(lake, DagsterClient(f"http://127.0.0.1:{free_port()}"), **options)


def pending(lake: LakeResource) -> list[str]:
    return [name.removesuffix(".json") for name in lake.names(lake.path("launches", "pending"))]


def test_a_promise_is_on_record_before_it_is_given(lake):
    """Guards against an answer that nothing stands behind: request and promise lie in the storage by then."""
    request = launcher(lake).accept(CONTENT, {}, ASKED).request
    assert batches.load(lake, request.batch_id).content == request.content
    assert pending(lake) == [request.batch_id]


def test_a_key_stands_for_one_batch_whoever_asks(lake):
    """Guards a retry after a lost answer: another process gives the same batch, and not one to build beside it."""
    first = launcher(lake).accept(CONTENT, {}, ASKED, key="k1")
    again = launcher(lake).accept({**CONTENT, "seed": 99}, {}, ASKED, key="k1")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.request == first.request
    assert launcher(lake).accept(CONTENT, {}, ASKED, key="k2").request.batch_id != first.request.batch_id
    other = launcher(lake).accept({**CONTENT, "tenant": "acme"}, {}, {**ASKED, "tenant": "acme"}, key="k1")
    assert other.request.batch_id != first.request.batch_id


def test_a_key_for_another_request_is_refused(lake):
    """Guards a client that uses a key twice from being told that its second request is being built."""
    one = launcher(lake)
    one.accept(CONTENT, {}, ASKED, key="k1")
    with pytest.raises(ConflictError, match="stands for another request"):
        one.accept(CONTENT, {}, {**ASKED, "count": 999}, key="k1")
    assert len(pending(lake)) == 1
    for key in ("", "x" * 256, "a\nb"):
        with pytest.raises(InvalidRequestError, match="Idempotency-Key"):
            one.accept(CONTENT, {}, ASKED, key=key)


def test_a_retry_mends_a_crash_between_key_and_promise(lake):
    """Guards the one gap between two files: whose key is on record and whose promise is not is promised again."""
    request = launcher(lake).accept(CONTENT, {}, ASKED, key="k1").request
    lake.remove(lake.path("launches", "pending", f"{request.batch_id}.json"))
    launcher(lake).accept(CONTENT, {}, ASKED, key="k1")
    assert pending(lake) == [request.batch_id]


def test_promises_wait_for_a_dagster_that_is_away(lake):
    """Guards accepted batches from being given up because Dagster is being restarted."""
    one = launcher(lake)
    request = one.accept(CONTENT, {}, ASKED).request
    with pytest.raises(OrchestratorUnavailableError):
        one.launch(request.batch_id)
    assert one.launch_pending() == 1
    assert pending(lake) == [request.batch_id]
    assert not one.is_settled(request.batch_id)


def test_another_servers_fresh_promise_is_left_to_it(lake):
    """Guards against two servers on one storage that launch the same batch at once: Dagster is not even asked."""
    launcher(lake).accept(CONTENT, {}, ASKED)
    patient = launcher(lake, others_seconds=60.0)
    assert patient.launch_pending() == 1
    assert not patient._told, "Dagster was asked"
    hasty = launcher(lake, others_seconds=0.0)
    hasty.launch_pending()
    assert "does not answer" in hasty._told


def test_a_batch_that_can_never_be_launched_holds_up_no_other(lake):
    """Guards the queue: a record that somebody has damaged is given up, the others go on."""
    one = launcher(lake)
    request = one.accept(CONTENT, {}, ASKED).request
    lake.write_bytes(lake.path("requests", f"{request.batch_id}.json"), b"{}")
    assert one.launch_pending() == 0
    assert pending(lake) == []
    assert one.is_settled(request.batch_id)
    assert one.runs(request.batch_id) == {}


def test_what_is_not_valid_leaves_nothing_behind(lake):
    """Guards the storage from requests that were refused."""
    with pytest.raises(InvalidRequestError):
        launcher(lake).accept({**CONTENT, "countries": ["AQ"]}, {}, ASKED, key="k1")
    assert lake.names(lake.path("requests")) == lake.names(lake.path("launches")) == []
