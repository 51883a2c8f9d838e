"""Standing payments: salaries, rents, bills, savings, subscriptions, on their day of every month.

Belongs here: turning habits into dated rows inside the period, cut to a share of the quota. Does not belong here:
who has which standing payment (``habits``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import CHANNELS, ENTRY_MODES, HARD_NEGATIVES, RESPONSE_CODES, code
from sgf_pipeline.population.filling import card_payments, transfers
from sgf_pipeline.population.places import DAY_US, MINUTE_US, utc_offset_minutes
from sgf_pipeline.traffic.habits import ITEMS
from sgf_pipeline.traffic.rhythm import FIRST_WEEKDAY
from sgf_pipeline.traffic.scene import Parts, Scene

Array = NDArray[Any]

SALARIES = ("salary", "second_salary")
INCOMING = (*SALARIES, "support")
DECLINED = 0.03  # of subscription charges


def payments(scene: Scene, random: np.random.Generator, parts: Parts, *, limit: int, piece: int, pieces: int) -> Array:
    """Add up to ``limit`` standing payments due in the period, every ``pieces``-th of them from ``piece`` on.

    Where more are due, whole customers are left out, at random. Returns how many rows each customer got.
    """
    who, item, times = _due(scene, random)
    rows = np.arange(piece, len(who), pieces)
    if len(rows) > limit:
        priority = random.permutation(scene.size)
        rows = rows[np.argsort(priority[who[rows]], kind="stable")[:limit]]
    who, item, times = who[rows], item[rows], times[rows]
    habits, population = scene.habits, scene.population
    amounts = habits.item_amount[who, item]
    customers = scene.customers(who)
    names = np.array(ITEMS)[item]

    salary = np.flatnonzero(np.isin(names, SALARIES))
    columns = transfers(
        population, random, customers[salary], times[salary], amounts[salary], "online_banking", "credit",
        habits.item_account[who[salary], item[salary]], population.country[customers[salary]],
        transaction_type="deposit",
    )  # fmt: skip
    split = habits.item_amount[who[salary], code(ITEMS, "second_salary")] > 0
    columns["hard_negative"] = np.where(split, code(HARD_NEGATIVES, "salary_split"), -1)
    parts.add(columns)

    moved = np.flatnonzero(np.isin(names, ("rent", "bill", "second_bill", "savings", "support")))
    parts.add(
        transfers(
            population, random, customers[moved], times[moved], amounts[moved],
            np.where(random.random(len(moved)) < 0.6, code(CHANNELS, "mobile"), code(CHANNELS, "online_banking")),
            np.where(np.isin(names[moved], INCOMING), 1, 0), habits.item_account[who[moved], item[moved]],
            population.country[customers[moved]],
        )
    )  # fmt: skip

    paid = np.flatnonzero(names == "subscription")
    mobile = random.random(len(paid)) < 0.3
    declined = random.random(len(paid)) < DECLINED
    columns = card_payments(
        population, random, customers[paid], habits.item_merchant[who[paid], item[paid]], times[paid], amounts[paid],
        np.where(mobile, code(CHANNELS, "mobile"), code(CHANNELS, "ecommerce")),
        entry_mode=np.full(len(paid), code(ENTRY_MODES, "stored_credential")),
        response_code=np.where(declined, code(RESPONSE_CODES, "51"), code(RESPONSE_CODES, "00")),
    )  # fmt: skip
    burst = habits.subscription_burst[who[paid]]
    columns["hard_negative"] = np.where(burst, code(HARD_NEGATIVES, "subscription_burst"), -1)
    parts.add(columns)
    return np.bincount(who, minlength=scene.size)


def _due(scene: Scene, random: np.random.Generator) -> tuple[Array, Array, Array]:
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
    weekday = (day + FIRST_WEEKDAY) % 7
    # Banks pay on the working day before a weekend; card subscriptions know no weekends.
    bank = habits.item_merchant[who, item] < 0
    day = day - np.where(bank, np.maximum(weekday - 4, 0), 0)
    wobble = random.integers(0, 40, day.shape)
    local = (day * 1440 + habits.item_minute[who, item] + wobble) * MINUTE_US + random.integers(0, MINUTE_US, day.shape)
    names, zone = scene.population.zones
    times = np.empty_like(local)
    zones = scene.own(zone)[who]
    for number in np.unique(zones):
        rows = zones == number
        offset = utc_offset_minutes(names[number], local[:, rows].ravel()).reshape(-1, int(rows.sum()))
        times[:, rows] = local[:, rows] - offset * MINUTE_US
    month, position = np.nonzero((times >= scene.start_us) & (times < scene.end_us))
    return who[position], item[position], times[month, position]
