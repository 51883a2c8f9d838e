"""Money laundering: criminal money is placed, moved over a graph of accounts, and taken out.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public reports of financial
intelligence units (structuring, fan-in, fan-out, cycles, scatter-gather, mule chains, cash businesses).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from sgf_pipeline.domain.cases import CaseStep, FraudCase
from sgf_pipeline.domain.events import CHANNELS, DIRECTIONS, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.filling import cash, transfers
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector
from sgf_pipeline.scenarios.playing import (
    SECOND_US,
    Array,
    assembled,
    at_home_when_careful,
    between,
    booking_lags,
    care,
    chosen_sum,
    countries_seen,
    drawn_towards,
    gang_machines,
    notes_given,
    offender,
    outside_accounts,
    own_addresses,
    step_times,
    usual_cash,
    usual_sum,
    usual_transfers,
    victims,
)

REMOTE = ("online_banking", "mobile")

VECTORS = {
    "structuring": Vector("cash is paid in, in amounts under the reporting threshold", ("branch", "atm")),
    "fan_in": Vector("many accounts pay into one collector", REMOTE),
    "fan_out": Vector("one account spreads a sum over many", REMOTE),
    "cycle": Vector("money returns to where it began over several accounts", REMOTE),
    "scatter_gather": Vector("a sum is scattered over mules and gathered again", REMOTE),
    "mule_chain": Vector("mules pass a sum on, one after the other, each keeping a commission", REMOTE),
    "cash_business": Vector(
        "takings of a cash business are mixed with criminal cash", ("branch",), tempos=("steady", "slow"),
        geographies=("domestic", "cross_border"),
    ),
    "crypto_off_ramp": Vector(
        "payouts of an exchange are pulled in and passed on", REMOTE, sophistications=("medium", "high"),
        geographies=("cross_border", "remote"),
    ),
}  # fmt: skip

STEP_KINDS = {
    "cash_deposit": StepKind("cash is paid in", True, False, "deposit", ("branch", "atm"), ("threshold",)),
    "inbound_transfer": StepKind(
        "money arrives from an account elsewhere", True, False, "transfer", REMOTE, ("threshold",)
    ),
    "internal_transfer": StepKind(
        "money moves between accounts of this bank (two rows)", True, False, "transfer", REMOTE, ("carry",)
    ),
    "outbound_transfer": StepKind("money leaves to an account elsewhere", True, False, "transfer", REMOTE, ("carry",)),
    "cash_withdrawal": StepKind("money is taken out in cash", True, False, "withdrawal", ("atm", "branch"), ("carry",)),
}

PLACEMENT = ("cash_deposit", "inbound_transfer")

TRANSFER = TRANSACTION_TYPES.index("transfer")
DEBIT, CREDIT = DIRECTIONS.index("debit"), DIRECTIONS.index("credit")


@dataclass(frozen=True)
class Graph:
    """Where a vector's money arrives, and how it moves inside the bank (a method of ``_Route``)."""

    place: str  # head, all, feeders
    move: str  # gather, scatter, scatter_gather, chain, ring
    one_sender: bool = False  # an exchange: everything arrives from the same account


GRAPHS = {
    "structuring": Graph("all", "gather"),
    "fan_in": Graph("feeders", "gather"),
    "fan_out": Graph("head", "scatter"),
    "cycle": Graph("head", "ring"),
    "scatter_gather": Graph("head", "scatter_gather"),
    "mule_chain": Graph("head", "chain"),
    "cash_business": Graph("head", "scatter"),
    "crypto_off_ramp": Graph("all", "gather", one_sender=True),
}


# Medians of what is paid in at once by a small business and by somebody with presents or things sold, in thresholds.
TAKINGS = 0.2
PRESENTS = 0.018

# A circle closes with its second transfer; a sum scattered over two mules and gathered again takes four.
FEWEST_TRANSFERS = {"cycle": 2, "scatter_gather": 4}


