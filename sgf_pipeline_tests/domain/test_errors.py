"""The table of errors."""

from sgf_pipeline.domain import errors
from sgf_pipeline.domain.errors import OUTCOMES, PermanentError, SgfError, TransientError, outcome_of


def test_every_error_has_an_outcome_and_only_transient_ones_are_retried():
    """Guards against a new error class that nobody decided about, and against retrying what cannot succeed."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, SgfError)]
    assert len(classes) >= 12
    for cls in classes:
        outcome = outcome_of(cls("x"))
        assert outcome.retry == issubclass(cls, TransientError)
        assert 1 <= outcome.exit_code < 126
        assert 400 <= outcome.http_status < 600
        if cls is not SgfError:
            assert issubclass(cls, PermanentError) != issubclass(cls, TransientError)


def test_bad_input_leaves_with_exit_code_two():
    """Guards the contract of the command line: bad input is 2, in every class of it."""
    for cls in (errors.InvalidRequestError, errors.ConflictError, errors.StorageError, errors.UnknownBatchError):
        assert OUTCOMES[cls].exit_code == 2
