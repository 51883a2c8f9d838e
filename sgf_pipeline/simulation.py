"""One shard, simulated: cases are played until the shard has its exact frauds, the population lives around them.

Belongs here: planning incidents to fit, cutting what lies outside the period, numbering rows, and handing blocks
on as Arrow batches. Does not belong here: what customers do (``traffic``) or how a case is played (``scenarios``).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from sgf_pipeline.domain import events
from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.events import ACTOR_BASE, EventBlock
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import SIMULATED_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.population.customers import Population, default_population_size, population
from sgf_pipeline.population.places import COUNTRY_CODES
from sgf_pipeline.population.world import world
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.scenarios.base import Incident
from sgf_pipeline.traffic import legitimate

INCIDENTS_A_BLOCK = 64
INCIDENTS_A_CAMPAIGN = 4
# Below this many incidents every one has a case of its own; above, cases grow with the square root.
CASES_OF_THEIR_OWN = 64
# An account that a cut leg of a transfer is pointed at lies beyond every key that a play uses.
CUT_COUNTERPARTY = ACTOR_BASE + (1 << 48)
GOLDEN_RATIO = 0.6180339887498949
DAY_US = 86_400_000_000


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
    plays = [0] * len(cases)
    waiting: list[EventBlock] = []
    number = 0
    while fraudulent:
        case = cases[number % len(cases)]
        block, cut = _play(content, name, case, number, customers)
        shortened = int(np.count_nonzero(block["is_fraud"])) > fraudulent
        if shortened:
            block = _shorten(block, fraudulent)
        block = _limit_others(block, legit)
        block.columns["case"][:] = number % len(cases)
        frauds = int(np.count_nonzero(block["is_fraud"]))
        if not frauds:
            raise ModelError(f"case {case.case_id} of {name} plays to no fraudulent row: its play is at fault")
        plays[number % len(cases)] += 1
        facts["incidents"] += 1
        facts["cut_incidents"] += cut
        facts["shortened_incidents"] += shortened
        facts["plays_of_one_case"] = max(plays)
        waiting.append(block)
        fraudulent -= frauds
        legit -= len(block) - frauds
        number += 1
        if len(waiting) == INCIDENTS_A_BLOCK:
            yield EventBlock.concat(waiting)
            waiting = []
    if waiting:
        yield EventBlock.concat(waiting)


def _play(
    content: RequestContent, name: ScenarioName, case: FraudCase, number: int, customers: Population
) -> tuple[EventBlock, bool]:
    """One incident's rows inside the period, and whether the period's end cut some off."""
    start_us, end_us = period_us(content)
    campaign = number // INCIDENTS_A_CAMPAIGN
    period = end_us - start_us
    lasts = _criminal_minutes(case, name) * 60_000_000
    # A case that fits is placed so that it ends in time; one that fills most of the period is placed anywhere, so
    # that no part of the period stays without fraud, and is cut by its end.
    room = period - lasts if lasts <= period / 2 else int(period * 0.95)
    # The golden ratio spreads any number of starts evenly over the room.
    offset = rng(content.seed, "starts", name).random()
    start = start_us + int(room * ((offset + (number + 1) * GOLDEN_RATIO) % 1.0))
    block = scenario(name).play(
        case,
        Incident(
            number=number,
            campaign=campaign,
            population=customers,
            rng=rng(content.seed, "incident", name, number),
            campaign_rng=lambda: rng(content.seed, "campaign", name, campaign),
            start_us=start,
            period_start_us=start_us,
            period_end_us=end_us,
            difficulty=content.difficulty,
        ),
    )
    times, frauds = block["time"], block["is_fraud"]
    inside = (times >= start_us) & (times <= end_us)
    if inside.all():
        return block, False
    if frauds.any() and not (frauds & inside).any():
        # People's hours can push every row of a late start past the end: then it begins where it was meant to.
        times += start - times[frauds].min()
        inside = (times >= start_us) & (times <= end_us)
    return _cut(block, np.flatnonzero(inside)), True


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