def check(case: FraudCase) -> list[str]:
    """Money is placed first; what is carried on is never more than what arrived; graphs need their accounts."""
    found: list[str] = []
    if case.steps[0].kind not in PLACEMENT:
        found.append("the first step must place money")
    for number, step in enumerate(case.steps):
        if step.kind in PLACEMENT:
            if step.low < 0.02 or step.high > 5:
                found.append(f"step {number}: a placement must lie between 0.02 and 5 thresholds")
        elif not 0.05 <= step.low <= step.high <= 1:
            found.append(f"step {number}: at most what arrived can be carried on (0.05 to 1)")
    kinds = [step.kind for step in case.steps]
    if case.vector == "structuring" and any(s.high >= 1 for s in case.steps if s.kind == "cash_deposit"):
        found.append("structuring stays under the threshold")
    if case.vector in ("structuring", "cash_business") and "cash_deposit" not in kinds:
        found.append(f"{case.vector} needs a cash_deposit")
    if case.vector in ("cycle", "scatter_gather", "mule_chain", "fan_in", "fan_out") and case.customers < 3:
        found.append(f"{case.vector} needs at least 3 accounts of the bank, not {case.customers}")
    if case.vector in ("cycle", "scatter_gather", "mule_chain") and "internal_transfer" not in kinds:
        found.append(f"{case.vector} needs an internal_transfer")
    inner = sum(step.count for step in case.steps if step.kind == "internal_transfer")
    if case.vector in FEWEST_TRANSFERS and 0 < inner < FEWEST_TRANSFERS[case.vector]:
        found.append(
            f"{case.vector} needs {FEWEST_TRANSFERS[case.vector]} internal transfers, not {inner}, to come round"
        )
    if case.outsiders < 1 and any(kind in ("inbound_transfer", "outbound_transfer") for kind in kinds):
        found.append("a transfer from or to elsewhere needs at least 1 outsider")
    if case.merchant_category is not None:
        found.append("merchant_category must be null: no shop is involved")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    """Places money on the case's accounts and moves it over the graph of the vector, step by step.

    Rows: one for each placement, transfer to elsewhere and withdrawal, two for each transfer inside the bank, in time
    order, the legs of one transfer next to each other. An account never passes on more than reached it; a step that
    finds no money left to carry has fewer rows. Fewer accounts take part where the population has fewer customers.
    """
    rng, population = incident.rng, incident.population
    inside = any(step.kind == "internal_transfer" for step in case.steps)
    wanted = (case.victim_segment, "student", "young_account")
    mules = victims(incident, max(case.customers, 2 if inside else 1), wanted)
    outsiders = outside_accounts(incident, max(case.outsiders, 1))
    home = int(population.country[mules[0]])
    careful = care(incident)
    moments = step_times(case, incident, int(mules[0]), frozenset(("internal_transfer",)), 1 + careful)
    legs = _legs(case, incident, mules, len(outsiders), careful)
    taken = np.array([leg.row for leg in legs])
    times = np.concatenate(moments)[taken]

    source = np.array([leg.source for leg in legs])  # number of a mule, −1: elsewhere or cash
    target = np.array([leg.target for leg in legs])
    outside = np.array([leg.outsider for leg in legs])
    inner = (source >= 0) & (target >= 0)
    # Positions of the first rows of the legs, and of the credit legs right after their debit legs.
    first = np.arange(len(legs)) + np.cumsum(inner) - inner
    second = first[inner] + 1
    n = len(legs) + len(second)
    leg_of_row = np.repeat(np.arange(len(legs)), 1 + inner)
    booked = booking_lags(rng, times)
    when = times[leg_of_row]
    when[second] += booked[inner]

    own = np.where(source >= 0, source, target)[leg_of_row]
    own[second] = target[inner]
    other = np.where(source >= 0, target, -1)[leg_of_row]
    other[second] = source[inner]
    customers = mules[own]
    debit = (source >= 0)[leg_of_row]
    debit[second] = False
    abroad = countries_seen(case, incident, home, len(outsiders))
    abroad = at_home_when_careful(incident, abroad, home, 0.9 * careful)
    outside_row = outside[leg_of_row]
    counterparty = np.where(other >= 0, population.account[mules[other]], outsiders[outside_row])
    counterparty_country = np.where(other >= 0, population.country[mules[other]], abroad[outside_row])
    link = np.full(n, -1, dtype=np.int64)
    link[second] = second - 1

    kinds = [step.kind for step in case.steps]
    step = np.array([leg.step for leg in legs])[leg_of_row]
    channels = np.array([CHANNELS.index(s.channel) for s in case.steps])[step]
    types = np.array([TRANSACTION_TYPES.index(STEP_KINDS[kind].transaction_type) for kind in kinds])[step]
    amounts = np.array([leg.amount for leg in legs], dtype=np.int64)[leg_of_row]
    device, ip, ip_country = _sessions(case, incident, customers, channels, home, careful)
    parts = []
    wired = np.flatnonzero(types == TRANSFER)
    if len(wired):
        filled = transfers(
            population, rng, customers[wired], when[wired], amounts[wired], channels[wired],
            np.where(debit[wired], DEBIT, CREDIT), counterparty[wired], counterparty_country[wired],
            link=link[wired], device=device[wired], ip=ip[wired], ip_country=ip_country[wired],
        )  # fmt: skip
        parts.append((wired, filled))
    counted = np.flatnonzero(types != TRANSFER)
    if len(counted):
        filled = cash(
            population, rng, customers[counted], when[counted], amounts[counted], channels[counted], types[counted],
            machines=gang_machines(incident, customers[counted]),
        )  # fmt: skip
        parts.append((counted, filled))
    # One investigation finds the whole scheme, weeks to months after its last row.
    found_us = int(when[-1]) + int(between(rng, 14 * 86_400, 150 * 86_400, 1)[0]) * SECOND_US
    return assembled(
        n,
        parts,
        {
            "is_fraud": True,
            "case_step": step,
            "incident": incident.number,
            "label_delay_s": (found_us - when) // SECOND_US,
        },
    )


