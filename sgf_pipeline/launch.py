"""Batches built by a Dagster that runs elsewhere: launch, backfill, status, cancel. What every door calls.

Belongs here: which shards of a batch are launched, what state each is in, and when a batch is finished. The lake says
what is done (receipts, manifests), Dagster says what is going on. Does not belong here: GraphQL (``dagster_client``),
printing, waiting, and building in one's own process (``cli.building``).

Partition keys are checked here, because Dagster launches a run for any text.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import repeat
from typing import Any

from sgf_pipeline import batches
from sgf_pipeline.dagster_client import ActiveBackfill, DagsterClient, Failure
from sgf_pipeline.domain.errors import InvalidRequestError, ScenarioNotRequestedError, StorageError, UnknownBatchError
from sgf_pipeline.domain.request import GenerationRequest, check_batch_id, check_scenario
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.partitions import shard_key, shard_tags
from sgf_pipeline.progress import (
    RECEIPTS_TAG,
    ManifestState,
    Run,
    ShardState,
    manifest_state,
    receipts_tag,
    shard_state,
)
from sgf_pipeline.resources.lake import LakeResource

BUILD_JOB = "build_shard"
CLOSE_JOB = "close_batch"
REQUESTED_BY_TAG = "sgf/requested_by"
BACKFILL_TAG = "dagster/backfill"
ASKED_AT_ONCE = 20  # batches in one question
LAKE_READERS = 8


class BatchState(StrEnum):
    """Where a batch stands."""

    COMPLETE = "complete"
    """The newest manifest is about the shards as they are."""
    RUNNING = "running"
    """A shard is queued, at work or being cancelled, or a backfill is about to queue one."""
    CLOSING = "closing"
    """Every shard is done, and the manifest is due: its run is at work, or is about to be asked for."""
    FAILED = "failed"
    """The newest run of a shard, or each try at the manifest, failed, and nothing is at work."""
    INCOMPLETE = "incomplete"
    """Shards are missing or cancelled, or the manifest was cancelled, and nothing is at work."""
    DAMAGED = "damaged"
    """A receipt or manifest cannot be read: in lists only, where it must not hide the others."""


@dataclass(frozen=True)
class ShardStatus:
    """One requested shard. ``rows`` and ``fraudulent`` are what was exported: None until every sink has its rows."""

    scenario: ScenarioName
    state: ShardState
    rows: int | None
    fraudulent: int | None
    run_id: str | None
    """Its newest run, or the one at work."""
    stages_done: int | None
    """None unless it is running."""
    stage: str | None
    """The asset that is being made now."""
    failure: Failure | None


@dataclass(frozen=True)
class BatchStatus:
    """One batch: what it asks for, its shards in canonical order, its manifest."""

    request: GenerationRequest
    state: BatchState
    shards: tuple[ShardStatus, ...]
    manifest: int | None
    """Number of the newest manifest, which a rebuilt shard may have left behind: see ``is_complete``."""
    is_complete: bool
    """The newest manifest is about exactly the shards that stand in the sinks."""
    s3_uri: str | None
    """The dataset's address, where there is a manifest and the request wants files."""
    manifest_state: ManifestState | None
    """What becomes of the manifest that is due; None where none is, or shards are not done."""
    closing_run_id: str | None
    """The newest run for the manifest."""
    closing_failure: Failure | None
    backfills: tuple[str, ...]
    """Backfills under way that are about this batch."""
    damage: str | None = None
    """What cannot be read, and the remedy."""

    @property
    def batch_id(self) -> str:
        return self.request.batch_id

    @property
    def is_settled(self) -> bool:
        """Nothing more will happen by itself."""
        return self.state not in (BatchState.RUNNING, BatchState.CLOSING)

    @property
    def rows(self) -> int:
        """Exported rows of the shards that are done."""
        return sum(shard.rows or 0 for shard in self.shards if shard.state is ShardState.DONE)

    @property
    def fraudulent(self) -> int:
        """Fraudulent ones among ``rows``."""
        return sum(shard.fraudulent or 0 for shard in self.shards if shard.state is ShardState.DONE)

    def count(self, state: ShardState) -> int:
        """How many shards are in this state."""
        return sum(shard.state is state for shard in self.shards)

    @property
    def first_failure(self) -> tuple[ScenarioName | None, Failure] | None:
        """The first failed shard and why, or None and why the manifest failed."""
        for shard in self.shards:
            if shard.failure is not None:
                return shard.scenario, shard.failure
        return None if self.closing_failure is None else (None, self.closing_failure)


