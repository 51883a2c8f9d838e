"""The sensors, evaluated as the daemon does, on a real instance. How people are told: ``resources/test_notifier``."""

import json
from collections.abc import Callable, Iterator, Sequence

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.errors import StorageError
from sgf_pipeline.domain.request import check_scenario
from sgf_pipeline.partitions import shard_key, shard_tags
from sgf_pipeline.progress import RECEIPTS_TAG, receipts_tag
from sgf_pipeline.resources.notifier import FailedRun
from sgf_pipeline.sensors import failure_sensor, manifest_sensor
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import run
from sgf_pipeline_tests.conftest import small_request


@pytest.fixture
def own() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as instance:
        yield instance


class Sensed:
    """A batch without sinks' data, and the manifest sensor that looks at it."""

    def __init__(self, settings: Settings, own: dg.DagsterInstance) -> None:
        self.lake = lake_of(settings)
        self.definitions = build_definitions(settings)
        self.own = own
        self.cursor: str | None = None
        self.batch = batches.register(self.lake, small_request("gen_sensed"))
        own.add_dynamic_partitions("batch_id", [self.batch.batch_id])

    def export(self, run_id: str = "r", scenarios: Sequence[str] = (), sinks: Sequence[str] = batches.SINKS) -> None:
        """What a run notes in the receipts."""
        for scenario in scenarios or self.batch.content.scenarios:
            for sink in sinks:
                state = {"state": "skipped", "why": "not wanted", "run": run_id}
                batches.add_to_receipt(self.lake, self.batch, check_scenario(scenario), "d1", sink, state, {"rows": 1})

    def build(self) -> None:
        """Every shard, by a run each that succeeded."""
        for scenario in self.batch.content.scenarios:
            begun = self.begin(scenario)
            self.export(begun.run_id, [scenario])
            self.succeed(begun)

    def begin(self, scenario: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
        """A run of one shard, under way."""
        return self.own.create_run_for_job(
            self.definitions.resolve_job_def("build_shard"),
            tags=shard_tags(self.batch.batch_id, scenario),
            status=status,
        )

    def cancel(self, begun: dg.DagsterRun) -> None:
        """A run that was at work."""
        event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, begun.job_name)
        self.own.report_dagster_event(event, run_id=begun.run_id)
        self.own.report_run_canceled(begun)

    def close(self) -> dg.DagsterRun:
        """The run for the manifest that a tick has asked for."""
        sha = batches.manifest_due(self.lake, self.batch).receipts_sha
        return self.own.create_run_for_job(
            self.definitions.resolve_job_def("close_batch"),
            tags={"dagster/partition": self.batch.batch_id, RECEIPTS_TAG: receipts_tag(sha)},
            status=dg.DagsterRunStatus.STARTED,
        )

    def succeed(self, begun: dg.DagsterRun) -> None:
        event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, begun.job_name)
        self.own.report_dagster_event(event, run_id=begun.run_id)

    def tick(self) -> list[str]:
        """One tick of the sensor, with the cursor that the last one left; the batches whose manifest it asks for."""
        context = dg.build_sensor_context(
            instance=self.own,
            cursor=self.cursor,
            resources={"lake": self.lake},
            repository_def=self.definitions.get_repository_def(),
        )
        with partition_loading_context(dynamic_partitions_store=self.own):
            data = manifest_sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return [str(one.partition_key) for one in data.run_requests]


@pytest.fixture
def sensed(make_settings: Callable[..., Settings], own: dg.DagsterInstance) -> Sensed:
    return Sensed(make_settings(), own)


def test_a_manifest_waits_for_shards_that_are_being_built(sensed: Sensed) -> None:
    """Guards against a manifest of a half rebuilt batch, and against one that never comes."""
    sensed.export()
    one, other = (sensed.begin(name) for name in sensed.batch.content.scenarios)
    assert sensed.tick() == []
    sensed.succeed(one)
    assert sensed.tick() == []
    sensed.succeed(other)
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_failed_rebuild_gives_no_manifest_until_it_is_mended(sensed: Sensed) -> None:
    """Guards against a manifest of receipts of which a failed run has changed half."""
    sensed.build()
    failed = sensed.begin("card_testing")
    sensed.own.report_run_failed(failed)
    assert sensed.tick() == []
    sensed.succeed(sensed.begin("card_testing"))
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_rebuild_cancelled_between_two_sinks_waits_for_a_person(sensed: Sensed) -> None:
    """Guards against a manifest of a shard that two runs wrote, and against one that is waited for, for ever."""
    sensed.build()
    half = sensed.begin("card_testing")
    sensed.export(half.run_id, ["card_testing"], ["lake"])
    sensed.cancel(half)
    assert sensed.tick() == []
    mended = sensed.begin("card_testing")
    sensed.export(mended.run_id, ["card_testing"])
    sensed.succeed(mended)
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_rebuild_cancelled_before_its_first_sink_holds_nothing_up(sensed: Sensed) -> None:
    """Guards against a batch that stays open because of a run that changed none of its rows."""
    sensed.build()
    sensed.cancel(sensed.begin("card_testing"))
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_manifest_that_fails_is_asked_for_three_times_and_a_cancelled_one_not_again(sensed: Sensed) -> None:
    """Guards against runs without end, a key that Dagster remembers, and a sensor that undoes what a person did."""
    sensed.build()
    for _ in range(2):
        assert sensed.tick() == [sensed.batch.batch_id]
        failed = sensed.close()
        assert sensed.tick() == []
        sensed.own.report_run_failed(failed)
    sensed.own.delete_run(failed.run_id)
    assert sensed.tick() == [sensed.batch.batch_id]
    sensed.own.report_run_failed(sensed.close())
    assert sensed.tick() == [sensed.batch.batch_id]
    sensed.own.report_run_failed(sensed.close())
    assert sensed.tick() == []
    sensed.build()  # other receipts
    assert sensed.tick() == [sensed.batch.batch_id]
    sensed.cancel(sensed.close())
    assert sensed.tick() == []
    sensed.build()
    assert sensed.tick() == [sensed.batch.batch_id]


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"sinks": 1}', b'{"sinks": {"lake": 1}, "content_sha": ""}'])
@pytest.mark.parametrize("what", ["_receipts/card_testing.json", "_manifests/1.json"])
def test_a_damaged_file_holds_up_its_own_batch_alone(sensed: Sensed, what: str, damage: bytes) -> None:
    """Guards against one file, broken by hand, after which no batch gets a manifest any more."""
    sensed.build()
    broken = sensed.batch
    file = batches.dataset_folder(sensed.lake, broken) / what
    sensed.batch = batches.register(sensed.lake, small_request("gen_sound"))
    sensed.own.add_dynamic_partitions("batch_id", ["gen_sound", "never_registered"])
    sensed.build()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(damage)
    assert sensed.tick() == ["gen_sound"]
    assert sensed.cursor is not None
    assert list(json.loads(sensed.cursor)["again"]) == [broken.batch_id]
    with pytest.raises(StorageError, match=f"{file.name} is damaged: "):
        batches.manifest_due(sensed.lake, broken)


