"""The bank's customers of one shard, as columns.

Belongs here: who the customers are — homes, habits, money, accounts, cards, devices. Does not belong here: what
they do (``sgf_pipeline.traffic``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.population.world import World

BLOCK = 1024  # customers drawn together; part of the bytes


@dataclass(frozen=True)
class Population:
    """``size`` customers. Every array has one entry a customer, and entry *i* depends on
    (population_seed, scenario, i) alone, whatever ``size`` is; only ``account`` and ``account_opened_day``
    also depend on the day on which the batch starts.
    """

    world: World
    size: int
    segment: NDArray[np.int8]  # index into scenarios.base.SEGMENTS
    city: NDArray[np.int32]  # home city, index into world.cities
    latitude: NDArray[np.float64]  # of the home
    longitude: NDArray[np.float64]
    country: NDArray[np.int16]  # index into places.COUNTRY_CODES
    activity: NDArray[np.float64]  # expected rows in 30 days
    habit: NDArray[np.int64]  # usual purchase, minor units (the median of the customer's own purchases)
    habit_sigma: NDArray[np.float64]  # sigma of ln(amount) around it
    income: NDArray[np.int64]  # monthly, minor units
    balance: NDArray[np.int64]  # of the account when the batch starts, minor units
    card_limit: NDArray[np.int64]  # what a card may spend in a day, minor units
    account: NDArray[np.int64]  # account key in use
    account_opened_day: NDArray[np.int32]  # days since 1970-01-01
    card: NDArray[np.int64]  # first card's key
    cards: NDArray[np.int8]  # number of cards, 1 to 3 (keys card, card + 1, ...)
    device: NDArray[np.int64]  # own main device's key (families share one)
    ip: NDArray[np.int64]  # home address's key
    prior_disputes: NDArray[np.int16]

    def local_minutes(self, customers: NDArray[np.int64], times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Minutes after local midnight, at the customers' homes, of the given moments (µs, UTC)."""
        raise NotImplementedError