@dataclass(frozen=True)
class Launched:
    """What ``launch`` did: the run of each launched shard, and the state of those that were left alone."""

    batch_id: str
    runs: Mapping[ScenarioName, str]
    left_alone: Mapping[ScenarioName, ShardState]
    closing_run_id: str | None
    """A run for the manifest, where every shard is done and the last try at the manifest failed."""


@dataclass(frozen=True)
class Backfill:
    """What ``backfill`` asked for: the cells, and those that were named but that no request asks for."""

    backfill_id: str
    cells: tuple[tuple[str, ScenarioName], ...]
    not_requested: tuple[tuple[str, ScenarioName], ...]


@dataclass(frozen=True)
class Cancelled:
    """What ``cancel`` ended. ``refused``: runs that Dagster could not end, and why."""

    batch_id: str
    run_ids: tuple[str, ...]
    backfill_ids: tuple[str, ...]
    shared_backfill_ids: tuple[str, ...]
    """Backfills that are about other batches as well: they go on, and may still launch this batch's cells."""
    refused: Mapping[str, str]


def register(lake: LakeResource, dagster: DagsterClient, request: GenerationRequest) -> GenerationRequest:
    """Record the request, then make it known to Dagster. The same content again is fine.

    Raises as ``batches.register`` and ``DagsterClient`` do. When Dagster fails after the record was made, the same call
    again, or ``launch``, mends it.
    """
    recorded = batches.register(lake, request)
    dagster.add_batch(recorded.batch_id)
    return recorded


def launch(
    lake: LakeResource,
    dagster: DagsterClient,
    batch_id: str,
    *,
    requested_by: str,
    scenarios: Sequence[str] | None = None,
    again: bool = False,
) -> Launched:
    """Queue a run of ``build_shard`` for each requested shard that is neither done nor queued nor running.

    ``scenarios`` restricts it to some of them; ``again`` launches all, whatever state they are in: a second run of a
    shard waits for the first, and gives the same bytes. Where every shard is done and only the manifest is not, and
    none is under way, a run for that is queued. Raises ``UnknownBatchError``, ``ScenarioNotRequestedError`` and
    what ``DagsterClient`` raises.
    """
    request = batches.load(lake, batch_id)
    wanted = _requested(request, scenarios)
    dagster.check()
    dagster.add_batch(batch_id)
    status = _statuses(lake, dagster, [request])[0]
    settled = () if again else (ShardState.DONE, ShardState.QUEUED, ShardState.RUNNING)
    left_alone = {
        shard.scenario: shard.state for shard in status.shards if shard.scenario in wanted and shard.state in settled
    }
    launched = [name for name in wanted if name not in left_alone]
    tags = {REQUESTED_BY_TAG: requested_by}
    run_ids: list[str] = []
    closing: list[str] = []
    if launched:
        run_ids = dagster.launch_runs(BUILD_JOB, [{**shard_tags(batch_id, name), **tags} for name in launched])
    elif status.manifest_state not in (None, ManifestState.UNDER_WAY):
        due = batches.manifest_due(lake, request)
        tags |= {"dagster/partition": batch_id, RECEIPTS_TAG: receipts_tag(due.receipts_sha)}
        closing = dagster.launch_runs(CLOSE_JOB, [tags])
    return Launched(batch_id, dict(zip(launched, run_ids, strict=True)), left_alone, closing[0] if closing else None)


