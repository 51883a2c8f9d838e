"""What a request means that leaves something out.

Belongs here: the one set of defaults behind every door. Does not belong here: limits of a field (``domain.request``).
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES

DEFAULT_COUNT = 1000
DEFAULT_RATIO = 0.1
DEFAULT_DAYS = 30
MAX_NEW_SEED = 2**31
_SECOND = timedelta(seconds=1)


def completed(given: Mapping[str, Any], end: datetime) -> dict[str, Any]:
    """Raw content values, with what was not given: a thousand rows of a small French bank, a random seed.

    A period of ``DEFAULT_DAYS`` ends where the given one begins or ends, else in the last second before ``end``.
    Nothing is checked here but what has to be read: raises ``InvalidRequestError`` for a date that is none.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if "start_date" in wanted and "end_date" not in wanted:
        wanted["end_date"] = _moved("start_date", wanted["start_date"], timedelta(days=DEFAULT_DAYS) - _SECOND)
    last = wanted.setdefault("end_date", _written(end - _SECOND))
    if "start_date" not in wanted:
        wanted["start_date"] = _moved("end_date", last, _SECOND - timedelta(days=DEFAULT_DAYS))
    return {
        "count": DEFAULT_COUNT,
        "fraud_ratio": DEFAULT_RATIO,
        "scenarios": SCENARIO_NAMES,
        "currency": "EUR",
        "countries": ("FR",),
        "seed": secrets.randbelow(MAX_NEW_SEED),
        **wanted,
    }


def last_midnight(now: datetime) -> datetime:
    """The midnight (UTC) that was last."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _moved(field: str, value: Any, by: timedelta) -> str:
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return _written(moment.replace(microsecond=0) + by)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequestError(
            f"{field} {str(value)[:40]!r} is not allowed: use ISO 8601, such as 2025-01-01T00:00:00Z"
        ) from None


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