@dataclass(frozen=True)
class _Leg:
    """One movement: mule numbers or −1 (cash, elsewhere); ``row`` counts the case's rows over all steps."""

    row: int
    step: int
    source: int
    target: int
    outsider: int
    amount: int


class _Route:
    """Who pays whom. Mules are numbered; 0 is the head: where money first arrives, or where it is gathered."""

    def __init__(self, case: FraudCase, graph: Graph, mules: int) -> None:
        inner = [step.count for step in case.steps if step.kind == "internal_transfer"]
        self.graph = graph
        self.mules = mules
        self.inner_steps = len(inner)
        self.inner_steps_done = 0
        self.inner_rows_done = 0
        # A ring has as many hops as accounts, a chain one less; surplus transfers share the hops.
        longest = mules if graph.move == "ring" else mules - 1
        self.hops = max(min(longest, sum(inner)), 1)
        self.rows_per_hop = max(sum(inner) // self.hops, 1)

    def placement(self, i: int) -> int:
        """The account of the ``i``-th placement of a step."""
        if self.graph.place == "all":
            return i % self.mules
        if self.graph.place == "feeders" and self.inner_steps and self.mules > 1:
            return 1 + i % (self.mules - 1)
        return 0

    def carried(self, step: CaseStep, held: list[int], least: int) -> list[tuple[int, int]]:
        """(source, target) of each transfer or withdrawal of a step; target −1 is out of the bank."""
        # Whoever holds a seventh of the largest holding still has something to pass on; less is commission.
        floor = max(least, max(held) // 7)
        holders = sorted((mule for mule in range(self.mules) if held[mule] >= floor), key=lambda mule: -held[mule])
        if not holders:
            return []
        if step.kind != "internal_transfer":
            return [(holders[i % len(holders)], -1) for i in range(step.count)]
        if self.mules == 1:  # a population of one: there is no other account of this bank
            return [(0, -1)] * step.count
        move = {
            "gather": self._gather,
            "scatter": self._scatter,
            "scatter_gather": self._scatter_gather,
            "chain": self._chain,
            "ring": self._ring,
        }[self.graph.move]
        pairs = move(step.count, holders)
        self.inner_steps_done += 1
        self.inner_rows_done += step.count
        return pairs

    def _gather(self, count: int, holders: list[int]) -> list[tuple[int, int]]:
        sources = [mule for mule in holders if mule != 0]
        if not sources:  # all of it lies there already: on to the others
            return [(0, 1 + i % (self.mules - 1)) for i in range(count)]
        return [(sources[i % len(sources)], 0) for i in range(count)]

    def _scatter(self, count: int, holders: list[int]) -> list[tuple[int, int]]:
        if 0 not in holders:  # scattered already: everyone hands on to the next
            return [(holders[i % len(holders)], (holders[i % len(holders)] + 1) % self.mules) for i in range(count)]
        return [(0, 1 + i % (self.mules - 1)) for i in range(count)]

    def _scatter_gather(self, count: int, holders: list[int]) -> list[tuple[int, int]]:
        collector = self.mules - 1 if self.mules > 3 else 0
        middle = [mule for mule in range(1, self.mules) if mule != collector]
        out = [(0, middle[i % len(middle)]) for i in range(count)]
        if self.inner_steps == 1:
            out = out[: (count + 1) // 2]
            used = [target for _, target in out]
            return out + [(used[i % len(used)], collector) for i in range(count - len(out))]
        sources = [mule for mule in holders if mule in middle]
        last = self.inner_steps_done == self.inner_steps - 1
        if sources and (last or 0 not in holders):
            return [(sources[i % len(sources)], collector) for i in range(count)]
        return out

    def _chain(self, count: int, holders: list[int]) -> list[tuple[int, int]]:
        rows = range(self.inner_rows_done, self.inner_rows_done + count)
        hops = [min(row // self.rows_per_hop, self.hops - 1) for row in rows]
        return [(hop, hop + 1) for hop in hops]

    def _ring(self, count: int, holders: list[int]) -> list[tuple[int, int]]:
        around = max(self.hops, 2)
        return [(source, target % around) for source, target in self._chain(count, holders)]


def _legs(case: FraudCase, incident: Incident, mules: Array, outsiders: int, careful: float) -> list[_Leg]:
    """The movements of a case in order, each covered by what its source holds at that moment.

    A loop over legs, since each depends on what the ones before left on the accounts.
    """
    rng, unit = incident.rng, incident.population.world.unit
    rows = sum(step.count for step in case.steps)
    least = int(20 * unit * (1 - 0.75 * careful))
    planned = _placements(case, incident, mules, careful, least).tolist()
    notes = usual_cash(incident, rows).tolist()
    luck = rng.random(rows)
    low = np.repeat([step.low for step in case.steps], [step.count for step in case.steps])
    high = np.repeat([step.high for step in case.steps], [step.count for step in case.steps])
    share = low + luck * (high - low)
    # Large round sums strike; who is careful sends such sums as everybody does.
    rounding, hides = rng.random(rows).tolist(), (rng.random(rows) < careful).tolist()
    keep = rng.uniform(0.03, 0.10, rows)
    graph = GRAPHS[case.vector]
    senders, receivers = _sides(case, graph, outsiders)
    route = _Route(case, graph, len(mules))
    limits = incident.population.card_limit[mules].tolist()
    held = [0] * len(mules)
    legs: list[_Leg] = []
    row = 0
    for number, step in enumerate(case.steps):
        start = row
        row += step.count
        if step.kind in PLACEMENT:
            for i in range(start, row):
                target = route.placement(i - start)
                sender = (i - start) % senders
                amount = max((usual_sum if hides[i] else chosen_sum)(int(planned[i]), rounding[i], unit), least)
                if step.kind == "cash_deposit":
                    amount = max(amount // (5 * unit) * 5 * unit, 5 * unit)
                held[target] += amount
                legs.append(_Leg(i, number, -1, target, sender, amount))
            continue
        pairs = route.carried(step, held, least)
        payments = Counter(source for source, _ in pairs)
        basis: dict[int, int] = {}
        for i, (source, target) in zip(range(start, row), pairs, strict=False):
            whole = basis.setdefault(source, held[source])
            part = float(share[i])
            if part * payments[source] > 1 - keep[i]:  # several payments of one account share what it may pass on
                part = (1 - float(keep[i])) / payments[source]
            amount = min(int(whole * part), held[source])
            if step.kind == "cash_withdrawal":
                amount = notes_given(amount, notes[i], limits[source], careful, step.channel, unit)
            else:
                amount = (usual_sum if hides[i] else chosen_sum)(amount, rounding[i], unit)
            if amount < least:
                continue
            held[source] -= amount
            if target >= 0:
                held[target] += amount
            receiver = outsiders - 1 - (i - start) % receivers
            legs.append(_Leg(i, number, source, target, receiver, amount))
    return legs


def _placements(case: FraudCase, incident: Incident, mules: Array, careful: float, least: int) -> Array:
    """The sum (minor units) of each of the case's rows, were it a placement: the plan's, drawn by care to usual ones.

    Cash looks like a shop's takings then, or like presents, other money like what the mule is sent anyway; cash stays
    under the plan's upper end.
    """
    rng, world = incident.rng, incident.population.world
    counts = [step.count for step in case.steps]
    low, high = (np.repeat([getattr(step, end) for step in case.steps], counts) for end in ("low", "high"))
    planned = (low + rng.random(len(low)) * (high - low)) * world.threshold
    cash_in = np.repeat([step.kind == "cash_deposit" for step in case.steps], counts)
    median = np.where(rng.random(len(low)) < 0.5, PRESENTS, TAKINGS)
    takings = median * world.threshold * np.exp(rng.normal(0, 0.85, len(low)))
    usual = np.where(cash_in, takings, usual_transfers(incident, np.repeat(mules[:1], len(low))))
    # A scheme moves enough for its steps to have something to carry.
    carried = max((step.count for step in case.steps if step.kind not in PLACEMENT), default=0)
    placed = sum(step.count for step in case.steps if step.kind in PLACEMENT)
    enough = least * max(4.0, 2.0 * carried / placed)
    drawn = np.maximum(drawn_towards(planned, usual, careful), enough)
    return np.minimum(drawn, np.where(cash_in, high * world.threshold, np.inf))


def _sides(case: FraudCase, graph: Graph, outsiders: int) -> tuple[int, int]:
    """How many of the outsiders send, counted from the first, and how many receive, counted from the last.

    They are different ones where there are enough.
    """
    kinds = [step.kind for step in case.steps]
    if graph.one_sender:
        return 1, max(outsiders - 1, 1)
    if "inbound_transfer" in kinds and "outbound_transfer" in kinds:
        return (outsiders + 1) // 2, max(outsiders // 2, 1)
    return outsiders, outsiders


def _sessions(
    case: FraudCase, incident: Incident, customers: Array, channels: Array, home: int, careful: float
) -> tuple[Array, Array, Array]:
    """Device, address and its country for each row: the mule's own, or those of who runs his account."""
    rng, population = incident.rng, incident.population
    device, ip = population.device[customers], own_addresses(incident, customers, channels)
    ip_country = population.country[customers]
    gang = offender(case, incident, home)
    countries = at_home_when_careful(incident, gang.address_country, home, careful)
    run = rng.random(len(customers)) < 0.6 - 0.4 * careful
    if len(gang.devices):
        device = np.where(run, gang.devices[rng.integers(0, len(gang.devices), len(run))], device)
    if len(gang.addresses):
        used = rng.integers(0, len(gang.addresses), len(run))
        ip = np.where(run, gang.addresses[used], ip)
        ip_country = np.where(run, countries[used], ip_country)
    return device, ip, ip_country


SCENARIO = Scenario(
    name="money_laundering",
    title="Money laundering",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=16.0,
)
