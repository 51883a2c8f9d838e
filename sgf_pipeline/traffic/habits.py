"""What a customer keeps doing from batch to batch: favourite shops, standing payments, subscriptions.

Belongs here: habits, drawn like the customers from the population seed alone, in the same blocks. Does not belong
here: single events.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.population.customers import ADDRESSES_PER_CUSTOMER, BLOCK, SEGMENTS, Population
from sgf_pipeline.population.filling import companies, external_accounts
from sgf_pipeline.population.places import COUNTRY_CODES

Array = NDArray[Any]

LOCAL_FAVOURITES = 8
ONLINE_FAVOURITES = 4
SUBSCRIPTIONS = 3
WEEKS = 4  # in which a weekly payment is made in a month
# By segment: who is paid on this account, and who pays rent or a mortgage from it. Chosen, with the share of large
# transfers, to keep the skew of ln(amount) over all rows below 0.6; no source.
_PAID = (0.34, 0.59, 0.61, 0.65, 0.48)
_RENTS = (0.40, 0.52, 0.50, 0.26, 0.36)
# Who pays somebody every week (child care, a cleaner, pocket money), and to whom: one's own savings account, a firm,
# else a person. Our judgement.
_WEEKLY, _TO_SAVINGS, _TO_A_FIRM = 0.16, 0.25, 0.25

# Share of purchases made online, on the mean. Card numbers are stolen where they are used: online. Our judgement.
_ONLINE, _ONLINE_OF = 0.36, {"card_testing": 0.54}
_FROM_ABROAD = 0.12  # of favourite shops on the web lie in any of the batch's countries, the others at home

# Small traders use a private account for their business: they pay in cash and send and receive many times as many
# transfers. They are rare, but not where the bank looks for launderers. Our judgement.
TRADERS = {"money_laundering": 0.40}
TRADERS_ELSEWHERE = 0.04
TRADE = 5.0
BANKING_SIGMA = 0.7  # how much people differ in how often they use their account beside the card


# Days of the month on which wages are paid, each as likely. Common practice as we know it, no statistics.
_PAYDAYS_ELSEWHERE = (25, 26, 27, 28, 29, 31, 1, 15)
_PAYDAYS = {
    "BR": (5, 5, 5, 6, 30, 20),
    "CH": (25, 25, 25, 26, 24, 28),
    "GB": (31, 31, 31, 28, 25, 15),
    "IN": (31, 31, 30, 28, 5, 7),
    "JP": (25, 25, 25, 25, 20, 15, 10),
    "KR": (25, 25, 10, 21, 31, 15),
    "PL": (10, 10, 28, 31, 31, 1),
    "US": (15, 31, 15, 31, 1, 25),
}


@dataclass(frozen=True)
class Habits:
    """One block's customers; ``n`` rows each. Amounts in minor units, days of the month 1 to 31."""

    first: int  # the block's first customer
    local_favourites: Array  # (n, LOCAL_FAVOURITES) merchant positions, dearest first
    online_favourites: Array  # (n, ONLINE_FAVOURITES)
    loyalty: Array  # share of purchases made at favourites
    online: Array  # share of purchases made online
    laptop: Array  # bool: shops online on a second device
    trader: Array  # bool: runs a small business over the account
    banking: Array  # how many transfers and cash deposits he makes, relative to his other rows; around 1
    # Standing items, (n, kinds): amount 0 where there is none
    item_amount: Array
    item_day: Array
    item_minute: Array  # local minutes after midnight
    item_account: Array  # counterparty key, -1 for subscriptions
    item_merchant: Array  # merchant position, -1 for the others


# Columns of the standing items, in order.
ITEMS = (
    *("salary", "second_salary", "rent", "bill", "second_bill", "savings", "support"),
    *("weekly",) * WEEKS,
    *("subscription",) * SUBSCRIPTIONS,
)


