"""One shard, simulated: cases are played until the shard has its exact frauds, the population lives around them.

Belongs here: planning incidents to fit, cutting what lies outside the period, numbering rows, and handing blocks
on as Arrow batches; and campaigns, that is which incidents one gang has, when, and what it likes. Does not belong
here: what customers do (``traffic``) or how a case is played (``scenarios``).

A shard's campaigns fill *places* numbered from 0. Each place is held by a gang for some weeks, then by another; who
holds it on a day depends on the population seed and the date alone. So the batches of consecutive nights meet much
the same gangs, with the same tastes, merchants and mules, and those of nights far apart do not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sgf_pipeline.domain import events
from sgf_pipeline.domain.cases import OWN_VECTOR, FraudCase, known_vector
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.events import ACTOR_BASE, EventBlock
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import SIMULATED_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.population.customers import BLOCK, Population, default_population_size, population
from sgf_pipeline.population.places import COUNTRY_CODES, DAY_US, MINUTE_US
from sgf_pipeline.population.world import world
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.scenarios.base import Favourites, Incident
from sgf_pipeline.scenarios.playing import busy_hours
from sgf_pipeline.traffic import legitimate
from sgf_pipeline.traffic.habits import habits

INCIDENTS_A_BLOCK = 64
# Fraud is to be found in every tenth of the period. From this incident on, a tenth that has none yet comes first.
TENTHS = 10
TENTHS_FROM = 20
# Below this many incidents every one has a case of its own; above, cases grow with the square root.
CASES_OF_THEIR_OWN = 64
# How much more often the first favourite shop is visited than the last: the exponent of the draw, as in traffic.
FAVOURITE_DECAY = 2.4
# An account that a cut leg of a transfer is pointed at lies beyond every key that a play uses.
CUT_COUNTERPARTY = ACTOR_BASE + (1 << 48)
# The fractional parts of its multiples spread any number of points evenly.
GOLDEN_RATIO = 0.6180339887498949

# Lives of gangs, spans of campaigns (days) and their sizes are our judgement: arrests, closed mule accounts and
# blocked shops end a gang within weeks, and police reports tell of single offenders beside organised groups.
GANG_DAYS = (12, 45)
LONE = 0.45  # of gangs are one offender
GROWTH = 0.6  # chance that a group has one more incident, beyond its first
MOST_INCIDENTS = 8
CAMPAIGN_DAYS = (2.0, 14.0)
LONGEST_SHARE = 0.2  # of the period, so that campaigns come and go within it


def cases_needed(name: ScenarioName, fraudulent: int) -> int:
    """How many cases to ask the model for: one an incident at first, then growing with the square root."""
    incidents = -(-fraudulent // max(1, int(scenario(name).rows_per_incident)))
    if incidents <= CASES_OF_THEIR_OWN:
        return incidents
    return int(np.ceil(CASES_OF_THEIR_OWN * np.sqrt(incidents / CASES_OF_THEIR_OWN)))


def simulate(content: RequestContent, name: ScenarioName, cases: Sequence[FraudCase]) -> RowStream:
    """The shard's rows (``SIMULATED_SCHEMA``), exactly as many and as many frauds as the request says, unordered.

    Raises ``ModelError`` when frauds are asked for and no case is given, or when cases play to nothing.
    Facts, known when the last batch is out: incidents, plays_of_one_case, shortened_incidents (cut to fit the count)
    and cut_incidents (by the end of the period).
    """
    facts: dict[str, Any] = {}

    def read() -> Iterator[pa.RecordBatch]:
        first_row = 0
        for block in _blocks(content, name, cases, facts):
            yield _arrow(block, first_row)
            first_row += len(block)

    return RowStream(SIMULATED_SCHEMA, read, facts)


def shard_population(content: RequestContent, name: ScenarioName) -> Population:
    """The customers of a shard."""
    counts = content.shard_counts()[name]
    start_us, end_us = period_us(content)
    size = content.population_size or default_population_size(counts.rows, (end_us - start_us) / DAY_US)
    the_world = world(content.population_seed, content.countries, content.currency)
    return population(content.population_seed, name, size, the_world, start_us // DAY_US)


def period_us(content: RequestContent) -> tuple[int, int]:
    """First and last microsecond of the period; the last second is part of it."""
    return _microseconds(content.start_date), _microseconds(content.end_date) + 999_999


def _blocks(
    content: RequestContent, name: ScenarioName, cases: Sequence[FraudCase], facts: dict[str, Any]
) -> Iterator[EventBlock]:
    counts = content.shard_counts()[name]
    facts.update(incidents=0, plays_of_one_case=0, shortened_incidents=0, cut_incidents=0)
    if not counts.rows:
        return
    customers = shard_population(content, name)
    legit = counts.legit
    for block in _incident_blocks(content, name, cases, customers, counts.fraudulent, counts.legit, facts):
        legit -= int(np.count_nonzero(~block["is_fraud"]))
        yield block
    start_us, end_us = period_us(content)
    yield from legitimate(
        customers,
        seed=content.seed,
        scenario=name,
        rows=legit,
        start_us=start_us,
        end_us=end_us,
        hard_negatives=round(counts.legit * content.hard_negative_share),
    )


def _incident_blocks(
    content: RequestContent,
    name: ScenarioName,
    cases: Sequence[FraudCase],
    customers: Population,
    fraudulent: int,
    legit: int,
    facts: dict[str, Any],
) -> Iterator[EventBlock]:
    """Play incidents one after the other until exactly ``fraudulent`` fraud rows lie inside the period.

    The incidents' rows that are no fraud take the place of at most ``legit`` legitimate rows.
    """
    if fraudulent and not cases:
        raise ModelError(f"fraud_cases of {name} holds no case, but {fraudulent} fraudulent rows are requested")
    deck = _Deck(cases)
    waiting: list[EventBlock] = []
    start_us, end_us = period_us(content)
    seen = np.zeros(TENTHS, dtype=bool)  # tenths of the period that have fraud
    favourites = _favourites(customers)
    number = 0
    gangs = campaigns(content.seed, content.population_seed, name, start_us, end_us)
    members = ((campaign, start) for campaign in gangs for start in campaign.starts_us)
    while fraudulent:
        campaign, wanted_us = next(members)
        chosen = deck.draw(campaign.likes)
        case = cases[chosen]
        incident = Incident(
            number=number,
            campaign=campaign.number,
            population=customers,
            rng=rng(content.seed, "incident", name, number),
            campaign_rng=campaign.rng,
            start_us=_fitting(
                _at_a_busy_hour(wanted_us, content, name, number, customers), case, name, start_us, end_us
            ),
            period_start_us=start_us,
            period_end_us=end_us,
            difficulty=content.difficulty,
            favourites=favourites,
        )
        missed = np.flatnonzero(~seen) if number >= TENTHS_FROM else np.empty(0, dtype=np.int64)
        block, cut = _play(content.seed, name, case, incident, int(missed[0]) if len(missed) else None)
        shortened = int(np.count_nonzero(block["is_fraud"])) > fraudulent
        if shortened:
            block = _shorten(block, fraudulent)
        block = _limit_others(block, legit)
        block.columns["case"][:] = chosen
        frauds = int(np.count_nonzero(block["is_fraud"]))
        if not frauds:
            raise ModelError(f"case {case.case_id} of {name} plays to no fraudulent row: its play is at fault")
        seen[(block["time"][block["is_fraud"]] - start_us) * TENTHS // (end_us - start_us + 1)] = True
        facts["incidents"] += 1
        facts["cut_incidents"] += cut
        facts["shortened_incidents"] += shortened
        facts["plays_of_one_case"] = deck.most_plays
        waiting.append(block)
        fraudulent -= frauds
        legit -= len(block) - frauds
        number += 1
        if len(waiting) == INCIDENTS_A_BLOCK:
            yield EventBlock.concat(waiting)
            waiting = []
    if waiting:
        yield EventBlock.concat(waiting)


@dataclass(frozen=True)
class Campaign:
    """A gang's incidents in one batch.

    ``likes`` ranks the scenario's vectors, the dearest first; ``rng`` makes the generator of what the gang shares
    (merchants, mules), anew at every call and the same in every batch in which the gang is at work.
    """

    number: int
    starts_us: tuple[int, ...]
    likes: tuple[str, ...]
    rng: Callable[[], np.random.Generator]


def campaigns(seed: int, population_seed: int, name: ScenarioName, start_us: int, end_us: int) -> Iterator[Campaign]:
    """Campaigns without end, for a shard's period (µs, UTC).

    Their first incidents are spread evenly over the period, however many are taken; the others gather around them.
    """
    vectors = tuple(scenario(name).vectors)
    period = end_us - start_us
    offset = rng(seed, "starts", name).random()
    for number in count():
        first = start_us + int(period * ((offset + (number + 1) * GOLDEN_RATIO) % 1.0))
        gang = gang_path(population_seed, name, number, first // DAY_US)
        traits = rng(population_seed, *gang)
        likes = tuple(vectors[position] for position in traits.permutation(len(vectors)))
        alone = traits.random() < LONE
        # How busy it is differs from batch to batch, its kind does not.
        own = rng(seed, "campaign", name, number)
        size = 1 if alone else min(1 + int(own.geometric(1 - GROWTH)), MOST_INCIDENTS)
        width = min(traits.uniform(*CAMPAIGN_DAYS) * DAY_US, LONGEST_SHARE * period)
        around = first + (own.random(size - 1) - 0.5) * width
        # Mirrored at both ends of the period.
        inside = end_us - np.abs(end_us - (start_us + np.abs(around - start_us)))
        yield Campaign(
            number=number,
            starts_us=(first, *np.sort(inside).astype(np.int64).tolist()),
            likes=likes,
            rng=partial(rng, population_seed, *gang, 1),
        )


def gang_path(population_seed: int, name: ScenarioName, place: int, day: int) -> tuple[int | str, ...]:
    """What names the gang that holds a place on a day (since 1970-01-01): the path of its random numbers."""
    draw = rng(population_seed, "gangs", name, place)
    days = int(draw.integers(*GANG_DAYS))
    return "gang", name, place, (day + int(draw.integers(0, days))) // days


class _Deck:
    """Which case is played next. Cases of one vector take turns.

    No case gets more than two plays ahead of another, so that what is in fashion is played more and nothing
    is left out for ever. Where a user's own vectors are among them, no case is played twice before every one was
    played: what he taught has the share of the incidents that it has of the cases.
    """

    def __init__(self, cases: Sequence[FraudCase]) -> None:
        self._numbers: dict[str, list[int]] = {}
        for number, case in enumerate(cases):
            self._numbers.setdefault(known_vector(case.vector), []).append(number)
        self._ahead = 0 if any(OWN_VECTOR in case.vector for case in cases) else 1
        self._drawn = dict.fromkeys(self._numbers, 0)
        self.most_plays = 0

    def draw(self, likes: Sequence[str]) -> int:
        """The index of a case of the first vector of ``likes`` whose turn it may be."""
        plays = {vector: self._drawn[vector] // len(numbers) for vector, numbers in self._numbers.items()}
        fewest = min(plays.values())
        vector = next(vector for vector in likes if vector in plays and plays[vector] <= fewest + self._ahead)
        numbers = self._numbers[vector]
        number = numbers[self._drawn[vector] % len(numbers)]
        self._drawn[vector] += 1
        self.most_plays = max(self.most_plays, plays[vector] + 1)
        return number


def _at_a_busy_hour(
    wanted_us: int, content: RequestContent, name: ScenarioName, number: int, customers: Population
) -> int:
    """The moment itself, or, the more difficult the batch the rather, a busy hour of its day where customers live.

    Of what the period has of that day: nothing may pile up at a bound.
    """
    start_us, end_us = period_us(content)
    luck = rng(content.seed, "hour", name, number).random(2)
    if luck[0] >= content.difficulty:
        return wanted_us
    minutes = int(customers.local_minutes(np.array([0]), np.array([wanted_us]))[0])
    midnight_us = wanted_us - wanted_us % MINUTE_US - minutes * MINUTE_US
    opens, closes = max(start_us - midnight_us, 0), min(end_us - midnight_us, DAY_US)
    return midnight_us + int(busy_hours(luck[1:], opens, closes)[0]) if opens < closes else wanted_us


def _play(
    seed: int, name: ScenarioName, case: FraudCase, incident: Incident, tenth: int | None
) -> tuple[EventBlock, bool]:
    """One incident's rows inside the period, and whether the period cut some off.

    With ``tenth`` it is moved so that its first fraud lies in that tenth of the period, if its hours allow.
    """
    start_us, end_us = incident.period_start_us, incident.period_end_us
    case = case.as_known()
    block = scenario(name).play(case, incident)
    if tenth is not None:
        room = (end_us - start_us) // TENTHS
        wanted = start_us + tenth * room + int(room * rng(seed, "tenths", name, incident.number).random() / 2)
        late = int(block["time"][block["is_fraud"]].min()) - incident.start_us
        # Never before the period: what is carried on would then have come from nowhere. Nor at the very start of it.
        earlier = wanted - late if wanted - late >= start_us else start_us + (wanted - start_us) % room // 2
        moved = replace(incident, start_us=earlier, rng=rng(seed, "incident", name, incident.number))
        block = scenario(name).play(case, moved)
    times, frauds = block["time"], block["is_fraud"]
    inside = (times >= start_us) & (times <= end_us)
    if inside.all():
        return block, False
    if frauds.any() and not (frauds & inside).any():
        # People's hours can push every row of a late start past the end: then it begins where it was meant to.
        times += min(max(incident.start_us, start_us), end_us) - times[frauds].min()
        inside = (times >= start_us) & (times <= end_us)
    return _cut(block, np.flatnonzero(inside)), True


def _fitting(wanted_us: int, case: FraudCase, name: ScenarioName, start_us: int, end_us: int) -> int:
    """Where a case begins that a campaign wants to begin at a moment of the period.

    Most of it is to lie inside: a case that wants to begin too late for that does so as much later than the period's
    start, as if it came from before. One that fills most of the period begins anywhere, so that no part of the period
    stays without fraud.
    """
    period = end_us - start_us
    lasts = _criminal_minutes(case, name) * 60_000_000
    room = period - lasts * 2 // 3 if lasts <= period / 2 else int(period * 0.95)
    return start_us + (wanted_us - start_us) % max(room, 1)


def _favourites(customers: Population) -> Favourites:
    """Where customers usually buy, block of customers by block as they are asked for."""
    known: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}

    def favourites(who: NDArray[Any], online: NDArray[Any], luck: NDArray[Any]) -> NDArray[Any]:
        shops = np.empty(len(who), dtype=np.int64)
        for number in np.unique(who // BLOCK).tolist():
            if number not in known:
                own = habits(customers, number)
                known[number] = own.local_favourites.astype(np.int32), own.online_favourites.astype(np.int32)
            for remote, table in zip((False, True), known[number], strict=True):
                rows = np.flatnonzero((who // BLOCK == number) & (online == remote))
                rank = (luck[rows] ** FAVOURITE_DECAY * table.shape[1]).astype(np.int64)
                shops[rows] = table[who[rows] % BLOCK, rank]
        return shops

    return favourites


def _criminal_minutes(case: FraudCase, name: ScenarioName) -> int:
    """Minutes until the last fraud row, at most: honest rows after it (a dispute, weeks later) may fall away."""
    kinds = scenario(name).step_kinds
    last = max((number for number, step in enumerate(case.steps) if kinds[step.kind].is_fraud), default=-1)
    return sum(step.wait_minutes + step.span_minutes for step in case.steps[: last + 1])


def _shorten(block: EventBlock, frauds: int) -> EventBlock:
    """The incident up to and including its ``frauds``-th fraud row."""
    return _cut(block, np.arange(int(np.flatnonzero(block["is_fraud"])[frauds - 1]) + 1))


def _limit_others(block: EventBlock, legit: int) -> EventBlock:
    """At most ``legit`` rows that are no fraud: the first ones."""
    others = ~block["is_fraud"]
    if np.count_nonzero(others) <= legit:
        return block
    return _cut(block, np.flatnonzero(~others | (np.cumsum(others) <= legit)))


def _cut(block: EventBlock, kept: np.ndarray[Any, Any]) -> EventBlock:
    """The kept rows. A kept leg whose other leg is gone goes to an account elsewhere, so that no half is left."""
    linked = block["link"]
    is_credit_leg = (linked >= 0) & (block["transaction_type"] == events.code(events.TRANSACTION_TYPES, "transfer"))
    partner = np.full(len(block), -1, dtype=np.int64)
    credit = np.flatnonzero(is_credit_leg)
    partner[credit] = linked[credit]
    partner[linked[credit]] = credit
    gone = np.ones(len(block), dtype=bool)
    gone[kept] = False
    orphan = np.zeros(len(block), dtype=bool)
    paired = np.flatnonzero(partner >= 0)
    orphan[paired] = gone[partner[paired]]
    counterparty = block["counterparty"].copy()
    counterparty[orphan] += CUT_COUNTERPARTY
    block.columns["counterparty"] = counterparty
    return block.take(kept)


def _arrow(block: EventBlock, first_row: int) -> pa.RecordBatch:
    rows = np.arange(first_row, first_row + len(block))
    linked = block["link"]
    words: dict[str, Sequence[str]] = {
        "transaction_type": events.TRANSACTION_TYPES,
        "direction": events.DIRECTIONS,
        "channel": events.CHANNELS,
        "entry_mode": events.ENTRY_MODES,
        "authentication": events.AUTHENTICATIONS,
        "response_code": events.RESPONSE_CODES,
        "counterparty_country": COUNTRY_CODES,
        "dispute_reason": events.DISPUTE_REASONS,
        "ip_country": COUNTRY_CODES,
        "hard_negative": events.HARD_NEGATIVES,
    }
    arrays = []
    for field in SIMULATED_SCHEMA:
        if field.name == "row":
            arrays.append(pa.array(rows))
        elif field.name == "linked_row":
            arrays.append(pa.array(linked + first_row, mask=linked < 0))
        elif field.name in words:
            codes = block[field.name].astype("int32")
            indices = pa.array(codes, mask=codes < 0) if field.nullable else pa.array(codes)
            arrays.append(pa.DictionaryArray.from_arrays(indices, pa.array(words[field.name])))
        else:
            column = block[field.name]
            absent = np.isnan(column) if field.name in ("latitude", "longitude") else column < 0
            arrays.append(pa.array(column, mask=absent if field.nullable else None).cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SIMULATED_SCHEMA)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
