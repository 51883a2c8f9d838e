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
from sgf_pipeline.population.world import World
from sgf_pipeline.traffic import banking, spending, standing, unusual
from sgf_pipeline.traffic.habits import habits
from sgf_pipeline.traffic.hard_negatives import OF_THEIR_OWN, ROWS_A_SALE, YOUNG_DAYS, claim, quotas, weights
from sgf_pipeline.traffic.rhythm import BANKING, ONLINE, SHOPS
from sgf_pipeline.traffic.scene import NEVER, Parts, Scene, Visits, episodes, sales

Array = NDArray[Any]

PIECE = 65_536  # rows of a block made together: bounds memory where few customers share many rows; part of the bytes

STANDING_SHARE = 0.30  # at most, of a piece's rows

# Rows that follow from others, as shares of the rows that are no standing payments.
REFUNDS = 0.028
RETRIES = 0.010  # after a decline
REPEATS = 0.028  # the same fare, coffee or parking again
# Transfers between two customers of the bank, each two rows: so many that a link, or a credit, is nothing unusual.
PAIRS = 0.048

# Kinds of the rest, as shares of what an ordinary customer does; what is left are purchases.
KINDS = {
    "withdrawal": 0.045,
    "verification": 0.013,
    "cash_deposit": 0.011,
    "transfer_out": 0.026,
    "transfer_in": 0.026,
}
BY_ACCOUNT = ("cash_deposit", "transfer_out", "transfer_in")  # of which some customers have many, see Habits.banking
MOST_BY_ACCOUNT = 0.75  # of a customer's rows
PAIR = -1  # beside the numbers of KINDS

MOST_HARD = 0.4  # of the rows may be hard negatives
MOST_SALES = 16
# Where fraud is made on young accounts, honest young ones are busier than elsewhere.
LIVELY = {"identity_theft": 2.5}
# Where cards are tested, honest ones are checked more often than elsewhere: so many times.
CHECKED = {"card_testing": 3.0}


def legitimate(
    population: Population,
    *,
    seed: int,
    scenario: str,
    rows: int,
    start_us: int,
    end_us: int,
    hard_negatives: int = 0,
) -> Iterator[EventBlock]:
    """Exactly ``rows`` (≥ 0) legitimate events of the population in [``start_us``, ``end_us``] (µs, UTC).

    About ``hard_negatives`` of them, at most ``MOST_HARD`` of all, are hard negatives, of the kinds that look like the
    scenario above all. Blocks come in a fixed order, each of at most ``PIECE`` rows in no order of time; a ``link``
    points within its block. A population may be much larger or smaller than the rows imply. Raises ``ValueError`` on
    rows asked of an empty population or an empty period.
    """
    if rows and (not population.size or end_us <= start_us):
        raise ValueError(f"{rows} rows need a customer and a period: size {population.size}, {start_us} to {end_us}")
    if not rows:
        return
    starts = np.arange(0, population.size, BLOCK)
    shares = largest_remainder(rows, np.add.reduceat(population.activity, starts))
    pieces = [
        (number, piece, ceil(quota / PIECE), int(part))
        for number, quota in enumerate(shares)
        if quota
        for piece, part in enumerate(largest_remainder(int(quota), np.ones(ceil(quota / PIECE))))
    ]
    hard = min(hard_negatives, int(MOST_HARD * rows))
    hard_by_piece = largest_remainder(hard, np.array([part for *_, part in pieces], dtype=float))
    on_sale = ceil(hard * weights(scenario)["sale_day"] / ROWS_A_SALE)
    offers = sales(rng(seed, "sales", scenario), population, min(max(on_sale, 2), MOST_SALES), start_us, end_us)
    scene = None
    for (number, piece, of, quota), wanted in zip(pieces, hard_by_piece, strict=True):
        if scene is None or scene.habits.first != number * BLOCK:
            own = habits(population, number)
            drawn = episodes(rng(seed, "episodes", scenario, number), population, own, start_us, end_us)
            scene = Scene(population, own, drawn, offers, start_us, end_us, np.full(len(own.online), NEVER))
        random = rng(seed, "traffic", scenario, number, piece)
        yield _piece(scene, random, scenario, quota, int(wanted), piece, of)


def largest_remainder(total: int, weights: Array) -> Array:
    """``total`` (≥ 0) split over ``weights`` (> 0): whole parts that sum to it; ties go to the earlier one."""
    exact = total * (weights / weights.sum())
    parts: Array = np.floor(exact).astype(np.int64)
    left = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    return parts