def test_a_batch_that_could_not_be_read_is_looked_at_again(sensed: Sensed) -> None:
    """Guards against a manifest that never comes because rights were wrong for the minute in which it was due."""
    assert sensed.tick() == []
    sensed.build()
    receipt = batches.dataset_folder(sensed.lake, sensed.batch) / "_receipts" / "card_testing.json"
    kept = receipt.read_bytes()
    receipt.write_bytes(b"")
    assert sensed.tick() == []
    receipt.write_bytes(kept)
    assert sensed.cursor is not None
    later = json.loads(sensed.cursor)
    sensed.cursor = json.dumps({**later, "seen": 4_000_000_000})
    assert sensed.tick() == []  # at a slow pace
    sensed.cursor = json.dumps({**later, "seen": 4_000_000_000, "again": dict.fromkeys(later["again"], 1.0)})
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_cursor_that_another_version_left_is_begun_anew(sensed: Sensed) -> None:
    """Guards against a sensor that fails at every tick after an upgrade."""
    sensed.build()
    sensed.cursor = json.dumps({"seen": 4_000_000_000, "again": ["gen_sensed"]})
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_run_without_the_grids_tags_stops_nothing(sensed: Sensed) -> None:
    """Guards against a run launched by hand with one tag of three, after which no batch gets a manifest."""
    sensed.build()
    job = sensed.definitions.resolve_job_def("build_shard")
    tags = {"dagster/partition/batch_id": sensed.batch.batch_id}
    sensed.own.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.FAILURE)
    assert sensed.tick() == [sensed.batch.batch_id]


def test_runs_that_changed_nothing_hold_no_manifest_up(sensed: Sensed) -> None:
    """Guards against a batch that is never closed because a run was cancelled in the queue, or of a foreign cell."""
    sensed.export()
    sensed.own.report_run_canceled(sensed.begin("card_testing", dg.DagsterRunStatus.NOT_STARTED))
    sensed.own.report_run_failed(sensed.begin("phishing"))  # which the request does not name
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_tick_looks_only_at_batches_whose_runs_changed(sensed: Sensed) -> None:
    """Guards against a sensor that reads the whole storage every five seconds."""
    assert sensed.tick() == []  # the first tick looks at all
    assert sensed.cursor is not None
    sensed.cursor = json.dumps({**json.loads(sensed.cursor), "seen": 4_000_000_000})
    sensed.export()
    assert sensed.tick() == []  # receipts without a run: somebody else's instance built and closes it
    sensed.succeed(sensed.begin("card_testing"))
    assert sensed.tick() == [sensed.batch.batch_id]


def test_a_failed_run_is_told_in_our_own_sentence(
    make_settings: Callable[..., Settings], own: dg.DagsterInstance
) -> None:
    """Guards against a notice that names no batch, no step, or shows a stack of paths."""
    definitions = build_definitions(make_settings())
    own.add_dynamic_partitions("batch_id", ["never_registered"])
    failed = run(definitions, own, "build_shard", shard_key("never_registered", "phishing"))
    told: list[FailedRun] = []

    class Kept:
        def notify(self, failed: FailedRun) -> None:
            told.append(failed)

    event = next(one for one in failed.all_events if one.event_type == dg.DagsterEventType.PIPELINE_FAILURE)
    context = dg.build_run_status_sensor_context(
        "failure_sensor",
        event,
        own,
        failed.dagster_run,
        resources={"notifier": Kept(), "dagster_url": "http://ui/"},
    ).for_run_failure()
    failure_sensor(context)
    (notice,) = told
    assert (notice.batch_id, notice.scenario, notice.step) == ("never_registered", "phishing", "fraud_cases")
    assert notice.error.startswith("batch_id 'never_registered' is not registered")
    assert notice.url == f"http://ui/runs/{failed.run_id}"
