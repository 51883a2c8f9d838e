"""The one exception tree, and the one table that says what each door does with it.

Belongs here: every exception class the project raises on purpose, and its exit code, HTTP status and
whether trying again can help. Does not belong here: messages (they are written where the value is known).
"""

from dataclasses import dataclass


class SgfError(Exception):
    """Root of the tree. The message is one sentence: field, value, what is allowed or what to do."""


class PermanentError(SgfError):
    """The same call would fail again: nobody should retry it."""


class TransientError(SgfError):
    """The outside world failed; the same call may succeed later."""


class InvalidRequestError(PermanentError):
    """A request, key or option is outside what is allowed."""


class ConflictError(PermanentError):
    """A name is taken by something with other content."""


class UnknownBatchError(PermanentError):
    """A batch id that was never registered."""


class ScenarioNotRequestedError(PermanentError):
    """A cell of the grid that the batch's request does not name."""


class StorageError(PermanentError):
    """The storage refuses what is asked: missing rights, missing folder, not a folder."""


class ConfigurationError(PermanentError):
    """A setting or environment variable is missing or contradicts another."""


class ModelError(PermanentError):
    """The language model cannot be loaded, or its answers stay invalid after every allowed attempt."""


class CostCapError(PermanentError):
    """The language model would cost more than ``max_cost_usd`` allows."""


class ModelUnavailableError(TransientError):
    """The language model's server did not answer, or asks for patience longer than a run has."""


class ValidationFailedError(PermanentError):
    """Rows broke the gate: a defect of ours. The rows lie in quarantine with their reasons."""


class ExplanationError(PermanentError):
    """An explanation says something that its rows do not show: a defect of ours."""


class StorageUnavailableError(TransientError):
    """The storage did not answer."""


class SinkError(PermanentError):
    """A sink (warehouse, stream, feature store) refuses what is asked: rights, names, a table changed by hand."""


class SinkUnavailableError(TransientError):
    """A sink did not answer."""


class OrchestratorError(PermanentError):
    """Dagster refuses what is asked, or the code that it should run cannot be loaded."""


class OrchestratorUnavailableError(TransientError):
    """Dagster's webserver did not answer, or is still starting."""


class ReconciliationError(PermanentError):
    """A sink does not hold what the receipts say: it was changed after the export."""


class AuditError(PermanentError):
    """The audit trail does not hold together: somebody changed it."""


@dataclass(frozen=True)
class Outcome:
    """How an error leaves through each door."""

    exit_code: int
    http_status: int
    retry: bool


# Read from the most special class up: ``outcome_of`` walks the error's own class hierarchy.
OUTCOMES: dict[type[SgfError], Outcome] = {
    SgfError: Outcome(1, 500, retry=False),
    PermanentError: Outcome(1, 500, retry=False),
    TransientError: Outcome(75, 503, retry=True),
    InvalidRequestError: Outcome(2, 422, retry=False),
    ConflictError: Outcome(2, 409, retry=False),
    UnknownBatchError: Outcome(2, 404, retry=False),
    ScenarioNotRequestedError: Outcome(2, 422, retry=False),
    StorageError: Outcome(2, 507, retry=False),
    ConfigurationError: Outcome(2, 500, retry=False),
    ModelError: Outcome(3, 502, retry=False),
    CostCapError: Outcome(3, 402, retry=False),
    ValidationFailedError: Outcome(5, 500, retry=False),
    ExplanationError: Outcome(5, 500, retry=False),
    SinkError: Outcome(4, 502, retry=False),
    OrchestratorError: Outcome(4, 502, retry=False),
    ReconciliationError: Outcome(4, 500, retry=False),
    AuditError: Outcome(6, 500, retry=False),
}


def error_class(name: str | None) -> type[SgfError]:
    """The class of an error that a run named in its failure; the root where it is none of ours."""
    waiting: list[type[SgfError]] = [SgfError]
    while waiting:
        cls = waiting.pop()
        if cls.__name__ == name:
            return cls
        waiting += cls.__subclasses__()
    return SgfError


def outcome_of(error: SgfError) -> Outcome:
    """The row of ``OUTCOMES`` for the error's class, or for the nearest class above it."""
    for cls in type(error).__mro__:
        if cls in OUTCOMES:
            return OUTCOMES[cls]
    return OUTCOMES[SgfError]
