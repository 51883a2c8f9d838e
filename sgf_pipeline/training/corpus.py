"""The training corpus: archetypes widened over the coverage matrix, seeded, every case validated.

Belongs here: how a hand-written plan becomes many cases of one cell, and which cells are held out. Does not belong
here: the plans themselves (``sgf_pipeline.training.archetypes``) and what is learned from them.

How each dimension of a brief shows: the tempo sets the time from the first row to the last; the sophistication
sets which optional steps are taken, how often a step is split, how round amounts are, and where in an archetype's
ranges devices and addresses lie; the geography where outsiders lie; the segment scales amounts; all but the
channel may also show in the story.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from sgf_pipeline.domain.cases import CaseBrief, FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.scenarios.base import GEOGRAPHIES, SOPHISTICATIONS
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.archetypes.base import LEVELS, Archetype, Book, Extra, Move, Range

CASES_PER_CELL = 4
HELD_OUT = 20  # one cell in so many is never trained on
MAX_ROWS = 64  # of all steps together; longer cases would fill whole shards
MAX_STEPS = 9  # a case may have 12: a small model does not count, and would pass what its longest examples have
TRIES = 40

SIBLINGS = {
    "ecommerce": "mobile",
    "mobile": "ecommerce",
    "online_banking": "mobile",
    "branch": "atm",
    "atm": "branch",
    "pos": "pos",
}
SPLIT = {"low": 0.2, "medium": 0.4, "high": 0.55}  # how often a step is cut in two with a pause between
INSERT = {"low": 0.6, "medium": 0.7, "high": 0.8}  # how often one of the book's extra steps is slipped in
MAX_INSERTS = 3
RETURNS = ("refund", "chargeback")  # money that comes back takes the way it went: their channel never switches
SWITCH = {"low": 0.1, "medium": 0.2, "high": 0.3}  # how often a step goes over the sibling channel
REPEATED_AMOUNT = {"low": 0.4, "medium": 0.12, "high": 0.04}  # how often an offender uses one amount throughout


@dataclass(frozen=True)
class Example:
    """One pair to learn from. ``text`` is what the model is to write."""

    brief: CaseBrief
    case: FraudCase

    @property
    def text(self) -> str:
        return self.case.model_dump_json()


@dataclass(frozen=True)
class Corpus:
    """Examples a scenario. The cells of ``held_out`` never appear in ``train``."""

    seed: int
    train: dict[ScenarioName, tuple[Example, ...]]
    held_out: dict[ScenarioName, tuple[Example, ...]]


def build_corpus(
    scenarios: Sequence[ScenarioName] = tuple(BOOKS), seed: int = 0, cases_per_cell: int = CASES_PER_CELL
) -> Corpus:
    """``cases_per_cell`` cases for every cell of each scenario's matrix; equal arguments give equal corpora.

    Raises ``ModelError`` for a scenario without archetypes, or a cell that no archetype reaches.
    """
    missing = [name for name in scenarios if name not in BOOKS]
    if missing:
        raise ModelError(f"scenario {missing[0]!r} has no archetypes: write some in sgf_pipeline/training/archetypes")
    train: dict[ScenarioName, tuple[Example, ...]] = {}
    held_out: dict[ScenarioName, tuple[Example, ...]] = {}
    for name in scenarios:
        examples = [
            Example(brief, widen(BOOKS[name], brief, seed, number))
            for brief in scenario_of(name).matrix
            for number in range(cases_per_cell)
        ]
        train[name] = tuple(example for example in examples if not is_held_out(example.brief))
        held_out[name] = tuple(example for example in examples if is_held_out(example.brief))
    return Corpus(seed, train, held_out)


def is_held_out(brief: CaseBrief) -> bool:
    """Whether the brief's cell is kept for measuring the loss."""
    return int(brief.key, 16) % HELD_OUT == 0


def candidates(book: Book, brief: CaseBrief) -> tuple[Archetype, ...]:
    """The archetypes that make sense in the brief's cell."""
    return tuple(
        archetype
        for archetype in book.archetypes
        if archetype.vector == brief.vector
        and brief.sophistication in archetype.sophistications
        and brief.victim_segment in archetype.segments
        and brief.tempo in archetype.tempos
        and brief.geography in archetype.geographies
    )


