"""Teaching an adapter a user's own fraud: from his confirmed cases to weights that may be used, or to why they may not.

Belongs here: what of his cases is learned, how much of it, and the limits at which an adapter is refused. Does not
belong here: reading his files (``own_cases``), the training itself (``adapters``), what is measured of repetition
(``memorisation``).

Exact figures are not taught: of every case some variants are, with other amounts, times and counts near its own, each
valid. Nor is a wording that fewer than ``SHARED_BY`` cases share: it tells of one incident, not of a kind; a sentence
of the bundled corpus stands in its place.
"""

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from sgf_pipeline.domain.cases import CaseBrief, FraudCase, known_vector
from sgf_pipeline.domain.errors import InvalidRequestError, ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Backend, Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.llm.taught import VECTORS_FILE, own_vectors
from sgf_pipeline.llm.writer import judge
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.training.adapters import train_adapter
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import Corpus, Example, build_corpus, two_digits, widen
from sgf_pipeline.training.memorisation import memorisation
from sgf_pipeline.training.own_cases import OwnCases

STEPS = 300  # about one pass over bundled and own cases together
SHARE = 0.6  # of briefs for own vectors: more than half remains where some of them give way to others
LEAST_CASES = 30  # under that, six held-out cases say nothing
HELD_OUT = 5  # one own case in so many is never trained on
OWN_PART = 3  # one example in so many is a variant of an own case; with half of them the bundled vectors got worse
SHARED_BY = 3
ASKED_OWN = 200
ASKED_STOCK = 100
TRIES = 20

# An adapter that answers worse is no use: a case may be asked for three times, then another brief.
LEAST_VALID_OWN = 0.8
LEAST_VALID_STOCK = 0.9
# Of cases as new as the held-out ones a twentieth is this near; of 200, chance alone makes a tenth of it at most. The
# rest is room for few held-out cases, whose nearest twentieth is one case.
MOST_TOO_NEAR = 0.2
MOST_COPIED = 0.02  # above what held-out cases have by chance: plans of one step are soon alike


