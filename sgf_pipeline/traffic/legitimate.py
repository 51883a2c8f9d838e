"""The exact number of legitimate rows of a shard, block by block.

Belongs here: sharing the rows among blocks of customers and, within a block, among kinds of event. Does not
belong here: how each kind looks (``standing``, ``spending``, ``banking``).
"""

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.population.customers import BLOCK, Population
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.traffic import banking, spending, standing
from sgf_pipeline.traffic.habits import habits
from sgf_pipeline.traffic.scene import Parts, Scene, episodes, sale_days

Array = NDArray[Any]

PIECE = 65_536  # rows of a block made together: bounds memory where few customers share many rows; part of the bytes

STANDING_SHARE = 0.30  # at most, of a piece's rows

# Rows that follow from others, as shares of the rows that are no standing payments.
REFUNDS = 0.028
CHARGEBACKS = 0.0015
RETRIES = 0.010  # after a decline
REPEATS = 0.007  # the same fare, coffee or parking again
# Transfers between two customers of the bank, each two rows: so many that a link, or a credit, is nothing unusual.
PAIRS = 0.048

# Kinds of the rest, as shares; what is left are purchases.
KINDS = {
    "withdrawal": 0.045,
    "verification": 0.013,
    "cash_deposit": 0.009,
    "transfer_out": 0.020,
    "transfer_in": 0.024,
}


def legitimate(
    population: Population, *, seed: int, scenario: str, rows: int, start_us: int, end_us: int
) -> Iterator[EventBlock]:
    """Exactly ``rows`` (≥ 0) legitimate events of the population in [``start_us``, ``end_us``] (µs, UTC).

    Blocks come in a fixed order, each of at most ``PIECE`` rows in no order of time; a ``link`` points within its
    block. A population may be much larger or smaller than the rows imply. Raises ``ValueError`` on rows asked of
    an empty population or an empty period.
    """
    if rows and (not population.size or end_us <= start_us):
        raise ValueError(f"{rows} rows need a customer and a period: size {population.size}, {start_us} to {end_us}")
    if not rows:
        return
    weights = np.add.reduceat(population.activity, np.arange(0, population.size, BLOCK))
    sales = sale_days(rng(seed, "sales", scenario), population, start_us, end_us)
    for number, quota in enumerate(largest_remainder(rows, weights)):
        if not quota:
            continue
        own = habits(population, number)
        drawn = episodes(rng(seed, "episodes", scenario, number), population, own, start_us, end_us)
        scene = Scene(population, own, drawn, sales, start_us, end_us)
        pieces = ceil(quota / PIECE)
        for piece, piece_quota in enumerate(largest_remainder(int(quota), np.ones(pieces))):
            random = rng(seed, "traffic", scenario, number, piece)
            yield _piece(scene, random, int(piece_quota), piece, pieces)


def largest_remainder(total: int, weights: Array) -> Array:
    """``total`` (≥ 0) split over ``weights`` (> 0): whole parts that sum to it; ties go to the earlier one."""
    exact = total * (weights / weights.sum())
    parts: Array = np.floor(exact).astype(np.int64)
    left = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    return parts


def _piece(scene: Scene, random: np.random.Generator, quota: int, piece: int, pieces: int) -> EventBlock:
    """``quota`` rows of the block's customers; every ``pieces``-th standing payment is among them."""
    parts = Parts()
    days = (scene.end_us - scene.start_us) / DAY_US
    taken = standing.payments(scene, random, parts, limit=int(STANDING_SHARE * quota), piece=piece, pieces=pieces)

    left = quota - len(parts)
    refunds, chargebacks, retries, repeats, pairs = _extras(
        random, left, (REFUNDS, CHARGEBACKS, RETRIES, REPEATS, PAIRS if scene.size > 1 else 0.0)
    )
    base = left - refunds - chargebacks - retries - repeats - pairs
    # What the standing payments have not used up of a customer's expected rows; a third of it at the least.
    wanted = scene.own(scene.population.activity) * days / 30 / pieces
    weight = np.cumsum(np.maximum(wanted - taken, wanted / 3))
    who = np.searchsorted(weight / weight[-1], np.sort(random.random(base)), side="right").clip(0, scene.size - 1)
    luck, online, mood = spending.outings(scene, random, who)

    kind = np.searchsorted(np.cumsum(list(KINDS.values())), random.random(base), side="right")
    kind[random.permutation(base)[:pairs]] = -1
    rows_of = {name: np.flatnonzero(kind == position) for position, name in enumerate(KINDS)}
    buys = np.flatnonzero(kind == len(KINDS))
    first = len(parts)
    bought = spending.purchases(scene, random, who[buys], luck[buys], online[buys], mood[buys])
    parts.add(bought)
    spending.verifications(scene, random, parts, who[rows_of["verification"]], luck[rows_of["verification"]])
    banking.withdrawals(scene, random, parts, who[rows_of["withdrawal"]], luck[rows_of["withdrawal"]])
    banking.cash_deposits(scene, random, parts, who[rows_of["cash_deposit"]], luck[rows_of["cash_deposit"]])
    for direction, name in (("debit", "transfer_out"), ("credit", "transfer_in")):
        banking.outside_transfers(scene, random, parts, who[rows_of[name]], luck[rows_of[name]], direction)
    transferred = np.flatnonzero(kind == -1)
    banking.inside_transfers(scene, random, parts, who[transferred], luck[transferred])
    spending.retries(scene, random, parts, bought, retries)
    spending.repeats(scene, random, parts, bought, repeats)
    spending.returns_of(scene, random, parts, bought, first, refunds, chargebacks)

    # Where too few purchases could be refunded, disputed or tried again, ordinary ones take the place.
    more = quota - len(parts)
    if more:
        who = np.searchsorted(weight / weight[-1], random.random(more), side="right").clip(0, scene.size - 1)
        luck, online = random.random(more), random.random(more) < scene.habits.online[who]
        parts.add(spending.purchases(scene, random, who, luck, online, np.zeros(more)))
    return parts.block()


def _extras(random: np.random.Generator, total: int, shares: tuple[float, ...]) -> list[int]:
    """Whole numbers of rows for each share, rounded by chance, together at most half of ``total``."""
    wanted = [int(total * share + random.random()) for share in shares]
    room = total // 2
    found = []
    for number in wanted:
        found.append(min(number, room))
        room -= found[-1]
    return found