def widen(book: Book, brief: CaseBrief, seed: int, number: int) -> FraudCase:
    """The ``number``-th valid case of the brief's cell. Raises ``ModelError`` if the archetypes yield none."""
    plans = candidates(book, brief)
    draw = rng(seed, "corpus", brief.key, number)
    for _ in range(TRIES if plans else 0):
        answer = _draw_case(book, plans[draw.integers(len(plans))], brief, draw)
        try:
            case = FraudCase.model_validate(answer)
        except ValidationError:
            continue
        low, high = book.durations[brief.tempo]
        rows = sum(step.count for step in case.steps)
        if not low <= case.duration_minutes() <= high or rows > MAX_ROWS or not case.follows(brief):
            continue
        if not scenario_of(book.scenario).violations(case):
            return case
    raise ModelError(f"no archetype of {book.scenario} gives a valid case for {brief.prompt()}: widen its cells")


def _draw_case(book: Book, archetype: Archetype, brief: CaseBrief, draw: np.random.Generator) -> dict[str, Any]:
    moves = _structure(archetype, brief, draw)
    steps = _times(moves, book.durations[brief.tempo], draw)
    scale = book.scale[brief.victim_segment] * math.exp(draw.normal(0, 0.2))
    for move, step in zip(moves, steps, strict=True):
        step["low"], step["high"] = _amounts(move, book, brief, scale, draw)
    sophistication = SOPHISTICATIONS.index(brief.sophistication)
    customers = int(draw.integers(archetype.customers[0], archetype.customers[1] + 1))
    if book.shared_by_customers:
        customers = min(customers, sum(move.count for move in moves if move.kind in book.shared_by_customers))
    return {
        "scenario": brief.scenario,
        "vector": brief.vector,
        "sophistication": brief.sophistication,
        "victim_segment": brief.victim_segment,
        "tempo": brief.tempo,
        "geography": brief.geography,
        "customers": customers,
        "outsiders": _third(archetype.outsiders, GEOGRAPHIES.index(brief.geography), draw),
        "devices": _third(archetype.devices, sophistication, draw),
        "addresses": _third(archetype.addresses, sophistication, draw),
        "merchant_category": _pick(archetype.categories, draw) if archetype.categories else None,
        "story": _story(_pick(archetype.stories, draw), book, brief, draw),
        "steps": steps,
    }


