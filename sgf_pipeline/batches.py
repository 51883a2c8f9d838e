"""A batch's life outside the rows: its registered request, its receipts, its manifests. What every door calls.

Belongs here: register, load, receipts, manifest, status. Does not belong here: Dagster (doors add the dynamic key
themselves, right after ``register``), and building shards.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from upath import UPath

from sgf_pipeline.domain.errors import AuditError, ConflictError, InvalidRequestError, StorageError, UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest, canonical_json, check_batch_id, parse_request
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.population.places import WITHOUT_CITY
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.scenarios import scenario

# Every sink that a shard's receipt must name before the shard counts as exported.
SINKS = ("lake", "warehouse", "stream", "features")


def register(lake: LakeResource, request: GenerationRequest) -> GenerationRequest:
    """Record the request, create-only, and return what is recorded.

    The same content under the same batch_id is fine: the record that was first stays, its delivery included.
    Raises ``ConflictError`` when the batch_id is taken by other content, ``StorageError`` on an unwritable storage.
    """
    check_buildable(request)
    path = _request_path(lake, request.batch_id)
    try:
        lake.create_bytes(path, request.record().encode())
    except ConflictError:
        recorded = load(lake, request.batch_id)
        if recorded.content != request.content:
            raise ConflictError(
                f"batch_id {request.batch_id!r} exists with other content"
                f" ({_difference(recorded, request)}): choose another batch_id"
            ) from None
        return recorded
    return request


def check_buildable(request: GenerationRequest) -> None:
    """Raise ``InvalidRequestError`` for what a request may name but this version cannot build yet."""
    for name in request.content.scenarios:
        scenario(name)
    placeless = [code for code in request.content.countries if code in WITHOUT_CITY]
    if placeless:
        raise InvalidRequestError(f"country {placeless[0]!r} has no city to live in: use another country")
    if request.content.profile is not None:
        raise InvalidRequestError(f"profile {request.content.profile!r} is not built yet: leave it out")
    if request.content.model is not None and request.content.provider == "peft":
        raise InvalidRequestError(
            f"model {request.content.model!r} goes with provider openai: SGF_PEFT_BASE and SGF_PEFT_ADAPTER name the"
            " model of peft"
        )


def load(lake: LakeResource, batch_id: str) -> GenerationRequest:
    """The registered request.

    Raises ``UnknownBatchError`` where there is none, ``InvalidRequestError`` where its record is damaged.
    """
    content = lake.read_bytes(_request_path(lake, check_batch_id(batch_id)))
    if content is None:
        raise UnknownBatchError(
            f"batch_id {batch_id!r} is not registered: run sgf generate or sgf launch, or materialise"
            " generation_request with a configuration first"
        )
    try:
        return GenerationRequest.from_record(content)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"batch_id {batch_id!r}: {error}") from error


def register_new(
    lake: LakeResource, content: dict[str, Any], delivery: dict[str, Any], now: datetime
) -> GenerationRequest:
    """Register under an id of our own: ``gen_2025_01_30_143022``, with four hex digits more when that is taken."""
    batch_id = now.strftime("gen_%Y_%m_%d_%H%M%S")
    suffix = ""
    while True:
        request = parse_request(batch_id + suffix, content, delivery)
        if not lake.exists(_request_path(lake, request.batch_id)):
            try:
                return register(lake, request)
            except ConflictError:
                pass  # somebody was quicker
        suffix = f"_{secrets.token_hex(2)}"


def dataset_folder(lake: LakeResource, request: GenerationRequest) -> UPath:
    """The batch's folder within the Hive dataset."""
    return lake.path("datasets", f"tenant={request.content.tenant}", f"batch_id={request.batch_id}")


def shard_file(lake: LakeResource, request: GenerationRequest, scenario: ScenarioName) -> UPath:
    """The one Parquet file of a shard in the exported dataset."""
    return dataset_folder(lake, request) / f"shard={scenario}" / "part-00000.parquet"