@dataclass(frozen=True)
class Verdict:
    """One limit: whether it is kept, and what was found, in one sentence."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Lesson:
    """A trained adapter that lies aside until it is accepted. ``figures`` are plain numbers by name."""

    scenario: ScenarioName
    out: Path
    aside: Path
    figures: dict[str, float]
    verdicts: tuple[Verdict, ...]

    def accept(self, others: Path | None) -> Path:
        """Put the adapter in its place, beside copies of what ``others`` has for other scenarios; returns ``out``.

        Raises ``ModelError`` with what failed; then nothing of it is left.
        """
        failed = [verdict.found for verdict in self.verdicts if not verdict.passed]
        if failed:
            shutil.rmtree(self.aside)
            raise ModelError(f"the adapter for {self.scenario} is refused: {'; '.join(failed)}")
        for folder in sorted(others.iterdir()) if others is not None else ():
            if (folder / "adapter_config.json").is_file() and not (self.out / folder.name).exists():
                shutil.copytree(folder, self.out / folder.name)
        place = self.out / self.scenario
        if place.exists():
            shutil.rmtree(place)
        (self.aside / self.scenario).rename(place)
        shutil.rmtree(self.aside)
        return self.out


def teach(
    scenario: ScenarioName,
    own: OwnCases,
    out: Path,
    *,
    base: Path | None = None,
    steps: int = STEPS,
    share: float = SHARE,
    seed: int = 0,
    key: bytes | None = None,
    asked_own: int = ASKED_OWN,
    asked_stock: int = ASKED_STOCK,
) -> Lesson:
    """Train an adapter on the bundled corpus and the user's cases of one scenario, and judge it.

    ``base`` is the model it is for (sgf-mini when None), ``share`` which part of a batch's briefs will ask for own
    vectors, ``key`` seals the weights; ``asked_own`` and ``asked_stock`` answers are judged. Raises
    ``InvalidRequestError`` for too few cases.
    """
    examples = own.of(scenario)
    if len(examples) < LEAST_CASES:
        raise InvalidRequestError(
            f"cases has {len(examples)} different cases of {scenario}: give at least {LEAST_CASES}, a few hundred are"
            " better"
        )
    told, replaced = _told(examples, seed)
    by_name = sorted(told, key=lambda example: example.case.case_id)
    held_out = by_name[::HELD_OUT]
    taught = [example for number, example in enumerate(by_name) if number % HELD_OUT]
    bundled = build_corpus([scenario], seed).train[scenario]
    variants = _variants(taught, len(bundled) // (OWN_PART - 1), seed)
    # The loss, too, is taken on figures as they are taught: a third digit would be all that it tells.
    unseen = _variants(held_out, len(held_out), seed)
    corpus = Corpus(seed, {scenario: (*bundled, *variants)}, {scenario: tuple(unseen)})
    aside = out / f".{scenario}"
    shutil.rmtree(aside, ignore_errors=True)
    folder = aside / scenario
    folder.mkdir(parents=True)
    figures = train_adapter(
        scenario, corpus, base or BUNDLED / "base", folder, steps, seed, base.name if base else "sgf-mini", key
    )
    added = own_vectors(scenario, share, (example.brief for example in told))
    if added is not None:
        (folder / VECTORS_FILE).write_text(added.model_dump_json(indent=1) + "\n")
    cells = added.cells if added is not None else tuple(dict.fromkeys(example.brief for example in told))
    asked = _asked(cells, asked_own, seed)
    stock = [Prompt(brief, 0, 1, seed) for brief in draw_briefs(scenario_of(scenario), asked_stock, seed)]
    figures |= {
        "own_cases": float(len(examples)),
        "duplicates": float(own.duplicates),
        "held_out_cases": float(len(held_out)),
        "stories_not_taught": float(replaced),
        "own_vectors": float(len(added.vectors) if added else 0),
        **_answers(PeftBackend(base, aside, key), asked, stock, taught, held_out, bundled),
    }
    if added is not None and base is None:
        figures["valid_own_bundled_adapter"] = _by_the_bundled_one(scenario, aside, asked[:asked_stock])
    return Lesson(scenario, out, aside, figures, _verdicts(figures))


def _by_the_bundled_one(scenario: ScenarioName, aside: Path, asked: Sequence[Prompt]) -> float:
    """Which share of these prompts for own vectors the bundled adapter answers validly, which never saw them."""
    folder = aside / "bundled"
    shutil.copytree(BUNDLED / "adapters" / scenario, folder / scenario)
    shutil.copyfile(aside / scenario / VECTORS_FILE, folder / scenario / VECTORS_FILE)  # what may be asked
    return len(_valid(PeftBackend(None, folder), asked)) / len(asked)


def _answers(
    backend: Backend,
    asked: Sequence[Prompt],
    stock: Sequence[Prompt],
    taught: Sequence[Example],
    held_out: Sequence[Example],
    bundled: Sequence[Example],
) -> dict[str, float]:
    """How the adapter answers, the first time it is asked, and what its answers repeat.

    ``valid_own`` and ``valid_stock``: of answers for own and for bundled cells; ``distinct`` and ``new_structure``:
    signatures among the valid own ones that differ, and that neither the user's cases nor the bundled ones have; the
    rest as ``memorisation`` says.
    """
    written = _valid(backend, asked)
    signatures = {case.signature() for case in written}
    known = {example.case.signature() for example in (*taught, *held_out, *bundled)}
    return {
        "valid_own": len(written) / len(asked),
        "valid_stock": len(_valid(backend, stock)) / len(stock),
        "distinct": len(signatures) / max(1, len(written)),
        "new_structure": sum(case.signature() not in known for case in written) / max(1, len(written)),
        **memorisation(written, [one.case for one in held_out], [one.case for one in taught]),
    }


def _verdicts(figures: dict[str, float]) -> tuple[Verdict, ...]:
    found = figures
    return (
        Verdict(
            "valid",
            found["valid_own"] >= LEAST_VALID_OWN and found["valid_stock"] >= LEAST_VALID_STOCK,
            f"valid at the first try {found['valid_own']:.0%} of own and {found['valid_stock']:.0%} of bundled cells"
            f" (at least {LEAST_VALID_OWN:.0%} and {LEAST_VALID_STOCK:.0%}: train for more steps, or give more cases)",
        ),
        Verdict(
            "learned",
            found["loss_held_out"] < found["loss_base"],
            f"loss on held-out own cases {found['loss_held_out']:.3f}, of the base alone {found['loss_base']:.3f}"
            " (train for more steps)",
        ),
        Verdict(
            "memorisation",
            found["too_near"] <= MOST_TOO_NEAR and found["copied"] <= found["copied_held_out"] + MOST_COPIED,
            f"{found['too_near']:.0%} of its cases are nearer to a taught one than held-out cases are (at most"
            f" {MOST_TOO_NEAR:.0%}), {found['copied']:.0%} repeat all steps of one (held-out cases"
            f" {found['copied_held_out']:.0%}): train for fewer steps, or give more cases",
        ),
    )


def _asked(cells: Sequence[CaseBrief], most: int, seed: int) -> list[Prompt]:
    """Prompts over the cells in a seeded order, repeated where there are fewer."""
    order = rng(seed, "teaching", "asked").permutation(len(cells))
    return [Prompt(cells[int(order[place % len(cells)])], place // len(cells), 1, seed) for place in range(most)]


def _valid(backend: Backend, prompts: Sequence[Prompt]) -> list[FraudCase]:
    table = scenario_of(prompts[0].brief.scenario)
    answers = [
        judge(completion, prompt.brief, table)
        for completion, prompt in zip(in_order(backend, prompts), prompts, strict=True)
    ]
    return [answer for answer in answers if isinstance(answer, FraudCase)]


def _told(examples: Sequence[Example], seed: int) -> tuple[list[Example], int]:
    """The examples, with stories that may be taught; and of how many the own story may not."""
    shared = Counter(example.case.story for example in examples)
    told, replaced = [], 0
    for number, example in enumerate(examples):
        story = example.case.story
        if shared[story] < SHARED_BY:
            replaced += 1
            known = example.brief.model_copy(update={"vector": known_vector(example.brief.vector)})
            story = widen(BOOKS[example.case.scenario], known, seed, number).story
        told.append(Example(example.brief, example.case.model_copy(update={"story": story})))
    return told, replaced


def _variants(examples: Sequence[Example], most: int, seed: int) -> list[Example]:
    """``most`` variants of the examples, taking turns."""
    return [_variant(examples[place % len(examples)], rng(seed, "teaching", "variant", place)) for place in range(most)]


def _variant(example: Example, draw: np.random.Generator) -> Example:
    """A valid case near the example's: its steps, kinds and channels, with other figures."""
    table = scenario_of(example.case.scenario)
    for _ in range(TRIES):
        fields = example.case.model_dump()
        scale = math.exp(draw.normal(0, 0.15))
        for name in ("customers", "outsiders", "devices", "addresses"):
            fields[name] = max(fields[name] + int(draw.integers(-1, 2)), 1) if fields[name] > 1 else fields[name]
        for step in fields["steps"]:
            _vary(step, scale, draw)
        try:
            case = FraudCase.model_validate(fields)
        except ValidationError:
            continue
        if case.follows(example.brief) and not table.violations(case):
            return Example(example.brief, case)
    return example


def _vary(step: dict[str, Any], scale: float, draw: np.random.Generator) -> None:
    if step["high"] not in (0.0, 1.0):  # nothing, one unit, and all there is are what a step is, not how large it is
        same = step["low"] == step["high"]
        step["low"] = two_digits(step["low"] * scale * math.exp(draw.normal(0, 0.1)))
        step["high"] = two_digits(step["high"] * scale * math.exp(draw.normal(0, 0.1)))
        step["high"] = step["low"] if same else max(step["low"], step["high"])
    if step["count"] > 1:
        step["count"] = max(1, round(step["count"] * math.exp(draw.normal(0, 0.2))))
    for name in ("wait_minutes", "span_minutes"):
        if step[name]:
            step[name] = max(1, int(two_digits(step[name] * math.exp(draw.normal(0, 0.3)))))