def habits(population: Population, number: int) -> Habits:
    """The habits of block ``number`` (customers ``number * BLOCK`` on)."""
    world = population.world
    random = rng(population.population_seed, "habits", population.scenario, number)
    first = number * BLOCK
    n = min(BLOCK, population.size - first)
    here = slice(first, first + n)
    customers = np.arange(first, first + n)
    country, city = population.country[here], population.city[here]
    income, segment, activity = population.income[here], population.segment[here], population.activity[here]

    def luck(*shape: int) -> Array:
        """Drawn for the whole block, so that a customer's habits do not depend on the population's size."""
        return np.asarray(random.random((BLOCK, *shape))[:n])

    online = _ONLINE_OF.get(population.scenario, _ONLINE) + 0.16 * np.sqrt(2) * (luck() + luck() + luck() - 1.5)
    online = np.clip(online, 0.03, 0.85)
    local_favourites = world.in_city(luck(LOCAL_FAVOURITES), city[:, None])
    which = luck(ONLINE_FAVOURITES)
    online_favourites = np.zeros(which.shape, dtype=np.int64)
    for index in np.unique(country):
        rows = country == index
        online_favourites[rows] = world.from_pool(which[rows], online=True, country=int(index))
    abroad = luck(ONLINE_FAVOURITES) < _FROM_ABROAD
    online_favourites[abroad] = world.from_pool(which[abroad], online=True)

    # Small accounts are second accounts: few standing payments go over them.
    main = luck() < np.minimum(1.0, activity / 13)
    unit, euro = world.unit, world.eur
    split = luck() < 0.02
    salary = np.where(main & (luck() < np.array(_PAID)[segment]), income + (luck() * 100).astype(np.int64), 0)
    first_part = np.where(split, salary * 6 // 10, salary)
    rent = np.rint(income * (0.18 + 0.2 * luck()) / (5 * unit)).astype(np.int64) * 5 * unit
    # Half of them pay the charges with it, to the cent.
    rent = np.where(luck() < 0.5, rent, rent + (luck() * 100).astype(np.int64) * (unit // 100))
    bill = np.rint(np.exp(np.log(46 * euro) + 0.6 * _normal(luck())) / (unit // 100)).astype(np.int64) * (unit // 100)
    second_bill = np.rint(24 * euro * (0.4 + 1.8 * luck()) / (unit // 100)).astype(np.int64) * (unit // 100)
    savings = np.maximum(np.rint(income * (0.02 + 0.12 * luck()) / (25 * unit)), 1).astype(np.int64) * 25 * unit
    support = np.maximum(np.rint(120 * euro * np.exp(0.6 * _normal(luck())) / (10 * unit)), 1).astype(np.int64) * 10
    amounts = [
        first_part,
        salary - first_part,
        np.where(main & (luck() < np.array(_RENTS)[segment]), rent, 0),
        np.where(main & (luck() < 0.50), bill, 0),
        np.where(main & (luck() < 0.25), second_bill, 0),
        np.where(main & (luck() < 0.16), savings, 0),
        np.where(main & (luck() < 0.10), support * unit, 0),
    ]
    week = np.rint(np.exp(np.log(48 * euro) + 0.7 * _normal(luck())) / (unit // 100)).astype(np.int64) * (unit // 100)
    week = np.where(luck() < 0.4, np.maximum(np.rint(week / (5 * unit)), 1).astype(np.int64) * 5 * unit, week)
    amounts += [np.where(main & (luck() < _WEEKLY), week, 0)] * WEEKS
    pool, popularity = world.subscription_sellers
    services = pool[np.searchsorted(popularity, luck(SUBSCRIPTIONS), side="right").clip(0, len(pool) - 1)]
    price = np.maximum(np.rint(world.merchant_price[services] * (0.8 + 0.4 * luck(SUBSCRIPTIONS)) / unit), 1)
    fees = price.astype(np.int64) * unit - np.where(luck(SUBSCRIPTIONS) < 0.35, unit // 100, 0)
    wanted = luck(SUBSCRIPTIONS) < np.minimum(0.75, activity / 30)[:, None]
    payday = np.where(
        segment == SEGMENTS.index("senior"),
        1 + (luck() * 3).astype(int),
        _payday(country, luck()),
    )
    day_luck = luck(len(ITEMS))
    days = 1 + (day_luck * 28).astype(np.int64)
    days[:, 0], days[:, 1] = payday, payday % 28 + 1
    days[:, 2] = 1 + (day_luck[:, 2] * 5).astype(np.int64)
    weekly = slice(ITEMS.index("weekly"), ITEMS.index("weekly") + WEEKS)
    days[:, weekly] = 1 + (day_luck[:, weekly][:, :1] * 7).astype(np.int64) + 7 * np.arange(WEEKS)
    # Banks book during their working day; subscriptions are charged at any hour of the day.
    minutes = 330 + (luck(len(ITEMS)) * 690).astype(np.int64)
    # Who pays somebody weekly does it by hand, in the evening more often than not.
    minutes[:, weekly] = 450 + (luck()[:, None] ** 0.7 * 870).astype(np.int64)
    minutes[:, -SUBSCRIPTIONS:] = 300 + (luck(SUBSCRIPTIONS) * 1100).astype(np.int64)
    household = population.ip[here] // ADDRESSES_PER_CUSTOMER
    nobody = np.full(n, -1)
    whom = luck()
    paid_weekly = np.select(
        [whom < _TO_SAVINGS, whom < _TO_SAVINGS + _TO_A_FIRM],
        [external_accounts(customers, 1), companies("carer", country, luck())],
        external_accounts(customers, 3),
    )
    trader = luck() < TRADERS.get(population.scenario, TRADERS_ELSEWHERE)
    accounts = [
        companies("employer", country, luck()),
        companies("employer", country, luck()),
        np.where(luck() < 0.35, companies("landlord", country, luck()), external_accounts(household, 0)),
        companies("utility", country, luck()),
        companies("utility", country, luck()),
        external_accounts(customers, 1),
        external_accounts(customers, 2),
        *[paid_weekly] * WEEKS,
        *[nobody] * SUBSCRIPTIONS,
    ]
    merchants = np.full((n, len(ITEMS)), -1)
    merchants[:, -SUBSCRIPTIONS:] = services
    return Habits(
        first=first,
        local_favourites=local_favourites,
        online_favourites=online_favourites,
        loyalty=0.86 + 0.13 * luck(),
        online=online,
        laptop=luck() < 0.5,
        trader=trader,
        banking=np.exp(BANKING_SIGMA * _normal(luck()) - BANKING_SIGMA**2 / 2) * np.where(trader, TRADE, 1.0),
        item_amount=np.concatenate([np.stack(amounts, axis=1), np.where(wanted, fees, 0)], axis=1),
        item_day=days,
        item_minute=minutes,
        item_account=np.stack(accounts, axis=1),
        item_merchant=merchants,
    )


def _payday(country: Array, luck: Array) -> Array:
    """The day of the month on which wages are paid, by country (its index); the 31st is the last day of any month."""
    days = np.empty(len(country), dtype=np.int64)
    for index in np.unique(country):
        usual = np.array(_PAYDAYS.get(COUNTRY_CODES[index], _PAYDAYS_ELSEWHERE))
        rows = country == index
        days[rows] = usual[(luck[rows] * len(usual)).astype(np.int64)]
    return days


def _normal(luck: Array) -> Array:
    """A bell-shaped number for each uniform one (logistic, scaled to variance 1): cheap, and enough for prices."""
    safe = np.clip(luck, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(safe / (1 - safe)) * 0.5513)