def _structure(archetype: Archetype, brief: CaseBrief, draw: np.random.Generator) -> list[Move]:
    """The archetype's moves as this offender takes them: optional ones dropped, some split, the last repeated."""
    moves = [
        replace(move, channel=_channel(move.channel, move.kind, brief, draw), count=_jitter_count(move.count, draw))
        for move in archetype.steps
        if brief.sophistication in {LEVELS[letter] for letter in move.only} and draw.random() < move.chance
    ]
    for _ in range(MAX_INSERTS):
        if draw.random() >= INSERT[brief.sophistication]:
            break
        moves = _with_extra(moves, BOOKS[brief.scenario].extras, brief, draw)
    taken: list[Move] = []
    for move in moves:
        if move.count >= 3 and draw.random() < SPLIT[brief.sophistication]:
            first = int(draw.integers(1, move.count))
            pause = max(1, int(move.span * draw.uniform(0.5, 4)))
            taken.append(replace(move, count=first, span=max(1, move.span // 2)))
            taken.append(replace(move, count=move.count - first, wait=pause, span=max(1, move.span // 2)))
        else:
            taken.append(move)
    if len(taken) > 1 and draw.random() < 0.15:
        last = taken[-1]
        taken.append(replace(last, count=max(1, last.count // 2), wait=max(1, int(last.wait * draw.uniform(0.5, 2)))))
    taken = taken[:MAX_STEPS]
    # The first step on the brief's channel stays there, for the case must show it.
    anchor = next((place for place, move in enumerate(taken) if move.channel == brief.channel), None)
    return [
        replace(move, channel=_channel("~", move.kind, brief, draw))
        if move.channel == brief.channel
        and place != anchor
        and scenario_of(brief.scenario).step_kinds[move.kind].transaction_type not in RETURNS
        and draw.random() < SWITCH[brief.sophistication]
        else move
        for place, move in enumerate(taken)
    ]


def _with_extra(moves: list[Move], extras: Sequence[Extra], brief: CaseBrief, draw: np.random.Generator) -> list[Move]:
    """The moves with one of the book's extras slipped in after a step that it may follow, if there is one."""
    places = [(place, extra) for place, move in enumerate(moves) for extra in extras if move.kind in extra.after]
    if not places:
        return moves
    place, extra = places[draw.integers(len(places))]
    count = _jitter_count(extra.move.count, draw)
    channel = _channel(extra.move.channel, extra.move.kind, brief, draw)
    slipped_in = replace(extra.move, channel=channel, count=count)
    return [*moves[: place + 1], slipped_in, *moves[place + 1 :]]


def _channel(word: str, kind: str, brief: CaseBrief, draw: np.random.Generator) -> str:
    """The channel a word stands for, or any on which the step's kind can happen where it cannot on that one."""
    channel = _meant(word, brief, draw)
    possible = scenario_of(brief.scenario).step_kinds[kind].channels
    return channel if channel in possible else _pick(possible, draw)


def _meant(word: str, brief: CaseBrief, draw: np.random.Generator) -> str:
    match word:
        case "@":
            return brief.channel
        case "~":
            # The sibling of the app is the bank's web site where accounts are moved, a shop's where cards are.
            if brief.channel == "mobile" and brief.scenario == "money_laundering":
                return "online_banking"
            return SIBLINGS[brief.channel]
        case "net":
            return _pick(("online_banking", "mobile"), draw)
        case "cash":
            return _pick(("atm", "branch"), draw)
    return word


def _times(moves: Iterable[Move], durations: Range, draw: np.random.Generator) -> list[dict[str, Any]]:
    """Waits and spans, in the archetype's proportions, scaled so that the whole takes a time of the brief's tempo."""
    timed = [
        (move, (move.wait if place else 0) * math.exp(draw.normal(0, 1.0)), move.span * math.exp(draw.normal(0, 1.0)))
        for place, move in enumerate(moves)
    ]
    target = math.exp(draw.uniform(math.log(durations[0] * 1.3), math.log(durations[1] * 0.8)))
    factor = target / max(1.0, sum(wait + span for _, wait, span in timed))
    return [
        {
            "kind": move.kind,
            "channel": move.channel,
            "basis": move.basis,
            "low": move.low,
            "high": move.high,
            "count": move.count,
            "wait_minutes": int(two_digits(wait * factor)),
            "span_minutes": max(int(two_digits(span * factor)), 0 if move.count == 1 else 1 + move.count // 20),
        }
        for move, wait, span in timed
    ]


def _amounts(move: Move, book: Book, brief: CaseBrief, scale: float, draw: np.random.Generator) -> tuple[float, float]:
    if move.fixed:
        if move.kind == "verification":  # some issuers are asked with zero, some with one unit, some with both
            return ((0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0))[draw.integers(4)]
        return move.low, move.high
    least, most = book.limits[move.kind]
    factor = scale if move.kind in book.scaled else math.exp(draw.normal(0, 0.12))
    low, high = (
        min(max(bound * factor * math.exp(draw.normal(0, spread)), least), most)
        for bound, spread in ((move.low, 0.4), (move.high, 0.35))
    )
    low, high = min(low, high), max(low, high)
    if draw.random() < REPEATED_AMOUNT[brief.sophistication]:
        low = high = (low + high) / 2
    low, high = _apart(low, high, least, most)
    return min(max(two_digits(low), least), most), min(max(two_digits(high), least), most)


def _apart(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """The bounds made equal or clearly apart: in between, a small model cannot learn which of them is the lower."""
    if high >= 1.25 * low:
        return low, high
    if high >= 0.99 * most:
        return low, most  # nothing can be above it
    if high / 1.4 < least or low > 0.75 * most:
        return high, high  # near an end there is no room to part them; 0.9 to 0.95 of a sum is 0.95 of it
    return high / 1.4, high


def _jitter_count(mean: int, draw: np.random.Generator) -> int:
    if mean == 1:
        return 1
    return int(min(max(round(mean * math.exp(draw.normal(0, 0.3))), 1), 60))


def _third(bounds: Range, level: int, draw: np.random.Generator) -> int:
    """A number from the lower, middle or upper third of the range, by ``level`` 0, 1 or 2."""
    low, high = bounds
    width = (high - low) / 3
    return round(draw.uniform(low + level * width, low + (level + 1) * width))


def _story(text: str, book: Book, brief: CaseBrief, draw: np.random.Generator) -> str:
    values = {"who": brief.victim_segment, "where": brief.geography, "pace": brief.tempo}
    filled = text.format(**{slot: _pick(book.phrases[slot][value], draw) for slot, value in values.items()})
    return filled[0].upper() + filled[1:]


def _pick(words: Sequence[str], draw: np.random.Generator) -> str:
    return words[int(draw.integers(len(words)))]


def two_digits(value: float) -> float:
    """The value as people say it, with two significant digits."""
    return float(f"{value:.2g}")