def backfill(
    lake: LakeResource,
    dagster: DagsterClient,
    batch_ids: Sequence[str],
    scenarios: Sequence[str],
    *,
    requested_by: str,
) -> Backfill:
    """Build the scenarios' shards of these batches again, each by its recorded request, as one backfill.

    A batch that does not ask for a scenario is passed over there. It is a backfill of the job ``build_shard``, whose
    runs are like those of ``launch``; a backfill of the assets
    builds the same shards.
    Raises ``UnknownBatchError``, ``ScenarioNotRequestedError`` when no cell is left, and what ``DagsterClient`` raises.
    """
    names = list(dict.fromkeys(check_scenario(name) for name in scenarios))
    with ThreadPoolExecutor(LAKE_READERS) as readers:
        requests = list(readers.map(batches.load, repeat(lake), dict.fromkeys(batch_ids)))
    if not names or not requests:
        raise InvalidRequestError("a backfill needs a scenario and a batch: name one of each")
    named = [(request, name) for request in requests for name in names]
    cells = tuple((request.batch_id, name) for request, name in named if name in request.content.scenarios)
    not_requested = tuple((request.batch_id, name) for request, name in named if name not in request.content.scenarios)
    if not cells:
        raise ScenarioNotRequestedError(
            f"scenario not requested: none of the {len(requests)} batches asks for {', '.join(names)}"
        )
    dagster.check()
    for batch_id in dict.fromkeys(batch_id for batch_id, _ in cells):
        dagster.add_batch(batch_id)
    what = names[0] if len(names) == 1 else f"{len(names)} scenarios"
    backfill_id = dagster.launch_backfill(
        BUILD_JOB,
        [str(shard_key(batch_id, name)) for batch_id, name in cells],
        title=f"{what}: {len(cells)} shards of {len({batch_id for batch_id, _ in cells})} batches",
        description=f"{', '.join(names)}, each batch by its recorded request; asked for by {requested_by}",
        tags={REQUESTED_BY_TAG: requested_by},
    )
    return Backfill(backfill_id, cells, not_requested)


def batch_status(lake: LakeResource, dagster: DagsterClient, batch_id: str) -> BatchStatus:
    """Where a registered batch stands. Raises ``UnknownBatchError`` and what ``DagsterClient`` raises."""
    return batch_statuses(lake, dagster, [batch_id])[0]


def batch_statuses(lake: LakeResource, dagster: DagsterClient, batch_ids: Sequence[str]) -> list[BatchStatus]:
    """The same for several batches, at hardly more questions to Dagster than for one."""
    return _with_details(dagster, _statuses(lake, dagster, [batches.load(lake, batch_id) for batch_id in batch_ids]))


def recent_batches(
    lake: LakeResource,
    dagster: DagsterClient,
    limit: int = 20,
    *,
    before: str | None = None,
    tenant: str | None = None,
) -> list[BatchStatus]:
    """The batches that Dagster knows, newest first: at most ``limit``, of one tenant where it is given.

    ``before`` is the last batch of the page before. Keys that were typed by hand and never registered are left out.
    Raises ``UnknownBatchError`` for a ``before`` that Dagster does not know, and what ``DagsterClient`` raises.
    """
    known = dagster.batch_ids()
    if before is not None:
        if check_batch_id(before) not in known:
            raise UnknownBatchError(f"batch_id {before!r} is not known to Dagster: leave it out for the newest batches")
        known = known[known.index(before) + 1 :]
    found: list[GenerationRequest] = []
    while known and len(found) < limit:
        page, known = known[:limit], known[limit:]
        with ThreadPoolExecutor(LAKE_READERS) as readers:
            requests = readers.map(_registered, repeat(lake), page)
            found += [one for one in requests if one is not None and tenant in (None, one.content.tenant)]
    return _with_details(dagster, _statuses(lake, dagster, found[:limit], as_list=True))


