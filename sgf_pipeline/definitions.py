"""The only place that puts the parts together."""

from typing import Any

import dagster as dg

from sgf_pipeline.assets import ALL_ASSETS
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.jobs import JOBS
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.resources.warehouse import AnyWarehouse, Warehouse
from sgf_pipeline.sensors import manifest_sensor
from sgf_pipeline.settings import Settings, read_settings


def build_definitions(settings: Settings | None = None, **resources: Any) -> dg.Definitions:
    """The code location. ``resources`` replace those made from the settings, by name."""
    settings = settings or read_settings()
    lake = resources.get("lake") or lake_of(settings)
    made: dict[str, Any] = {
        "lake": lake,
        "stage_files": StageFiles(lake=lake),
        "identity": IdentityResource(),
        "llm": llm_of(settings),
        # plain objects, not configurable resources: Dagster shows the fields of those, and these hold passwords
        "warehouse": warehouse_of(settings),
        "stream": Stream(
            settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka_labels_topic, settings.kafka_security
        ),
        **resources,
    }
    return dg.Definitions(
        assets=list(ALL_ASSETS),
        jobs=list(JOBS),
        sensors=[manifest_sensor],
        resources=made,
        # one process a run: steps of a shard follow one another, and starting a process costs more than most steps
        executor=dg.in_process_executor,
    )


def lake_of(settings: Settings) -> LakeResource:
    """The lake that the settings name."""
    return LakeResource(
        url=settings.storage_url,
        s3_endpoint_url=settings.s3_endpoint_url,
        s3_encryption=settings.s3_sse,
        s3_kms_key_id=settings.s3_sse_kms_key_id,
        s3_lock_days=settings.s3_object_lock_days,
        s3_lock_mode=settings.s3_object_lock_mode,
    )


def llm_of(settings: Settings) -> LLMResource:
    """The language model that the settings name."""
    return LLMResource(
        cache_dir=str(settings.sgf_cache_dir),
        peft_base=settings.sgf_peft_base,
        peft_adapter=settings.sgf_peft_adapter,
    )


def warehouse_of(settings: Settings) -> AnyWarehouse:
    """The warehouse that the settings name: ``DATABASE_URL``, else Supabase's REST door, else a SQLite file."""
    if settings.supabase is None:
        return Warehouse(settings.warehouse_url)
    from sgf_pipeline.resources.supabase import SupabaseWarehouse  # its client takes half a second to import

    return SupabaseWarehouse(*settings.supabase)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads, when it loads it: importing this module reads no environment."""
    return build_definitions()
