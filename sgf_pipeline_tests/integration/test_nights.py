"""Nights by hand, on a Dagster that runs: ``sgf launch --tenant --night`` and ``sgf backfill --nights``.

No daemon runs here: what is launched stays in the queue, and nothing is built.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from sgf_pipeline import batches
from sgf_pipeline.cli.main import main
from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.settings import read_settings
from sgf_pipeline.tenants import read_tenants, registered_night
from sgf_pipeline_tests.integration.dagster_server import DagsterServer

SHARDS = ["card_testing", "phishing"]
TENANTS = (
    "tenants: [{tenant: acme, first_night: 2025-01-10, population_size: 50, catch_up_nights: 0, time_zone: Asia/Tokyo,"
    " request: {count: 100, scenarios: [card_testing, phishing]}, delivery: {save: false}}]"
)


class Ended(NamedTuple):
    """What a command left."""

    returncode: object
    stdout: str
    stderr: str


Sgf = Callable[..., Ended]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, case_cache: Path) -> Iterator[DagsterServer]:
    started = DagsterServer(tmp_path_factory.mktemp("nights"), case_cache)
    tenants = started.folder / "tenants.yaml"
    tenants.write_text(TENANTS)
    for values in (started.values, started.environment):
        values["SGF_TENANTS"] = str(tenants)
    try:
        started.start(daemon=False)
        yield started
    finally:
        started.stop()


@pytest.fixture
def sgf(server: DagsterServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sgf:
    """The command line on this Dagster, without the two seconds that a process of its own takes to import."""
    for name, value in server.values.items():
        monkeypatch.setenv(name, value)

    def run(*options: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["sgf", *options])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def test_a_night_launched_by_hand_is_the_schedules_night(server: DagsterServer, sgf: Sgf) -> None:
    """Guards against a night by hand with other content than the schedule's, and against building it twice."""
    launched = sgf("launch", "--tenant", "acme", "--night", "2025-01-10", "--json")
    assert launched.returncode == 0, launched.stderr
    result = json.loads(launched.stdout)
    assert (result["batch_id"], list(result["runs"])) == ("nightly_acme_2025_01_10", SHARDS)
    settings = read_settings()
    (acme,) = read_tenants(server.folder / "tenants.yaml")
    assert batches.load(server.lake, "nightly_acme_2025_01_10") == acme.night_request(date(2025, 1, 10))
    again = json.loads(sgf("launch", "--tenant", "acme", "--night", "2025-01-10", "--json").stdout)
    assert (again["runs"], list(again["left_alone"])) == ({}, SHARDS)
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        assert all(run.tags["sgf/requested_by"].startswith("cli:") for run in instance.get_runs())
        definitions = build_definitions(settings)
        schedule = definitions.resolve_schedule_def("nightly_acme")
        due = datetime(2025, 1, 10, 17, tzinfo=UTC)  # 02:00 in Tokyo
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=due, resources={"lake": server.lake},
            repository_def=definitions.get_repository_def(),
        )  # fmt: skip
        with partition_loading_context(dynamic_partitions_store=instance):
            asked: Any = schedule.evaluate_tick(context).run_requests
    assert not asked


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--night", "2025-01-11"], "--night 2025-01-11 goes with --tenant"),
        (["--tenant", "acme", "--night", "2025-01-11", "--batch-id", "gen_x"], "goes with --tenant"),
        (["--tenant", "acme", "--night", "2025-01-11", "--count", "5"], "goes with --tenant"),
        (["--tenant", "acme", "--night", "2025-01-11", "--no-kafka"], "goes with --tenant"),
        (["--tenant", "acme", "--night", "2025-01-09"], "before its first_night 2025-01-10"),
        (["--tenant", "acme", "--night", "tomorrow"], "--night 'tomorrow' is malformed: use 2025-01-31"),
        (["--tenant", "acme", "--night", "9999-12-31"], "is not over yet in Asia/Tokyo"),
        (["--tenant", "other", "--night", "2025-01-11"], "use one of acme"),
        (["--tenant", "a/b", "--night", "2025-01-11"], "malformed"),
    ],
)
def test_what_is_no_night_is_refused_before_anything_is_registered(
    server: DagsterServer, sgf: Sgf, options: list[str], said: str
) -> None:
    """Guards against half a day recorded for good, and against options that are dropped in silence."""
    before = sorted(server.lake.names(server.lake.path("requests")))
    refused = sgf("launch", *options)
    assert refused.returncode == 2
    assert refused.stderr.startswith("sgf: ")
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert sorted(server.lake.names(server.lake.path("requests"))) == before


def test_without_a_file_of_tenants_there_is_no_night(sgf: Sgf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a traceback where the file is not named, or the setting is empty."""
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("SGF_TENANTS")
        else:
            monkeypatch.setenv("SGF_TENANTS", value)
        refused = sgf("launch", "--tenant", "acme", "--night", "2025-01-11")
        assert (refused.returncode, refused.stderr.partition(": name")[0]) == (2, "sgf: SGF_TENANTS is not set")


def test_a_backfill_of_nights_takes_those_that_are_registered(server: DagsterServer, sgf: Sgf) -> None:
    """Guards the range, the order of its nights, and those that nobody ever registered."""
    (acme,) = read_tenants(server.folder / "tenants.yaml")
    for day in (11, 13):
        registered_night(server.lake, acme, date(2025, 1, day))
    asked = sgf(
        "backfill", "--scenario", "phishing", "--tenant", "acme", "--nights", "2025-01-11..2025-01-14", "--json"
    )
    assert asked.returncode == 0, asked.stderr
    assert [one["batch_id"] for one in json.loads(asked.stdout)["shards"]] == [
        "nightly_acme_2025_01_11",
        "nightly_acme_2025_01_13",
    ]
    assert "passed over, because never registered: 2025-01-12, 2025-01-14\n" in asked.stderr
    none = sgf("backfill", "--scenario", "phishing", "--tenant", "acme", "--nights", "2025-02-01..2025-02-03")
    assert none.returncode == 2
    assert "has no batch of the nights 2025-02-01..2025-02-03" in none.stderr
    long = f"2020-01-01..{date(2020, 1, 1) + timedelta(days=1000)}"
    for nights, said in ((long, "use 1 to 1000 nights"), ("2025-01-14..2025-01-11", "first one first"),
                         ("2025-13-01", "malformed"), ("..", "malformed")):  # fmt: skip
        refused = sgf("backfill", "--scenario", "phishing", "--tenant", "acme", "--nights", nights)
        assert (refused.returncode, said in refused.stderr) == (2, True)