def cancel(lake: LakeResource, dagster: DagsterClient, batch_id: str) -> Cancelled:
    """End the batch's runs, queued or at work, its manifest's among them, and the backfills that are about it alone.

    Raises ``UnknownBatchError`` and what ``DagsterClient`` raises. What is done stays done.
    """
    request = batches.load(lake, batch_id)
    (pair,), active = dagster.runs_and_backfills([_filters(request)])
    about = [one for one in active if _cells(one, batch_id)]
    own = [one for one in about if len(_cells(one, batch_id)) == len(one.partition_keys)]
    for one in own:
        if one.status == "REQUESTED":
            dagster.cancel_backfill(one.backfill_id)
    if own:  # a run that was made meanwhile is to be found, too
        (pair,), _ = dagster.runs_and_backfills([_filters(request)])
    active_runs = [run for runs in pair for run in runs if not run.is_finished]
    run_ids = [run.run_id for run in active_runs]
    # Nobody but that process can end its run: asked to, Dagster would call it cancelled while it works on.
    refused = {
        run.run_id: f"it belongs to sgf generate, {run.command}: end that with Ctrl-C"
        for run in active_runs
        if run.command
    }
    refused |= dagster.cancel_runs([run_id for run_id in run_ids if run_id not in refused])
    return Cancelled(
        batch_id,
        tuple(run_id for run_id in run_ids if run_id not in refused),
        tuple(one.backfill_id for one in own),
        tuple(one.backfill_id for one in about if one not in own),
        refused,
    )


def _requested(request: GenerationRequest, scenarios: Sequence[str] | None) -> list[ScenarioName]:
    if scenarios is None:
        return list(request.content.scenarios)
    named = [check_scenario(name) for name in scenarios]
    foreign = [name for name in named if name not in request.content.scenarios]
    if foreign:
        raise ScenarioNotRequestedError(
            f"scenario not requested: batch {request.batch_id!r} asks for {', '.join(request.content.scenarios)},"
            f" not for {foreign[0]}"
        )
    return [name for name in request.content.scenarios if name in named]


def _registered(lake: LakeResource, batch_id: str) -> GenerationRequest | None:
    try:
        return batches.load(lake, batch_id)
    except (UnknownBatchError, InvalidRequestError):
        return None  # a key that was typed by hand, or a record that was edited