def add_to_receipt(
    lake: LakeResource,
    request: GenerationRequest,
    scenario: ScenarioName,
    data_sha: str,
    sink: str,
    state: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Note in the shard's receipt that ``sink`` has taken (or skipped) the labelled rows with hash ``data_sha``.

    A receipt of other rows is begun anew. ``facts`` (counts, sums, model) are merged in. ``state`` names the run that
    exported (``run``), so that a shard that is built again has another receipt, though its rows are the same; nothing
    else in a receipt depends on when and by whom it was built. Sinks that note at once lose nothing.
    """
    if sink not in SINKS:
        raise InvalidRequestError(f"sink {sink!r} is unknown: use one of {', '.join(SINKS)}")

    def noted(before: dict[str, Any] | None) -> dict[str, Any]:
        if before is None or before["data_sha"] != data_sha:
            before = {
                "batch_id": request.batch_id,
                "scenario": scenario,
                "content_sha": request.content.content_sha,
                "data_sha": data_sha,
                "sinks": {},
            }
        return {**before, **(facts or {}), "sinks": {**before["sinks"], sink: dict(state)}}

    lake.update_json(_receipt_path(lake, request, scenario), noted, owner=request.batch_id)


def receipt(lake: LakeResource, request: GenerationRequest, scenario: ScenarioName) -> dict[str, Any] | None:
    """The shard's receipt, complete or not; None where no sink has noted anything yet.

    Raises ``StorageError`` where it is damaged.
    """
    path = _receipt_path(lake, request, scenario)
    found = lake.read_json(path)
    sinks = {} if found is None else found.get("sinks")
    whole = isinstance(sinks, dict) and all(isinstance(state, dict) for state in sinks.values())
    if found is not None and not (whole and "content_sha" in found):
        raise StorageError(f"receipt {lake.uri(path)} is damaged: remove it and build the shard again")
    return found


def receipts(lake: LakeResource, request: GenerationRequest) -> dict[ScenarioName, dict[str, Any]]:
    """The complete receipts of the requested shards: those that name every sink."""
    found: dict[ScenarioName, dict[str, Any]] = {}
    for name in request.content.scenarios:
        one = receipt(lake, request, name)
        if one is not None and set(one["sinks"]) == set(SINKS) and one["content_sha"] == request.content.content_sha:
            found[name] = one
    return found


def receipts_sha(found: Mapping[ScenarioName, Mapping[str, Any]]) -> str:
    """SHA-256 of a set of receipts: what a manifest is made of, and what tells whether a new one is due."""
    return hashlib.sha256(canonical_json({name: dict(one) for name, one in found.items()}).encode()).hexdigest()


def newest_manifest(lake: LakeResource, request: GenerationRequest) -> dict[str, Any] | None:
    """The manifest with the highest number, or None. Raises ``StorageError`` where it is damaged."""
    numbers = _manifest_numbers(lake, request)
    if not numbers:
        return None
    path = manifest_path(lake, request, numbers[-1])
    manifest = lake.read_json(path)
    if manifest is None or not {"number", "receipts_sha", "s3_uri"} <= set(manifest):
        raise StorageError(f"manifest {lake.uri(path)} is damaged: restore it")
    return manifest


def all_manifests(lake: LakeResource) -> Iterator[tuple[str, dict[str, Any]]]:
    """Address and content of every manifest of every batch that the storage holds.

    Raises ``AuditError`` naming a file that is no manifest.
    """
    root = lake.path("datasets")
    for tenant in lake.names(root):
        for batch in lake.names(root / tenant):
            folder = root / tenant / batch / "_manifests"
            for name in lake.names(folder):
                try:
                    manifest = lake.read_json(folder / name)
                except StorageError as error:
                    raise AuditError(f"manifest {lake.uri(folder / name)} is damaged: restore it") from error
                if manifest is not None:
                    yield lake.uri(folder / name), manifest


def manifest_path(lake: LakeResource, request: GenerationRequest, number: int) -> UPath:
    """Where the batch's manifest of this number lies."""
    return dataset_folder(lake, request) / "_manifests" / f"{number}.json"


def next_manifest_number(lake: LakeResource, request: GenerationRequest) -> int:
    """One more than the newest manifest's."""
    return max(_manifest_numbers(lake, request), default=0) + 1


@dataclass(frozen=True)
class Due:
    """Whether a batch needs a manifest: all requested shards are there, and differ from the newest manifest's."""

    is_due: bool
    missing: tuple[ScenarioName, ...]
    receipts_sha: str


def manifest_due(
    lake: LakeResource, request: GenerationRequest, found: Mapping[ScenarioName, Mapping[str, Any]] | None = None
) -> Due:
    """Compare the receipts (``found``, where they have been read already) with the newest manifest."""
    found = receipts(lake, request) if found is None else found
    missing = tuple(name for name in request.content.scenarios if name not in found)
    sha = receipts_sha(found)
    newest = newest_manifest(lake, request)
    return Due(not missing and (newest is None or newest["receipts_sha"] != sha), missing, sha)


def _difference(recorded: GenerationRequest, asked: GenerationRequest) -> str:
    before, after = recorded.content.model_dump(mode="json"), asked.content.model_dump(mode="json")
    field = next(name for name in before if before[name] != after[name])
    return f"{field} is {before[field]!r} there and {after[field]!r} here"


def _request_path(lake: LakeResource, batch_id: str) -> UPath:
    return lake.path("requests", f"{batch_id}.json")


def _receipt_path(lake: LakeResource, request: GenerationRequest, scenario: ScenarioName) -> UPath:
    return dataset_folder(lake, request) / "_receipts" / f"{scenario}.json"


def _manifest_numbers(lake: LakeResource, request: GenerationRequest) -> list[int]:
    names = lake.names(dataset_folder(lake, request) / "_manifests")
    return sorted(int(name[:-5]) for name in names if re.fullmatch(r"[0-9]+\.json", name))
