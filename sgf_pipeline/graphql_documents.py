"""Every GraphQL document that SGF sends to Dagster's webserver, and nothing else.

Belongs here: the texts, by name, and the one that is put together from how many batches it asks about. Does not belong
here: sending them and reading the answers (``dagster_client``). A test holds each to the schema of a live webserver.
"""

from collections.abc import Iterator

# Is our code loaded, and who works off the queue?
SERVER = """
query SgfServer($location: String!) {
  version
  workspaceLocationEntryOrError(name: $location) {
    __typename
    ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename ... on PythonError { message } } }
    ... on PythonError { message }
  }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}
"""

# Which storage do its runs use? Only for code that is loaded: else the webserver breaks.
STORAGE = """
query SgfStorage($lake: ResourceSelector!) {
  topLevelResourceDetailsOrError(resourceSelector: $lake) {
    __typename
    ... on ResourceDetails { configuredValues { key value } }
    ... on Error { message }
  }
}
"""

# A dynamic key needs the repository's selector. A key that exists is answered with DuplicateDynamicPartitionError.
ADD_BATCH = """
mutation SgfAddBatch($repository: RepositorySelector!, $dimension: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $dimension, partitionKey: $key) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

# Oldest first: dynamic keys are kept in the order in which they were added. All of them: asked for a page behind a key
# that it does not know, the webserver breaks.
BATCH_IDS = """
query SgfBatchIds($repository: RepositorySelector!, $partitionSet: String!) {
  partitionSetOrError(repositorySelector: $repository, partitionSetName: $partitionSet) {
    __typename
    ... on PartitionSet {
      partitionsOrError {
        __typename
        ... on Partitions { results { name } }
        ... on PythonError { message }
      }
    }
    ... on PartitionSetNotFoundError { message }
    ... on PythonError { message }
  }
}
"""

LAUNCH_RUNS = """
mutation SgfLaunchRuns($runs: [ExecutionParams!]!) {
  launchMultipleRuns(executionParamsList: $runs) {
    __typename
    ... on LaunchMultipleRunsResult {
      launchMultipleRunsResult {
        __typename
        ... on LaunchRunSuccess { run { runId } }
        ... on Error { message }
        ... on RunConfigValidationInvalid { errors { message } }
      }
    }
    ... on PythonError { message }
  }
}
"""

LAUNCH_BACKFILL = """
mutation SgfLaunchBackfill($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""

# What a run got done: asked for runs that are at work.
STAGES = """
query SgfStages($runIds: [String]!) {
  runsOrError(filter: {runIds: $runIds}) {
    __typename
    ... on Runs { results { runId stepStats { stepKey status startTime } } }
    ... on Error { message }
  }
}
"""

# Why a run failed: asked for runs that did.
FAILURES = """
query SgfFailures($runIds: [String]!) {
  runsOrError(filter: {runIds: $runIds}) {
    __typename
    ... on Runs {
      results {
        runId
        eventConnection {
          events {
            __typename
            ... on ExecutionStepFailureEvent {
              stepKey
              error { message causes { message } }
              failureMetadata { description metadataEntries { label ... on TextMetadataEntry { text } } }
            }
            ... on RunFailureEvent { message error { message } }
          }
        }
      }
    }
    ... on Error { message }
  }
}
"""

CANCEL_RUNS = """
mutation SgfCancelRuns($runIds: [String!]!, $policy: TerminateRunPolicy!) {
  terminateRuns(runIds: $runIds, terminatePolicy: $policy) {
    __typename
    ... on TerminateRunsResult {
      terminateRunResults {
        __typename
        ... on TerminateRunSuccess { run { runId } }
        ... on TerminateRunFailure { message run { runId status } }
        ... on Error { message }
      }
    }
    ... on PythonError { message }
  }
}
"""

CANCEL_BACKFILL = """
mutation SgfCancelBackfill($backfillId: String!) {
  cancelPartitionBackfill(backfillId: $backfillId) {
    __typename
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

BACKFILL = """
query SgfBackfill($backfillId: String!) {
  partitionBackfillOrError(backfillId: $backfillId) {
    __typename
    ... on PartitionBackfill { status error { message } }
    ... on Error { message }
  }
}
"""

RUNS_A_BATCH = 300

_RUNS = "{ __typename ... on Runs { results { ...run } } ... on Error { message } }"


def runs_of(batches: int) -> str:
    """The runs of so many batches (one or more) and all backfills that are under way, in one question.

    Batch number *i* is asked for by the variables ``shards<i>`` and ``manifest<i>``, both filters of runs, and answered
    under the same names. No start and end times: for a run without one the webserver opens that run's log, which takes
    longer than all the rest.
    """
    names = [f"{kind}{number}" for number in range(batches) for kind in ("shards", "manifest")]
    return "\n".join(
        [
            f"query SgfRuns({', '.join(f'${name}: RunsFilter!' for name in names)}) {{",
            *(f"  {name}: runsOrError(filter: ${name}, limit: {RUNS_A_BATCH}) {_RUNS}" for name in names),
            "  backfills: partitionBackfillsOrError(filters: {statuses: [REQUESTED, CANCELING, FAILING]}) {",
            "    __typename",
            "    ... on PartitionBackfills { results { id status partitionNames } }",
            "    ... on PythonError { message }",
            "  }",
            "}",
            "fragment run on Run { runId status tags { key value } }",
        ]
    )


def every_document() -> Iterator[str]:
    """All of them, for the test of the contract."""
    yield from (SERVER, STORAGE, ADD_BATCH, BATCH_IDS, LAUNCH_RUNS, LAUNCH_BACKFILL, STAGES, FAILURES, CANCEL_RUNS,
                CANCEL_BACKFILL, BACKFILL, runs_of(1), runs_of(2))  # fmt: skip
