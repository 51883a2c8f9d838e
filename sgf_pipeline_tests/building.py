"""Building batches through Dagster in a test, as every door does."""

from typing import Any

import dagster as dg

from sgf_pipeline import batches
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, key: Any) -> dg.ExecuteInProcessResult:
    """One run; failures are in the result."""
    return definitions.resolve_job_def(job).execute_in_process(
        partition_key=key, instance=instance, raise_on_error=False, run_config=QUIET
    )


def build(
    settings: Settings,
    instance: dg.DagsterInstance,
    request: GenerationRequest,
    *,
    backwards: bool = False,
    **resources: Any,
) -> LakeResource:
    """Register, build every shard (in reverse order on request), close. Asserts that each run succeeds."""
    lake = lake_of(settings)
    definitions = build_definitions(settings, **resources)
    batches.register(lake, request)
    instance.add_dynamic_partitions("batch_id", [request.batch_id])
    for name in request.content.scenarios[:: -1 if backwards else 1]:
        shard = run(definitions, instance, "build_shard", shard_key(request.batch_id, name))
        assert shard.success, failure_text(shard)
    closed = run(definitions, instance, "close_batch", request.batch_id)
    assert closed.success, failure_text(closed)
    return lake


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step says."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data.user_failure_data
            return data.description if data else str(event.step_failure_data.error)
    return ""
