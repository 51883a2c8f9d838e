"""Working days: which days a country's banks are closed and its shops quiet.

Belongs here: weekends and public holidays by country, as numbers of days. Does not belong here: hours of the day and
what people do then (``sgf_pipeline.traffic.rhythm``).

Weekends and holidays come from the ``holidays`` package; a country or year that it does not know has weekends only.
"""

from functools import lru_cache

import holidays
import numpy as np
from numpy.typing import NDArray

FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
SUNDAY = 6


@lru_cache(maxsize=1024)
def public_holidays(country: str, year: int) -> NDArray[np.int64]:
    """The country's (ISO alpha-2) nationwide public holidays of a year, as sorted days since 1970-01-01."""
    if country not in holidays.list_supported_countries(include_aliases=False):
        return np.zeros(0, dtype=np.int64)
    found = sorted(holidays.country_holidays(country, years=[year]))
    return np.array(found, dtype="datetime64[D]").astype(np.int64)


@lru_cache(maxsize=256)
def days_past_weekend(country: str) -> int:
    """By how many days the country's week is ahead of one that ends on a Sunday: 1 where it ends on a Saturday."""
    if country not in holidays.list_supported_countries(include_aliases=False):
        return 0
    weekend = holidays.country_holidays(country).weekend
    return 0 if SUNDAY in weekend or not weekend else SUNDAY - max(weekend)


def weekday(country: str, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each day (since 1970-01-01) in the country's week: 5 and 6 are its weekend; 6 also on holidays."""
    place = (days + FIRST_WEEKDAY + days_past_weekend(country)) % 7
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    off = np.concatenate([public_holidays(country, int(year)) for year in np.unique(years)] or [np.zeros(0, np.int64)])
    return np.where(np.isin(days, off), SUNDAY, place)


def working_day(country: str, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last working day at or before each of the days (since 1970-01-01)."""
    if not days.size:
        return days
    first = int(days.min()) - 30
    span = np.arange(first, int(days.max()) + 1)
    last = np.maximum.accumulate(np.where(weekday(country, span) < SUNDAY - 1, span, first))
    return np.asarray(last[days - first])