def _filters(request: GenerationRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs of the batch's shards, by whatever job; runs of its manifest."""
    return (
        {"tags": [{"key": "dagster/partition/batch_id", "value": request.batch_id}]},
        {"tags": [{"key": "dagster/partition", "value": request.batch_id}], "pipelineName": CLOSE_JOB},
    )


def _cells(one: ActiveBackfill, batch_id: str) -> list[str]:
    """Those of a backfill's partitions that belong to the batch; its manifest's partition is the batch_id itself."""
    return [key for key in one.partition_keys if key.partition("|")[0] == batch_id]


def _statuses(
    lake: LakeResource, dagster: DagsterClient, requests: Sequence[GenerationRequest], *, as_list: bool = False
) -> list[BatchStatus]:
    """Without stages and reasons, which cost further questions. ``as_list``: a damaged batch is shown as such."""
    status = _status_or_damage if as_list else _status
    found: list[BatchStatus] = []
    for start in range(0, len(requests), ASKED_AT_ONCE):
        some = requests[start : start + ASKED_AT_ONCE]
        # Dagster first: a shard whose run has ended by now has its receipt by the time that the lake is read
        pairs, active = dagster.runs_and_backfills([_filters(request) for request in some])
        with ThreadPoolExecutor(LAKE_READERS) as readers:
            found += readers.map(status, repeat(lake), some, pairs, repeat(active))
    return found


def _status_or_damage(
    lake: LakeResource, request: GenerationRequest, runs: tuple[list[Run], list[Run]], active: list[ActiveBackfill]
) -> BatchStatus:
    try:
        return _status(lake, request, runs, active)
    except StorageError as error:
        return BatchStatus(
            request=request, state=BatchState.DAMAGED, shards=(), manifest=None, is_complete=False, s3_uri=None,
            manifest_state=None, closing_run_id=None, closing_failure=None, backfills=(), damage=str(error),
        )  # fmt: skip


def _status(
    lake: LakeResource, request: GenerationRequest, runs: tuple[list[Run], list[Run]], active: list[ActiveBackfill]
) -> BatchStatus:
    shard_runs, closing_runs = runs
    receipts = batches.receipts(lake, request)
    manifest = batches.newest_manifest(lake, request)
    is_complete = (
        manifest is not None
        and len(receipts) == len(request.content.scenarios)
        and manifest["receipts_sha"] == batches.receipts_sha(receipts)
    )
    shards = tuple(_shard(request, name, shard_runs, receipts.get(name), active) for name in request.content.scenarios)
    states = {shard.state for shard in shards}
    wanted = None
    if states == {ShardState.DONE} and not is_complete:
        wanted = manifest_state(closing_runs, batches.receipts_sha(receipts))
    if states & {ShardState.QUEUED, ShardState.RUNNING, ShardState.CANCELLING}:
        state = BatchState.RUNNING
    elif ShardState.FAILED in states or wanted is ManifestState.FAILED:
        state = BatchState.FAILED
    elif is_complete:
        state = BatchState.COMPLETE
    elif wanted in (ManifestState.WANTED, ManifestState.UNDER_WAY):
        state = BatchState.CLOSING
    else:
        state = BatchState.INCOMPLETE
    return BatchStatus(
        request=request,
        state=state,
        shards=shards,
        manifest=None if manifest is None else manifest["number"],
        is_complete=is_complete,
        s3_uri=None if manifest is None else manifest["s3_uri"],
        manifest_state=wanted,
        closing_run_id=closing_runs[0].run_id if closing_runs else None,
        closing_failure=None,
        backfills=tuple(one.backfill_id for one in active if _cells(one, request.batch_id)),
    )


def _shard(
    request: GenerationRequest,
    scenario: ScenarioName,
    batch_runs: list[Run],
    receipt: Mapping[str, Any] | None,
    active: list[ActiveBackfill],
) -> ShardStatus:
    key = str(shard_key(request.batch_id, scenario))
    runs = [run for run in batch_runs if run.tags.get("dagster/partition") == key]
    known = [run.run_id for run in batch_runs]
    state, chosen = shard_state(runs, receipt, known, is_announced=_is_announced(key, runs, active))
    return ShardStatus(
        scenario=scenario,
        state=state,
        rows=None if receipt is None else receipt["rows"],
        fraudulent=None if receipt is None else receipt["fraudulent"],
        run_id=None if chosen is None else chosen.run_id,
        stages_done=None,
        stage=None,
        failure=None,
    )


def _is_announced(key: str, runs: list[Run], active: list[ActiveBackfill]) -> bool:
    """A backfill is about to queue this shard: it is under way, names the shard, and has made no run of it yet."""
    made = {run.tags.get(BACKFILL_TAG) for run in runs}
    return any(
        one.status == "REQUESTED" and key in one.partition_keys and one.backfill_id not in made for one in active
    )


def _with_details(dagster: DagsterClient, statuses: list[BatchStatus]) -> list[BatchStatus]:
    """Add the stages of what runs and the reasons of what failed: two questions more, however many there are."""
    shards = [shard for one in statuses for shard in one.shards]
    stages = dagster.stages([one.run_id for one in shards if one.state is ShardState.RUNNING and one.run_id])
    failures = dagster.failures(
        [one.run_id for one in shards if one.state is ShardState.FAILED and one.run_id]
        + [one.closing_run_id for one in statuses if one.manifest_state is ManifestState.FAILED and one.closing_run_id]
    )

    def detailed(shard: ShardStatus) -> ShardStatus:
        if shard.run_id is None:
            return shard
        if shard.state is ShardState.FAILED:
            return replace(shard, failure=failures.get(shard.run_id))
        at = stages.get(shard.run_id) if shard.state is ShardState.RUNNING else None
        return shard if at is None else replace(shard, stages_done=at.finished, stage=at.current)

    return [
        replace(
            one,
            shards=tuple(detailed(shard) for shard in one.shards),
            closing_failure=failures.get(one.closing_run_id or "")
            if one.manifest_state is ManifestState.FAILED
            else None,
        )
        for one in statuses
    ]
