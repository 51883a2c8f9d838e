"""Hard negatives: legitimate behaviour that looks like fraud.

Belongs here: how many rows of which kind a piece of traffic gets, and which of its ordinary rows are turned into
them: made abroad, on a new phone or a family's tablet, in a day of gifts, at a sale, on a young account that begins to
spend. Does not belong here: kinds that bring rows of their own (``unusual``), and honest disputes (``spending``).
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import HARD_NEGATIVES, code
from sgf_pipeline.population.customers import ADDRESSES_PER_CUSTOMER
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.traffic.scene import FURNISHING_DAYS, LUCK, NEVER, Scene, Visits

Array = NDArray[Any]

# How often each kind occurs relative to the others. Every shard has all of them, and more of those that look like its
# own scenario. Our choice.
_EVERYWHERE = dict.fromkeys(HARD_NEGATIVES, 1.0) | {"honest_dispute": 2.5}
_MORE = {
    "card_testing": {"card_verification": 12.0, "gift_spree": 6.0, "subscription_burst": 3.0},
    "account_takeover": {"new_device": 9.0, "travel": 6.0, "shared_device": 4.0, "large_transfer": 4.0},
    "identity_theft": {"young_account": 20.0, "new_device": 2.0, "gift_spree": 2.0},
    "merchant_fraud": {"sale_day": 11.0, "subscription_burst": 7.0, "honest_dispute": 4.0},
    "money_laundering": {"pass_through": 10.0, "large_transfer": 8.0, "salary_split": 6.0},
    "phishing": {"large_transfer": 14.0, "new_device": 5.0, "pass_through": 4.0},
    "chargeback_fraud": {"honest_dispute": 14.0, "shared_device": 3.0, "gift_spree": 3.0},
}  # fmt: skip

# Kinds that bring rows of their own, and so have room for any number.
OF_THEIR_OWN = ("card_verification", "subscription_burst", "salary_split", "large_transfer", "pass_through")

NEW_DEVICE_US = 4 * DAY_US  # for which a device counts as new
SPREE_US = 5 * 3600 * 1_000_000
SPREE_ROWS = 6
FURNISHING_ROWS = 9
SHARED_ROWS = 3
YOUNG_DAYS = 200  # an account younger than this is young
ROWS_A_SALE = 14


def weights(scenario: str) -> dict[str, float]:
    """The share of each kind among the hard negatives of a scenario's shard; they sum to 1."""
    found = {kind: weight + _MORE.get(scenario, {}).get(kind, 0.0) for kind, weight in _EVERYWHERE.items()}
    whole = sum(found.values())
    return {kind: weight / whole for kind, weight in found.items()}


def quotas(random: np.random.Generator, scenario: str, rows: int) -> dict[str, int]:
    """``rows`` split over the kinds by their weights, rounded so that small kinds get their turn, too."""
    share = weights(scenario)
    edges = np.cumsum(list(share.values()))
    drawn = np.searchsorted(edges[:-1], (np.arange(rows) + random.random()) / max(rows, 1), side="right")
    return dict(zip(share, np.bincount(drawn, minlength=len(share)).tolist(), strict=True))