def _piece(
    scene: Scene, random: np.random.Generator, scenario: str, quota: int, hard: int, piece: int, pieces: int
) -> EventBlock:
    """``quota`` rows of the block's customers, ``hard`` of them hard negatives.

    Every ``pieces``-th standing payment is among them, from the ``piece``-th on.
    """
    parts = Parts()
    days = (scene.end_us - scene.start_us) / DAY_US
    due = standing.due(scene, random, limit=int(STANDING_SHARE * quota), piece=piece, pieces=pieces)

    wanted = quotas(random, scenario, hard)
    # A dispute is two rows: the purchase, and the chargeback.
    chargebacks = -(-wanted["honest_dispute"] // 2)
    left = quota - len(due) - sum(wanted[kind] for kind in OF_THEIR_OWN) - chargebacks
    shared = PAIRS * float(np.average(scene.habits.banking, weights=scene.own(scene.population.activity)))
    refunds, retries, repeats, pairs = _extras(
        random, left, (REFUNDS, RETRIES, REPEATS, shared if scene.size > 1 else 0.0)
    )
    base = left - refunds - retries - repeats - pairs
    # What the standing payments have not used up of a customer's expected rows; a third of it at the least.
    lively = np.where(
        scene.start_us // DAY_US - scene.own(scene.population.account_opened_day) < YOUNG_DAYS,
        LIVELY.get(scenario, 1.0),
        1.0,
    )
    expected = scene.own(scene.population.activity) * days / 30 / pieces * lively
    weight = np.cumsum(np.maximum(expected - np.bincount(due.who, minlength=scene.size), expected / 3))
    weight = weight / weight[-1]
    who = np.searchsorted(weight, np.sort(random.random(base)), side="right").clip(0, scene.size - 1)
    luck, online, mood = spending.outings(scene, random, who)

    shares = KINDS | {"verification": verification_share(scene.population.world) * CHECKED.get(scenario, 1.0)}
    kind = _kinds(scene, random, who, shares)
    # A race: who uses his account twice as often has twice the chance.
    finish = random.exponential(size=base) / scene.habits.banking[who]
    kind[np.argpartition(finish, pairs)[:pairs] if pairs < base else slice(None)] = PAIR
    position = {name: number for number, name in enumerate(shares)} | {"purchase": len(shares), "pair": PAIR}
    rhythm = np.full(base, BANKING)
    rhythm[kind == position["withdrawal"]] = SHOPS
    rhythm[kind == position["verification"]] = ONLINE
    rhythm[kind == position["purchase"]] = np.where(online, ONLINE, SHOPS)[kind == position["purchase"]]
    visits = Visits.ordinary(who, scene.times(random, who, luck, rhythm), luck, online, mood)
    moved = (kind == position["transfer_out"]) | (kind == PAIR)
    of_kind = {
        "purchase": kind == position["purchase"],
        "withdrawal": kind == position["withdrawal"],
        "transfer": moved,
    }
    scene, missing = claim(scene, random, visits, of_kind, wanted)
    # Rows that no ordinary row could be turned into take the place of ordinary purchases.
    given = random.permutation(np.flatnonzero(of_kind["purchase"] & (visits.claim < 0)))[:missing]
    kept = np.ones(base, dtype=bool)
    kept[given] = False
    more = largest_remainder(len(given), np.array([weights(scenario)[name] for name in OF_THEIR_OWN]))
    own = {name: wanted[name] + int(number) for name, number in zip(OF_THEIR_OWN, more, strict=True)}

    def made_of(name: str) -> Visits:
        return visits.take(np.flatnonzero(kept & (kind == position[name])))

    standing.pay(scene, random, parts, due)
    first = len(parts)
    bought = spending.purchases(scene, random, made_of("purchase"))
    disputed = spending.to_dispute(scene, random, bought, chargebacks)
    bought["hard_negative"][disputed[: wanted["honest_dispute"] // 2]] = spending.HONEST_DISPUTE
    parts.add(bought)
    spending.disputes(scene, random, parts, bought, first, disputed)
    spending.verifications(scene, random, parts, made_of("verification"))
    banking.withdrawals(scene, random, parts, made_of("withdrawal"))
    banking.cash_deposits(scene, random, parts, made_of("cash_deposit"))
    banking.outside_transfers(scene, random, parts, made_of("transfer_out"), "debit")
    banking.outside_transfers(scene, random, parts, made_of("transfer_in"), "credit")
    banking.inside_transfers(scene, random, parts, made_of("pair"))
    unusual.add(scene, random, parts, weight, own)
    spending.retries(scene, random, parts, bought, retries)
    spending.repeats(scene, random, parts, bought, repeats)
    spending.refunded(scene, random, parts, bought, first, refunds)

    # Where too few purchases could be refunded, disputed or tried again, ordinary ones take the place.
    rest = quota - len(parts)
    if rest:
        who = np.searchsorted(weight, random.random(rest), side="right").clip(0, scene.size - 1)
        luck, online = random.random(rest), random.random(rest) < scene.habits.online[who]
        times = scene.times(random, who, luck, np.where(online, ONLINE, SHOPS))
        parts.add(spending.purchases(scene, random, Visits.ordinary(who, times, luck, online, np.zeros(rest))))
    return parts.block()


def _kinds(scene: Scene, random: np.random.Generator, who: Array, shares: dict[str, float]) -> Array:
    """The kind of each row, as its place in ``shares``; ``len(shares)`` is a purchase."""
    most = sum(shares[name] for name in BY_ACCOUNT)
    wide = np.minimum(scene.habits.banking[who], MOST_BY_ACCOUNT / most)
    edges = np.cumsum([shares[name] for name in BY_ACCOUNT])
    others = [name for name in shares if name not in BY_ACCOUNT]
    number = np.array([list(shares).index(name) for name in (*BY_ACCOUNT, *others)] + [len(shares)])
    luck = random.random(len(who))
    found = np.searchsorted(edges, luck / wide, side="right")
    # What is left of the luck decides among the other kinds.
    rest = (luck - most * wide) / (1 - most * wide)
    at_shops = len(BY_ACCOUNT) + np.searchsorted(np.cumsum([shares[name] for name in others]), rest, side="right")
    return np.asarray(number[np.where(found < len(BY_ACCOUNT), found, at_shops)])


def verification_share(world: World) -> float:
    """The share of checks: more where hardly any purchase is tiny by chance, as in a currency of small units."""
    return KINDS["verification"] + max(0.0, 0.018 * (1 - spending.tiny_by_chance(world) / spending.TINY))


def _extras(random: np.random.Generator, total: int, shares: tuple[float, ...]) -> list[int]:
    """Whole numbers of rows for each share, rounded by chance, together at most half of ``total``."""
    wanted = [int(total * share + random.random()) for share in shares]
    room = total // 2
    found = []
    for number in wanted:
        found.append(min(number, room))
        room -= found[-1]
    return found
