"""What the sinks share: the note in the receipt names the build, so that a rebuild is seen and a retry is none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.partitions import shard_key, shard_tags
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings, read_settings
from sgf_pipeline_tests.building import QUIET, build, failure_text, run
from sgf_pipeline_tests.conftest import small_request

NAME = "card_testing"


def receipt_of(lake: LakeResource, request: GenerationRequest) -> dict[str, Any]:
    found = batches.receipt(lake, request, NAME)
    assert found is not None
    return found


def runs_of(lake: LakeResource, request: GenerationRequest) -> dict[str, str]:
    """Which run each sink's entry names."""
    return {sink: state["run"] for sink, state in receipt_of(lake, request)["sinks"].items()}


def test_a_shard_built_again_gives_a_new_manifest_of_the_same_rows(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    """Guards a backfill: it ends with a new numbered manifest, although not a byte of the data is another."""
    settings = make_settings()
    asked = small_request("gen_rebuilt", count=200, scenarios=[NAME])
    lake = build(settings, instance, asked)
    before = receipt_of(lake, asked)
    assert not batches.manifest_due(lake, asked).is_due
    rebuilt = run(build_definitions(settings), instance, "build_shard", shard_key(asked.batch_id, NAME))
    assert rebuilt.success, failure_text(rebuilt)
    after = receipt_of(lake, asked)
    assert set(runs_of(lake, asked).values()) == {rebuilt.run_id}
    for state in (*before["sinks"].values(), *after["sinks"].values()):
        del state["run"]
    assert before == after
    assert batches.manifest_due(lake, asked).is_due
    assert run(build_definitions(settings), instance, "close_batch", asked.batch_id).success
    newest = batches.newest_manifest(lake, asked)
    assert newest is not None
    assert newest["number"] == 2


def job_of_the_environment() -> dg.JobDefinition:
    """As a run worker finds it."""
    return build_definitions(read_settings()).resolve_job_def("build_shard")


def test_a_run_that_goes_on_with_a_failed_one_is_the_same_build(
    make_settings: Callable[..., Settings],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Guards against a manifest more for every retry, and against none when a finished run is executed again."""
    in_the_way = tmp_path / "warehouse"
    in_the_way.write_text("no folder")
    settings = make_settings(database_url=f"sqlite:///{in_the_way / 'w.sqlite'}")
    for name in ("sgf_storage_url", "sgf_cache_dir", "database_url"):
        value = getattr(settings, name)
        monkeypatch.setenv(name.upper(), value.get_secret_value() if hasattr(value, "get_secret_value") else str(value))
    asked = small_request("gen_continued", count=200, scenarios=[NAME])
    lake = lake_of(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    first = run(build_definitions(settings), instance, "build_shard", shard_key(asked.batch_id, NAME))
    assert "warehouse" in failure_text(first)
    assert "warehouse" not in runs_of(lake, asked)
    in_the_way.unlink()

    def again(options: dg.ReexecutionOptions) -> str:
        result = dg.execute_job(
            dg.reconstructable(job_of_the_environment), instance, QUIET,
            tags=shard_tags(asked.batch_id, NAME), reexecution_options=options,
        )  # fmt: skip
        assert result.success
        return result.run_id

    failed_once = again(dg.ReexecutionOptions.from_failure(first.run_id, instance))
    assert runs_of(lake, asked) == dict.fromkeys(batches.SINKS, first.run_id)
    rebuilt = again(dg.ReexecutionOptions(failed_once))
    assert runs_of(lake, asked) == dict.fromkeys(batches.SINKS, rebuilt)


def test_one_shard_built_by_two_runs_at_once(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    """Guards the daemon's run and the command line's of one shard at once: both succeed, and leave what one leaves."""
    settings = make_settings()
    asked = small_request("gen_at_once", count=200, scenarios=[NAME])
    definitions = build_definitions(settings)
    lake = lake_of(settings)
    batches.register(lake, asked)
    instance.add_dynamic_partitions("batch_id", [asked.batch_id])
    cell = shard_key(asked.batch_id, NAME)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: run(definitions, instance, "build_shard", cell), range(2)))
    assert [failure_text(result) for result in results] == ["", ""]
    assert set(runs_of(lake, asked)) == set(batches.SINKS)
    file = batches.shard_file(lake, asked, NAME)
    assert lake.sha256(file) == receipt_of(lake, asked)["sinks"]["lake"]["sha256"]
    assert lake.names(file.parent) == [file.name]
    assert lake.names(lake.path(".tmp")) == []
    closed = run(definitions, instance, "close_batch", asked.batch_id)
    assert closed.success, failure_text(closed)
