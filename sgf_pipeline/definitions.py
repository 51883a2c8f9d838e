"""The only place that puts the parts together."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from sgf_pipeline.assets import ALL_ASSETS, dataset_manifest
from sgf_pipeline.assets.fraud_cases import fraud_cases
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.jobs import JOBS
from sgf_pipeline.resources.identity import IdentityResource
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.llm import LLMResource
from sgf_pipeline.resources.notifier import LogNotifier, Notifier, WebhookNotifier
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.resources.warehouse import AnyWarehouse, Warehouse
from sgf_pipeline.schedules import nightly_schedules
from sgf_pipeline.sensors import failure_sensor, manifest_sensor
from sgf_pipeline.settings import Settings, read_settings
from sgf_pipeline.tenants import Tenant, read_tenants

# A night's manifest may be two hours late before people are warned, and six before it counts as missing.
NIGHTLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26))


def build_definitions(
    settings: Settings | None = None, *, with_nights: bool = True, **resources: Any
) -> dg.Definitions:
    """The code location. ``resources`` replace those made from the settings, by name.

    Without ``with_nights`` the file of tenants is not read: a command needs no schedule, and must not fail because
    somebody is writing in that file. Raises ``ConfigurationError`` where the file has a mistake.
    """
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
        "notifier": notifier_of(settings),
        "dagster_url": settings.shown_dagster_url,
        **resources,
    }
    tenants = read_tenants(settings.sgf_tenants) if with_nights and settings.sgf_tenants is not None else ()
    return dg.Definitions(
        assets=[_as_set(asset, made["llm"], tenants) for asset in ALL_ASSETS],
        jobs=list(JOBS),
        schedules=nightly_schedules(tenants),
        sensors=[manifest_sensor, failure_sensor],
        resources=made,
        # one process a run: steps of a shard follow one another, and starting a process costs more than most steps
        executor=dg.in_process_executor,
    )


def _as_set(asset: dg.AssetsDefinition, llm: LLMResource, tenants: Sequence[Tenant]) -> dg.AssetsDefinition:
    """What of an asset follows from settings: another model marks cases as stale, tenants want a manifest a night."""
    (spec,) = asset.specs
    changes: dict[str, Any] = {}
    if asset.key == fraud_cases.key:
        changes["code_version"] = f"{spec.code_version}-{llm.version}"
    if asset.key == dataset_manifest.key and tenants:
        changes["freshness_policy"] = NIGHTLY
    return asset.map_asset_specs(lambda one: one.replace_attributes(**changes)) if changes else asset


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
        openai_model=settings.openai_model,
        openai_base_url=settings.openai_base_url or None,
        openai_prompt=settings.openai_prompt,
        openai_timeout_seconds=settings.openai_timeout_seconds,
        prices=None if settings.sgf_prices is None else str(settings.sgf_prices),
    )


def warehouse_of(settings: Settings) -> AnyWarehouse:
    """The warehouse that the settings name: ``DATABASE_URL``, else Supabase's REST door, else a SQLite file."""
    if settings.supabase is None:
        return Warehouse(settings.warehouse_url, settings.database_patience_seconds)
    from sgf_pipeline.resources.supabase import SupabaseWarehouse  # its client takes half a second to import

    return SupabaseWarehouse(*settings.supabase)


def notifier_of(settings: Settings) -> Notifier:
    """Who is told of failed runs."""
    return LogNotifier() if settings.alert_webhook is None else WebhookNotifier(settings.alert_webhook)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads, when it loads it: importing this module reads no environment."""
    return build_definitions()
