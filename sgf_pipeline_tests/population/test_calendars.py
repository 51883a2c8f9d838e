from datetime import date

import numpy as np
import pytest

from sgf_pipeline.population.calendars import public_holidays, weekday, working_day


def days(*dates: str) -> np.ndarray:
    return np.array(dates, dtype="datetime64[D]").astype(np.int64)


def test_holidays_are_those_of_the_country() -> None:
    """Guards: the holidays of another country, or numbers of days counted from another date."""
    france = public_holidays("FR", 2025)
    assert days("2025-07-14")[0] in france
    assert days("2025-07-04")[0] not in france
    assert days("2025-07-04")[0] in public_holidays("US", 2025)
    assert days("2025-01-27")[0] in public_holidays("KR", 2025) or days("2025-01-29")[0] in public_holidays("KR", 2025)


@pytest.mark.parametrize(("country", "saturday_to_monday"), [("FR", [5, 6, 0]), ("SA", [6, 0, 1]), ("AQ", [5, 6, 0])])
def test_the_weekend_is_the_countrys(country: str, saturday_to_monday: list[int]) -> None:
    """Guards: a Friday in Riyadh with the queues of a working day; an error on a country without a calendar."""
    assert weekday(country, days("2025-03-08", "2025-03-09", "2025-03-10")).tolist() == saturday_to_monday


def test_a_holiday_counts_as_a_sunday() -> None:
    """Guards: Christmas as a Thursday."""
    assert weekday("FR", days("2025-12-25", "2025-12-26")).tolist() == [6, 4]


def test_the_last_working_day_lies_before_weekends_and_holidays() -> None:
    """Guards: wages paid on Easter Monday, or days early without a reason."""
    wanted = days("2025-04-22", "2025-04-21", "2025-04-20", "2025-04-17")  # Easter Sunday is the 20th
    found = working_day("FR", wanted)
    assert [str(date.fromordinal(date(1970, 1, 1).toordinal() + int(day))) for day in found] == [
        "2025-04-22", "2025-04-18", "2025-04-18", "2025-04-17",
    ]  # fmt: skip
    assert working_day("FR", wanted.reshape(2, 2)).shape == (2, 2)


def test_years_without_a_calendar_have_weekends() -> None:
    """Guards: an error on a period that the holiday tables do not reach."""
    assert weekday("IN", days("2199-12-25", "2199-12-28")).tolist() == [2, 5]
