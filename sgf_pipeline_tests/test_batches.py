"""A batch's records: registration, receipts, manifests."""

import multiprocessing
import re
from datetime import UTC, datetime

import pytest

from sgf_pipeline import batches
from sgf_pipeline.domain.errors import ConflictError, InvalidRequestError, UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest, parse_request
from sgf_pipeline.resources.lake import LakeResource

CONTENT = {
    "count": 10,
    "fraud_ratio": 0.2,
    "scenarios": ["card_testing", "money_laundering"],
    "start_date": "2025-01-01T00:00:00Z",
    "end_date": "2025-01-31T23:59:59Z",
    "seed": 1,
}
FACTS = {"rows": 5, "fraudulent": 1, "legit": 4, "minor_units": 500, "transaction_ids_xor": "0" * 24}
SKIPPED = {"state": "skipped", "why": "not wanted"}


@pytest.fixture
def lake(tmp_path) -> LakeResource:
    return LakeResource(url=str(tmp_path / "lake"))


def request(batch_id: str = "gen_1", delivery: dict | None = None, **changes) -> GenerationRequest:
    return parse_request(batch_id, {**CONTENT, **changes}, {"s3": False, **(delivery or {})})


def export(lake: LakeResource, asked: GenerationRequest, scenario: str, data_sha: str = "d1", **facts) -> None:
    for sink in batches.SINKS:
        batches.add_to_receipt(lake, asked, scenario, data_sha, sink, SKIPPED, {**FACTS, **facts})


def test_registering_twice_is_fine_and_other_content_is_a_conflict_that_names_the_field(lake):
    """Guards against a batch id that means two datasets."""
    batches.register(lake, request())
    assert batches.register(lake, request(delivery={"kafka": False})) == request()
    with pytest.raises(ConflictError, match="count is 10 there and 11 here"):
        batches.register(lake, request(count=11))
    assert batches.load(lake, "gen_1") == request()


def test_an_unknown_or_malformed_batch_is_said_so(lake):
    """Guards against a path built from whatever a user typed."""
    with pytest.raises(UnknownBatchError, match="not registered"):
        batches.load(lake, "gen_404")
    with pytest.raises(InvalidRequestError, match="malformed"):
        batches.load(lake, "../secrets")


def test_batch_ids_of_one_second_differ(lake):
    """Guards against two batches begun in the same second."""
    now = datetime(2025, 1, 30, 14, 30, 22, tzinfo=UTC)
    first, second, third = (batches.register_new(lake, CONTENT, {}, now).batch_id for _ in range(3))
    assert first == "gen_2025_01_30_143022"
    assert second != third
    for later in (second, third):
        assert re.fullmatch(first + "_[0-9a-f]{4}", later)


def test_a_manifest_is_due_once_all_requested_shards_have_every_sink(lake):
    """Guards against a batch that is called complete while a shard or a sink is missing."""
    asked = batches.register(lake, request())
    export(lake, asked, "card_testing")
    assert batches.manifest_due(lake, asked).missing == ("money_laundering",)
    for sink in batches.SINKS[:-1]:
        batches.add_to_receipt(lake, asked, "money_laundering", "d1", sink, {"state": "skipped"}, FACTS)
    assert batches.manifest_due(lake, asked).missing == ("money_laundering",)
    export(lake, asked, "money_laundering")
    assert batches.manifest_due(lake, asked).is_due


def test_a_new_build_begins_the_receipt_anew(lake):
    """Guards against a receipt that mixes the sinks of two builds, so that a batch closes too early."""
    asked = batches.register(lake, request())
    export(lake, asked, "card_testing", data_sha="d1")
    batches.add_to_receipt(lake, asked, "card_testing", "d2", "lake", {"state": "skipped"}, FACTS)
    assert "card_testing" not in batches.receipts(lake, asked)


def test_the_receipt_can_be_had_before_it_is_complete(lake):
    """Guards what a sink asks before it exports: what an earlier run left, also where that one came to no end."""
    asked = batches.register(lake, request())
    assert batches.receipt(lake, asked, "card_testing") is None
    batches.add_to_receipt(lake, asked, "card_testing", "d1", "lake", {"state": "done", "run": "r1"}, FACTS)
    found = batches.receipt(lake, asked, "card_testing")
    assert found is not None
    assert found["sinks"] == {"lake": {"state": "done", "run": "r1"}}
    assert found["rows"] == 5
    assert batches.receipts(lake, asked) == {}


def _note_many_times(url: str, who: str, times: int, together: "multiprocessing.synchronize.Barrier") -> None:
    lake = LakeResource(url=url)
    together.wait(60)
    for number in range(times):
        batches.add_to_receipt(
            lake, request(), "card_testing", "d1", "lake", SKIPPED, {**FACTS, f"{who}{number}": number}
        )


def test_sinks_that_note_at_once_lose_nothing(lake):
    """Guards against two runs of one shard (the daemon's and the command line's) of which one forgets the other's
    sink, so that the batch never closes; and against locks that lie about."""
    asked = batches.register(lake, request())
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    writers = [context.Process(target=_note_many_times, args=(lake.url, who, 100, together)) for who in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = batches.receipt(lake, asked, "card_testing")
    assert found is not None
    assert {f"{who}{number}" for who in "ab" for number in range(100)} <= set(found)
    assert lake.names(lake.path(".tmp")) == []
