"""A finished batch: its mix proven, every sink read back, its row appended to the audit trail, its manifest written.

Belongs here: what must hold before a manifest exists, and writing it. Does not belong here: registering and receipts
(``sgf_pipeline.batches``), measuring how real the batch is (the asset hands that in), and the sinks themselves.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from upath import UPath

from sgf_pipeline import __version__, batches
from sgf_pipeline.domain.errors import ConflictError, ReconciliationError, ValidationFailedError
from sgf_pipeline.domain.request import GenerationRequest, canonical_json
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.feature_store import features_file
from sgf_pipeline.resources.held import Held, ShardKey, Totals
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.stream import Delivered, Stream
from sgf_pipeline.resources.warehouse import AnyWarehouse

Receipts = Mapping[ScenarioName, Mapping[str, Any]]
Figures = dict[ScenarioName, dict[str, Any]]


def write_manifest(
    lake: LakeResource,
    warehouse: AnyWarehouse,
    stream: Stream,
    request: GenerationRequest,
    metrics: Callable[[], Mapping[str, Any]] = dict,
) -> dict[str, Any]:
    """Prove the exact mix, read back every sink, append to the audit trail, number and write the manifest; return it.

    ``metrics`` measures the proven batch; what it returns (JSON-able, the same for the same rows) is recorded. The same
    receipts add nothing: the newest manifest is returned and nothing is measured. Raises ``ValidationFailedError`` when
    shards are missing or counts differ from the request, ``ReconciliationError`` when a sink does not hold what a
    receipt says, ``AuditError`` when the audit trail is broken.
    """
    found = batches.receipts(lake, request)
    due = batches.manifest_due(lake, request, found)
    if due.missing:
        raise ValidationFailedError(
            f"batch {request.batch_id!r} lacks receipts of {', '.join(due.missing)}: build these shards first"
        )
    newest = batches.newest_manifest(lake, request)
    if newest is not None and newest["receipts_sha"] == due.receipts_sha:
        _publish(lake, request, newest)  # a run killed between the two writes is made good here
        return newest
    _prove_mix(request, found)
    manifest = {
        "number": batches.next_manifest_number(lake, request),
        "batch_id": request.batch_id,
        "request": request.model_dump(mode="json"),
        "content_sha": request.content.content_sha,
        "rows": sum(receipt["rows"] for receipt in found.values()),
        "fraudulent": sum(receipt["fraudulent"] for receipt in found.values()),
        "legit": sum(receipt["legit"] for receipt in found.values()),
        "sinks": reconcile(lake, warehouse, stream, request, found),
        "shards": found,
        "metrics": dict(metrics()),
        "receipts_sha": due.receipts_sha,
        "s3_uri": lake.uri(batches.dataset_folder(lake, request)) if request.delivery.s3 else None,
        "sgf_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # The trail first: a run killed in between finds its row again, and no manifest exists without one.
    manifest["audit"] = vars(audit.append(warehouse, audit_facts(manifest)))
    try:
        lake.create_json(batches.manifest_path(lake, request, manifest["number"]), manifest, record=True)
    except ConflictError:
        # Another run was quicker with this number: if it closed the same receipts its manifest is the one.
        return write_manifest(lake, warehouse, stream, request, metrics)
    _publish(lake, request, manifest)
    return manifest


def reconcile(
    lake: LakeResource, warehouse: AnyWarehouse, stream: Stream, request: GenerationRequest, found: Receipts
) -> dict[str, dict[str, Any]]:
    """Read every sink back and hold it to the receipts; return state and figures a sink.

    ``state`` is "done", "skipped" (with ``why``), or "partial" when only some shards are there; the figures are those
    of the shards that are. Raises ``ReconciliationError`` at the first shard that differs.
    """
    states: dict[str, dict[str, Any]] = {}
    for sink in batches.SINKS:
        done = [name for name in found if found[name]["sinks"][sink]["state"] == "done"]
        held = _READ_BACK[sink](_Sinks(lake, warehouse, stream), request, {name: found[name] for name in done})
        for name in done:
            _compare(sink, request, name, held[name], found[name])
        skipped = {name: found[name]["sinks"][sink]["why"] for name in found if name not in done}
        states[sink] = {"state": "done" if not skipped else "partial" if done else "skipped"}
        if done:
            states[sink] |= _summed(list(held.values()))
        if skipped:
            states[sink]["why"] = ", ".join(sorted(set(skipped.values())))
    return states


def audit_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit trail holds of a manifest: computed from it when its row is appended, and when it is verified."""
    models = [receipt["model"] for receipt in manifest["shards"].values() if "model" in receipt.get("model", {})]
    return {
        "tenant": manifest["request"]["content"]["tenant"],
        "batch_id": manifest["batch_id"],
        "manifest_number": manifest["number"],
        "content_sha": manifest["content_sha"],
        "receipts_sha": manifest["receipts_sha"],
        "request": canonical_json(manifest["request"]),
        "shards": canonical_json(manifest["shards"]),
        "row_count": manifest["rows"],
        "fraudulent": manifest["fraudulent"],
        "legit": manifest["legit"],
        "model": ", ".join(sorted({f"{model['model']} {model['fingerprint']}" for model in models})) or "none",
        "cost_usd": f"{sum(model['cost_usd'] for model in models):.6f}",
        "s3_uri": manifest["s3_uri"],
        "requested_by": manifest["request"]["delivery"]["requested_by"],
        "created_at": manifest["created_at"],
        "sgf_version": manifest["sgf_version"],
    }


