"""Nightly schedules, evaluated as the daemon does, on a real instance and a real storage."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import build
from sgf_pipeline_tests.conftest import small_request

SHARDS = ["card_testing", "phishing"]
FIRST = datetime(2025, 1, 11, 2, tzinfo=UTC)  # the first night, the 10th's, is due

Tick = Callable[[datetime], list[str]]


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(
        "tenants: [{tenant: acme, first_night: 2025-01-10, population_size: 50, catch_up_nights: 2,"
        " request: {count: 100, scenarios: [card_testing, phishing]}, delivery: {save: false}}]"
    )
    return make_settings(sgf_tenants=tenants)


@pytest.fixture
def own() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as instance:
        yield instance


@pytest.fixture
def tick(settings: Settings, own: dg.DagsterInstance) -> Tick:
    """One tick at a moment; the run keys it asks for. Runs are made of them, as the daemon would."""
    definitions = build_definitions(settings)
    schedule = definitions.resolve_schedule_def("nightly_acme")
    job = definitions.resolve_job_def("build_shard")

    def at(moment: datetime) -> list[str]:
        context = dg.build_schedule_context(
            instance=own, scheduled_execution_time=moment, resources={"lake": lake_of(settings)},
            repository_def=definitions.get_repository_def(),
        )  # fmt: skip
        with partition_loading_context(dynamic_partitions_store=own):
            asked: Any = schedule.evaluate_tick(context).run_requests
        tick_tag = {".dagster/scheduled_execution_time": moment.isoformat()}
        for one in asked:
            tags = tick_tag | {"dagster/run_key": one.run_key}
            if not own.get_runs(dg.RunsFilter(tags=tags)):  # by which the daemon finds what an ended one has left
                own.create_run_for_job(job, tags=dict(one.tags) | tags, status=dg.DagsterRunStatus.NOT_STARTED)
        return [one.run_key for one in asked]

    return at


def start(own: dg.DagsterInstance) -> None:
    """What becomes of the runs that the daemon has made: their processes are started."""
    for run in own.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED])):
        own.report_dagster_event(dg.DagsterEvent("PIPELINE_STARTING", run.job_name), run.run_id)


def test_a_night_is_registered_and_asked_for_once(settings: Settings, own: dg.DagsterInstance, tick: Tick) -> None:
    """Guards against a night that is built twice, or without its record."""
    assert tick(FIRST) == [f"nightly_acme_2025_01_10|{name}" for name in SHARDS]
    assert own.get_dynamic_partitions("batch_id") == ["nightly_acme_2025_01_10"]
    assert batches.load(lake_of(settings), "nightly_acme_2025_01_10").content.tenant == "acme"
    tags = own.get_runs()[0].tags
    assert tags["dagster/partition/batch_id"] == "nightly_acme_2025_01_10"
    assert tags["sgf/requested_by"] == "nightly"
    assert tick(FIRST + timedelta(minutes=30)) == []  # the runs may be on their way to the queue
    start(own)
    assert tick(FIRST) == []
    assert tick(FIRST + timedelta(minutes=30)) == []


def test_missed_nights_are_caught_up_within_bounds(tick: Tick) -> None:
    """Guards against nights lost while the daemon was down, and against a flood after a long time."""
    asked = tick(FIRST + timedelta(days=5))
    assert sorted({key.partition("|")[0] for key in asked}) == [f"nightly_acme_2025_01_{day}" for day in (13, 14, 15)]
    assert len(asked) == len(set(asked)) == 6


def test_a_night_whose_runs_were_never_launched_is_launched_later(
    settings: Settings, own: dg.DagsterInstance, tick: Tick
) -> None:
    """Guards the moment between registering a night and launching it: a daemon killed there loses nothing."""
    tick(FIRST)
    own.delete_run(own.get_runs()[0].run_id)
    assert len(tick(FIRST + timedelta(days=1))) == 1 + 2


def test_a_run_that_was_made_and_never_queued_is_asked_for_again(own: dg.DagsterInstance, tick: Tick) -> None:
    """Guards against a shard that is never built, because the daemon ended between making its run and queueing it."""
    night = tick(FIRST)
    assert tick(FIRST) == night  # evaluated anew, so that the daemon queues the runs that are there
    assert len(own.get_runs()) == 2
    for run in own.get_runs():
        own.report_run_failed(run, "run monitoring: it took more than 180 seconds to start")
    assert tick(FIRST + timedelta(minutes=30)) == night
    assert len(own.get_runs()) == 4
    start(own)
    assert tick(FIRST + timedelta(minutes=120)) == []


def test_a_lost_run_counts_for_nothing_before_monitoring_has_found_it(
    settings: Settings, own: dg.DagsterInstance, tick: Tick
) -> None:
    """Guards the last look of a night, by a daemon that has just come back, its monitoring not yet."""
    night = tick(FIRST)
    for run in own.get_runs():
        own.delete_run(run.run_id)
        own.run_storage.add_historical_run(run, datetime.now(UTC) - timedelta(hours=1))
    assert tick(FIRST + timedelta(minutes=120)) == night


@pytest.mark.parametrize("end", ["failed", "cancelled before it began"])
def test_a_shard_that_failed_or_was_cancelled_waits_for_a_person(own: dg.DagsterInstance, tick: Tick, end: str) -> None:
    """Guards against a schedule that contradicts its operator, or spends model money on the same failure each night."""
    tick(FIRST)
    start(own)
    for run in own.get_runs():
        if end == "failed":
            own.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name), run.run_id)
            own.report_run_failed(run)
        else:
            own.report_run_canceled(run)
    assert tick(FIRST + timedelta(minutes=30)) == []


def test_a_night_whose_record_is_damaged_stops_no_other(
    settings: Settings, own: dg.DagsterInstance, tick: Tick
) -> None:
    """Guards against a tenant who gets nothing any more, because a file of one night was damaged."""
    tick(FIRST)
    start(own)
    (lake_of(settings).path("requests") / "nightly_acme_2025_01_10.json").write_bytes(b"")
    assert {key.partition("|")[0] for key in tick(FIRST + timedelta(days=1))} == {"nightly_acme_2025_01_11"}
    start(own)
    # The next look has nothing to ask for, and shows what is wrong.
    with pytest.raises(Exception, match="nightly") as told:
        tick(FIRST + timedelta(days=1, minutes=30))
    said = str(told.value.__cause__)
    assert said.startswith("1 of tenant acme's nights could not be begun: nightly_acme_2025_01_10: ")
    assert "a recorded request cannot be read" in said


def test_a_storage_that_is_down_fails_the_tick_and_the_next_look_begins_the_night(
    settings: Settings, own: dg.DagsterInstance, tick: Tick
) -> None:
    """Guards against a night that is skipped in silence, or that the second look takes for begun."""
    root = Path(settings.storage_url)
    root.rmdir()
    root.touch()  # no folder can be made here
    with pytest.raises(Exception, match="nightly") as told:
        tick(FIRST)
    assert "cannot be used" in str(told.value.__cause__)
    root.unlink()
    assert len(tick(FIRST + timedelta(minutes=30))) == 2


def test_a_night_that_somebody_built_is_left_alone(settings: Settings, own: dg.DagsterInstance, tick: Tick) -> None:
    """Guards against building again what the command line built, also after Dagster's own records were lost."""
    registered = small_request(
        "nightly_acme_2025_01_10", count=60, scenarios=SHARDS, tenant="acme", delivery={"save": False}
    )
    with dg.DagsterInstance.local_temp() as another:
        build(settings, another, registered)
    assert tick(FIRST) == []
    assert batches.load(lake_of(settings), registered.batch_id) == registered


def test_without_tenants_there_is_no_schedule(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Guards the laptop: nothing is built by night unless a file of tenants says so; a missing file is told."""
    assert not list(build_definitions(make_settings()).schedules or [])
    with pytest.raises(ConfigurationError, match="SGF_TENANTS"):
        build_definitions(make_settings(sgf_tenants=tmp_path / "none.yaml"))
