"""The case writer: asks a backend for cases, checks every answer, asks again, replaces, and counts.

Belongs here: what makes an answer acceptable and what happens to one that is not. Does not belong here: how a
backend answers, and which briefs are asked for.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import ValidationError

from sgf_pipeline.domain.cases import CaseBrief, FraudCase
from sgf_pipeline.domain.errors import CostCapError, ModelError
from sgf_pipeline.llm.backend import Backend, Completion, Prompt
from sgf_pipeline.llm.cache import CaseCache, cache_key
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.scenarios.base import Scenario

MAX_REPLACEMENTS = 5  # fresh briefs for one case before the model is called broken

Reason = Literal["refusal", "truncated", "json", "schema", "constraint", "brief"]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True)
class Rejection:
    """Why an answer is not accepted: the kind of fault that is counted, and one sentence for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class WrittenCase:
    """An accepted case. ``attempts``, tokens and cost cover every answer that was asked for in its place, whenever.

    ``from_cache`` says whether the accepted answer itself was a cached one.
    """

    brief: CaseBrief
    case: FraudCase
    attempts: int
    from_cache: bool
    input_tokens: int
    output_tokens: int
    cost_usd: float = 0.0


@dataclass
class Usage:
    """What the writer has used so far. Tokens and cost count answers that were not cached; seconds are waiting time.

    ``first_try_valid`` counts cases whose very first answer was accepted, ``cases`` all accepted ones.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    cache_hits: int = 0
    cases: int = 0
    first_try_valid: int = 0
    rejected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    seconds: float = 0.0


@dataclass
class _Place:
    """One case to be written: the brief in force, and what was spent on it."""

    brief: CaseBrief
    repeat: int
    attempt: int = 1
    attempts: int = 0
    replacements: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


def judge(completion: Completion, brief: CaseBrief, scenario: Scenario) -> FraudCase | Rejection:
    """The case of an answer, or why it is not accepted: its server's word first, then the text itself."""
    if completion.fault is not None:
        return Rejection(completion.fault, "the model's server says so")
    return validate_answer(completion.text, brief, scenario)