@dataclass(frozen=True)
class _Sinks:
    lake: LakeResource
    warehouse: AnyWarehouse
    stream: Stream


def _in_lake(sinks: _Sinks, request: GenerationRequest, found: Receipts) -> Figures:
    return {
        name: _in_file(sinks.lake, batches.shard_file(sinks.lake, request, name), "lake", name, request, receipt)
        for name, receipt in found.items()
    }


def _in_warehouse(sinks: _Sinks, request: GenerationRequest, found: Receipts) -> Figures:
    return {name: vars(sinks.warehouse.held(_key(request, name), request.content.currency)) for name in found}


def _in_stream(sinks: _Sinks, request: GenerationRequest, found: Receipts) -> Figures:
    if not found:
        return {}
    if not sinks.stream.servers:
        raise ReconciliationError(
            f"batch {request.batch_id!r} was published to the stream, but KAFKA_BOOTSTRAP_SERVERS is not set:"
            " set it as it was, so that the stream can be read back"
        )
    wanted = {
        name: Delivered(
            _key(request, name),
            receipt["data_sha"],
            request.content.currency,
            # receipts from before labels were read back have none
            Held(**labels) if (labels := receipt["sinks"]["stream"].get("labels")) else None,
        )
        for name, receipt in found.items()
    }
    held = sinks.stream.held(wanted.values())
    return {name: vars(held[one.key]) for name, one in wanted.items()}


def _in_features(sinks: _Sinks, request: GenerationRequest, found: Receipts) -> Figures:
    folder = batches.dataset_folder(sinks.lake, request)
    return {
        name: _in_file(sinks.lake, features_file(folder, name), "features", name, request, receipt)
        for name, receipt in found.items()
    }


_READ_BACK = {"lake": _in_lake, "warehouse": _in_warehouse, "stream": _in_stream, "features": _in_features}


def _in_file(
    lake: LakeResource,
    file: UPath,
    sink: str,
    name: ScenarioName,
    request: GenerationRequest,
    receipt: Mapping[str, Any],
) -> dict[str, Any]:
    """What a Parquet file holds, once its bytes are known to be the exported ones."""
    if not lake.exists(file) or lake.sha256(file) != receipt["sinks"][sink]["sha256"]:
        raise ReconciliationError(f"file {lake.uri(file)} is not the one that was exported: build shard {name} again")
    rows = lake.read_rows(file)
    present = [column for column in Totals.COLUMNS if column in rows.schema.names]
    totals = Totals(lake.read_rows(file, present), request.content.currency)
    for _ in totals.read():
        pass
    figures = vars(totals.held)
    # A file of features has no amounts to add up.
    return figures if "amount" in present else {name: figures[name] for name in ("rows", "transaction_ids_xor")}


def _compare(
    sink: str,
    request: GenerationRequest,
    name: ScenarioName,
    held: Mapping[str, Any],
    receipt: Mapping[str, Any],
) -> None:
    for figure, found in held.items():
        if found != receipt[figure]:
            raise ReconciliationError(
                f"{sink} holds {figure} {found} of shard {name} of batch {request.batch_id!r} instead of"
                f" {receipt[figure]}: export this shard again"
            )


def _summed(shards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of all shards together: ids by XOR, the rest by adding."""
    ids = functools.reduce(operator.xor, (int(one["transaction_ids_xor"], 16) for one in shards))
    added = {figure: sum(one[figure] for one in shards) for figure in shards[0] if figure != "transaction_ids_xor"}
    return {**added, "transaction_ids_xor": f"{ids:024x}"}


def _key(request: GenerationRequest, name: ScenarioName) -> ShardKey:
    return ShardKey(request.content.tenant, request.batch_id, name)


def _prove_mix(request: GenerationRequest, found: Receipts) -> None:
    salts = {receipt.get("salt_fingerprint") for receipt in found.values()}
    if len(salts) > 1:
        raise ValidationFailedError(
            f"shards of batch {request.batch_id!r} were built under different SGF_ID_SALT values:"
            " build all of them again under one"
        )
    for name, counts in request.content.shard_counts().items():
        receipt = found[name]
        if (receipt["fraudulent"], receipt["legit"]) != (counts.fraudulent, counts.legit):
            raise ValidationFailedError(
                f"shard {name} of batch {request.batch_id!r} has {receipt['fraudulent']} frauds and"
                f" {receipt['legit']} legitimate rows instead of {counts.fraudulent} and {counts.legit}"
            )


def _publish(lake: LakeResource, request: GenerationRequest, manifest: Mapping[str, Any]) -> None:
    lake.write_json(batches.dataset_folder(lake, request) / "_manifest.json", manifest, owner=request.batch_id)
