"""Standing payments: salaries, rents, bills, savings, subscriptions, on their day of every month.

Belongs here: turning habits into dated rows inside the period, cut to a share of the quota. Does not belong here:
who has which standing payment (``habits``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import CHANNELS, RESPONSE_CODES, code
from sgf_pipeline.population.calendars import working_day
from sgf_pipeline.population.customers import DEVICES_PER_CUSTOMER
from sgf_pipeline.population.filling import card_payments, transfers
from sgf_pipeline.population.places import DAY_US, MINUTE_US, utc_offset_minutes
from sgf_pipeline.traffic.habits import ITEMS
from sgf_pipeline.traffic.scene import Parts, Scene

Array = NDArray[Any]

SALARIES = ("salary", "second_salary")
INCOMING = (*SALARIES, "support")
DECLINED = 0.03  # of subscription charges


@dataclass(frozen=True)
class Due:
    """Standing payments that are due: equally long columns."""

    who: Array  # customer of the block
    item: Array  # index into ITEMS
    times: Array  # µs UTC

    def __len__(self) -> int:
        return len(self.who)


def due(scene: Scene, random: np.random.Generator, *, limit: int, piece: int, pieces: int) -> Due:
    """Up to ``limit`` standing payments due in the period, every ``pieces``-th of them from ``piece`` on.

    Where more are due, whole customers are left out, at random.
    """
    who, item, times = _all_due(scene, random)
    rows = np.arange(piece, len(who), pieces)
    if len(rows) > limit:
        priority = random.permutation(scene.size)
        rows = rows[np.argsort(priority[who[rows]], kind="stable")[:limit]]
    return Due(who[rows], item[rows], times[rows])


def pay(scene: Scene, random: np.random.Generator, parts: Parts, payments: Due) -> None:
    """Add the payments."""
    who, item, times = payments.who, payments.item, payments.times
    habits, population = scene.habits, scene.population
    amounts = habits.item_amount[who, item]
    customers = scene.customers(who)
    device = np.where(
        times >= scene.phone_since[who], customers * DEVICES_PER_CUSTOMER + 1, population.device[customers]
    )

    salary = np.flatnonzero(_are(item, *SALARIES))
    parts.add(
        transfers(
            population, random, customers[salary], times[salary], amounts[salary], "online_banking", "credit",
            habits.item_account[who[salary], item[salary]], population.country[customers[salary]],
            transaction_type="deposit",
        )
    )  # fmt: skip

    moved = np.flatnonzero(_are(item, "rent", "bill", "second_bill", "savings", "support", "weekly"))
    parts.add(
        transfers(
            population, random, customers[moved], times[moved], amounts[moved],
            np.where(random.random(len(moved)) < 0.6, code(CHANNELS, "mobile"), code(CHANNELS, "online_banking")),
            np.where(_are(item[moved], *INCOMING), 1, 0), habits.item_account[who[moved], item[moved]],
            population.country[customers[moved]],
            device=device[moved],
        )
    )  # fmt: skip

    paid = np.flatnonzero(_are(item, "subscription"))
    mobile = random.random(len(paid)) < 0.3
    declined = random.random(len(paid)) < DECLINED
    parts.add(
        card_payments(
            population, random, customers[paid], habits.item_merchant[who[paid], item[paid]], times[paid],
            amounts[paid], np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "ecommerce")),
            entry_mode="stored_credential",
            response_code=np.where(declined, code(RESPONSE_CODES, "51"), code(RESPONSE_CODES, "00")),
            device=device[paid],
        )
    )  # fmt: skip


def _are(item: Array, *names: str) -> Array:
    """Which standing items have one of the names."""
    return np.array([name in names for name in ITEMS])[item]


def _all_due(scene: Scene, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """(customer of the block, item, moment) of every standing payment whose moment lies in the period."""
    habits = scene.habits
    # A day more on either side, for the time zones.
    first = np.datetime64(scene.start_us - DAY_US, "us").astype("datetime64[M]")
    last = np.datetime64(scene.end_us + DAY_US, "us").astype("datetime64[M]")
    months = np.arange(first, last + 1)
    month_start = months.astype("datetime64[D]").astype(np.int64)
    month_end = (months + 1).astype("datetime64[D]").astype(np.int64) - 1
    who, item = np.nonzero(habits.item_amount)
    day = np.minimum(month_start[:, None] + habits.item_day[who, item] - 1, month_end[:, None])
    # Banks pay on the working day before a weekend or holiday; card subscriptions know no weekends.
    bank = habits.item_merchant[who, item] < 0
    regions, region = scene.population.regions
    home = scene.own(region)[who]
    for number in np.unique(home):
        columns = bank & (home == number)
        day[:, columns] = working_day(regions[number].country, day[:, columns])
    wobble = random.integers(0, 40, day.shape)
    local = (day * 1440 + habits.item_minute[who, item] + wobble) * MINUTE_US + random.integers(0, MINUTE_US, day.shape)
    times = np.empty_like(local)
    for number in np.unique(home):
        rows = home == number
        offset = utc_offset_minutes(regions[number].timezone, local[:, rows].ravel()).reshape(-1, int(rows.sum()))
        times[:, rows] = local[:, rows] - offset * MINUTE_US
    month, position = np.nonzero((times >= scene.start_us) & (times < scene.end_us))
    return who[position], item[position], times[month, position]