def validate_answer(text: str, brief: CaseBrief, scenario: Scenario) -> FraudCase | Rejection:
    """The case that the text spells, or why it is not accepted. Nothing is ever repaired."""
    try:
        case = FraudCase.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            return Rejection("json", first["msg"])
        return Rejection("schema", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    violations = scenario.violations(case)
    if violations:
        return Rejection("constraint", violations[0])
    if not case.follows(brief):
        return Rejection("brief", "the case is not in the cell that was asked for")
    return case


class CaseWriter:
    """Writes cases with one backend. ``seed`` is that of the batch; equal seeds, briefs and weights, equal cases.

    ``max_cost_usd`` is the most that new answers may cost in all; None is no limit. With ``counts_cached`` the cached
    ones count as well: a job that is tried again has paid for them itself, and may not begin its cap anew.
    """

    def __init__(
        self,
        backend: Backend,
        cache: CaseCache,
        seed: int,
        max_attempts: int = 3,
        max_cost_usd: float | None = None,
        counts_cached: bool = False,
    ) -> None:
        self.backend = backend
        self.cache = cache
        self.seed = seed
        self.max_attempts = max_attempts
        self.max_cost_usd = max_cost_usd
        self.counts_cached = counts_cached
        self._cached_cost_usd = 0.0
        self.usage = Usage()

    def write_cases(self, briefs: Sequence[CaseBrief], replacements: Iterator[CaseBrief]) -> list[WrittenCase]:
        """One case a brief, in order; a brief that fails ``max_attempts`` times gives way to one of ``replacements``.

        Raises ``ModelError`` when a case still fails after ``MAX_REPLACEMENTS`` fresh briefs, or none are left,
        ``CostCapError`` before a question that could cost more than is left, and what the backend raises. Every answer
        that was paid for is in the cache by then.
        """
        started = time.monotonic()
        asked: dict[str, int] = {}
        places = [_Place(brief, _repeat(asked, brief)) for brief in briefs]
        written: list[WrittenCase | None] = [None] * len(places)
        open_places = list(range(len(places)))
        try:
            while open_places:
                answers = self._answers([self._prompt(places[number]) for number in open_places])
                still_open = []
                for number, (completion, from_cache) in zip(open_places, answers, strict=True):
                    written[number] = self._judge(places[number], completion, from_cache, replacements, asked)
                    if written[number] is None:
                        still_open.append(number)
                open_places = still_open
        finally:
            self.usage.seconds += time.monotonic() - started
        return [case for case in written if case is not None]

    @property
    def _remedy(self) -> str:
        if self.backend.provider == "openai":
            return "use a more capable model"
        return "use an adapter trained for this scenario"

    def _prompt(self, place: _Place) -> Prompt:
        return Prompt(place.brief, place.repeat, place.attempt, self.seed)

    def _answers(self, prompts: Sequence[Prompt]) -> list[tuple[Completion, bool]]:
        """One completion a prompt, with whether it was cached. Every answer is cached as soon as it is there."""
        keys = [cache_key(self.backend, prompt) for prompt in prompts]
        found: dict[int, Completion] = {}
        for number, key in enumerate(keys):
            cached = self.cache.get(key)
            if cached is not None:
                found[number] = cached
        self.usage.cache_hits += len(found)
        self._cached_cost_usd += sum(completion.cost_usd for completion in found.values())
        missing = [number for number in range(len(prompts)) if number not in found]
        rows = self.backend.batch_rows
        fresh: dict[int, Completion] = {}
        for start in range(0, len(missing), rows):
            batch = missing[start : start + rows]
            asked = [prompts[number] for number in batch]
            self._check_cost(asked)
            self.usage.calls += -(-len(asked) // getattr(self.backend, "cases_a_call", rows))
            for place, completion in self.backend.complete(asked):
                number = batch[place]
                self.cache.set(keys[number], completion)
                fresh[number] = completion
                self.usage.input_tokens += completion.input_tokens
                self.usage.output_tokens += completion.output_tokens
                self.usage.cost_usd += completion.cost_usd
        return [(found[number], True) if number in found else (fresh[number], False) for number in range(len(prompts))]

    def _check_cost(self, prompts: Sequence[Prompt]) -> None:
        if self.max_cost_usd is None:
            return
        quote = self.backend.quote(prompts)
        spent = self.usage.cost_usd + (self._cached_cost_usd if self.counts_cached else 0.0)
        if spent + quote > self.max_cost_usd + 1e-9:  # sums of shares may differ from their whole in the last digit
            raise CostCapError(
                f"max_cost_usd {self.max_cost_usd:.4f} of this shard is not enough: {spent:.4f} USD are spent, and the"
                f" next {len(prompts)} cases may cost {quote:.4f}; allow more (what was paid for is kept and is not"
                " asked for again)"
            )

    def _judge(
        self,
        place: _Place,
        completion: Completion,
        from_cache: bool,
        replacements: Iterator[CaseBrief],
        asked: dict[str, int],
    ) -> WrittenCase | None:
        """The written case if the answer is accepted; otherwise ``None``, with the place set for its next prompt."""
        place.attempts += 1
        place.input_tokens += completion.input_tokens
        place.output_tokens += completion.output_tokens
        place.cost_usd += completion.cost_usd
        answer = judge(completion, place.brief, scenario_of(place.brief.scenario))
        if isinstance(answer, FraudCase):
            self.usage.cases += 1
            self.usage.first_try_valid += place.attempts == 1
            return WrittenCase(
                place.brief, answer, place.attempts, from_cache, place.input_tokens, place.output_tokens, place.cost_usd
            )
        self.usage.rejected[answer.reason] += 1
        if place.attempt < self.max_attempts:
            place.attempt += 1
            return None
        fresh = next(replacements, None)
        if fresh is None or place.replacements == MAX_REPLACEMENTS:
            raise ModelError(
                f"model {self.backend.name} gave no acceptable case in {place.attempts} attempts over"
                f" {place.replacements + 1} briefs, the last one rejected for its {answer.reason} ({answer.detail}):"
                f" {self._remedy}"
            )
        place.brief, place.repeat = fresh, _repeat(asked, fresh)
        place.attempt = 1
        place.replacements += 1
        return None


def _repeat(asked: dict[str, int], brief: CaseBrief) -> int:
    """How often this brief was asked before within one job; counts it."""
    before = asked.get(brief.key, 0)
    asked[brief.key] = before + 1
    return before