def claim(
    scene: Scene, random: np.random.Generator, visits: Visits, kind: dict[str, Array], wanted: dict[str, int]
) -> tuple[Scene, int]:
    """Turn ordinary ``visits`` into hard negatives, in place.

    Returns the scene with the new phones in it, and how many rows were wanted but not found.

    ``kind`` holds, for each of purchase, withdrawal and transfer, which of the visits are such rows.
    """
    claimer = _Claimer(scene, random, visits)
    who, episodes = visits.who, scene.episodes
    lucks = dict(zip(LUCK, episodes.luck, strict=True))
    bought, moved = kind["purchase"], kind["transfer"]
    goes_online = (bought & visits.online) | moved

    journeys = np.full(len(visits), -1)
    for chance, (start, end) in enumerate(zip(episodes.journey_start, episodes.journey_end, strict=True)):
        there = (visits.times >= start[who]) & (visits.times < end[who])
        journeys[there] = chance * scene.size + who[there]
    # Every journey has its own luck: the traveller's, turned on by the golden ratio.
    turns = np.arange(len(episodes.journey_start))[:, None] * 0.6180339887498949
    luck = ((lucks["travel"] + turns) % 1.0).ravel()
    rows = claimer.take("travel", np.where(bought | moved | kind["withdrawal"], journeys, -1), luck, wanted)
    visits.place[rows] = episodes.journey_city.ravel()[journeys[rows]]

    age = episodes.furnishing_day - scene.own(scene.population.account_opened_day)
    furnishes = (age < YOUNG_DAYS - FURNISHING_DAYS)[who] & (bought | moved | kind["withdrawal"])
    rows = claimer.take(
        "young_account", np.where(furnishes, who, -1), lucks["young_account"], wanted,
        most=FURNISHING_ROWS, by_time=False,
    )  # fmt: skip
    day = episodes.furnishing_day[who[rows]] + random.integers(0, FURNISHING_DAYS, len(rows))
    visits.times[rows] = day * DAY_US + visits.times[rows] % DAY_US

    since = visits.times - episodes.device_start[who]
    fresh = goes_online & (since >= 0) & (since < NEW_DEVICE_US)
    rows = claimer.take("new_device", np.where(fresh, who, -1), lucks["new_device"], wanted)
    started = np.full(scene.size, NEVER)
    np.minimum.at(started, who[rows], visits.times[rows])

    homes = scene.own(scene.population.ip) // ADDRESSES_PER_CUSTOMER
    relative = homes[who] != scene.customers(who)
    rows = claimer.take(
        "shared_device", np.where(goes_online & relative, who, -1), lucks["shared_device"], wanted,
        most=SHARED_ROWS, by_time=False,
    )  # fmt: skip

    rows = claimer.take(
        "gift_spree", np.where(bought, who, -1), lucks["gift_spree"], wanted, most=SPREE_ROWS, by_time=False
    )
    start = episodes.spree_start[who[rows]]
    room = np.minimum(SPREE_US, scene.end_us - start)
    visits.times[rows] = start + (random.random(len(rows)) * room).astype(np.int64)

    sale = _sales_within_reach(scene, random, visits)
    each = np.where(bought & (sale >= 0), np.arange(len(visits)), -1)
    rows = claimer.take("sale_day", each, random.random(len(visits)), wanted)
    visits.place[rows] = sale[rows]
    visits.times[rows] = scene.sales.days[sale[rows]] * DAY_US + visits.times[rows] % DAY_US
    return replace(scene, phone_since=started), claimer.missing


def _sales_within_reach(scene: Scene, random: np.random.Generator, visits: Visits) -> Array:
    """For each visit a sale (index into ``scene.sales``) that its customer can go to, -1 where there is none.

    Online shops serve their country, others their city.
    """
    world, sales = scene.population.world, scene.sales
    cities = len(world.city_country)
    on_web = world.merchant_online[sales.shops]
    # One number for each area that a shop serves: the cities, and then the countries.
    area = np.where(on_web, cities + world.merchant_country[sales.shops], world.merchant_city[sales.shops])
    order = np.argsort(area, kind="stable")
    country = scene.own(scene.population.country)[visits.who].astype(np.int64)
    lives_in = np.where(visits.online, cities + country, scene.own(scene.population.city)[visits.who])
    first = np.searchsorted(area[order], lives_in)
    number = np.searchsorted(area[order], lives_in, side="right") - first
    chosen = first + (random.random(len(visits)) * number).astype(np.int64)
    return np.where(number > 0, np.append(order, -1)[np.where(number > 0, chosen, len(order))], -1)


class _Claimer:
    """Hands rows to one kind after the other."""

    def __init__(self, scene: Scene, random: np.random.Generator, visits: Visits) -> None:
        self._random, self._visits = random, visits
        self.missing = 0

    def take(
        self,
        kind: str,
        episode: Array,
        luck: Array,
        wanted: dict[str, int],
        *,
        most: int | None = None,
        by_time: bool = True,
    ) -> Array:
        """Claim the wanted rows: whole episodes (-1: none) in the order of their luck; the last one is cut short.

        From each episode the first rows in time, or any, and at the ``most`` so many.
        """
        rows = np.flatnonzero((episode >= 0) & (self._visits.claim < 0))
        inside = self._visits.times[rows] if by_time else self._random.random(len(rows))
        turn = luck[episode[rows]]
        # Most episodes' turn does not come: look at some first, and at all only where those are too few.
        for up_to in (min(1.0, 8 * (wanted[kind] + 4) / max(len(rows), 1)), 1.0):
            near = np.flatnonzero(turn <= up_to)
            taken = rows[near[np.lexsort((inside[near], episode[rows[near]], turn[near]))]]
            if most is not None and len(taken):
                new = np.flatnonzero(np.diff(episode[taken], prepend=-1))
                place = np.arange(len(taken)) - np.repeat(new, np.diff(new, append=len(taken)))
                taken = taken[place < most]
            if len(taken) >= wanted[kind]:
                break
        taken = taken[: wanted[kind]]
        self.missing += wanted[kind] - len(taken)
        self._visits.claim[taken] = code(HARD_NEGATIVES, kind)
        return taken
