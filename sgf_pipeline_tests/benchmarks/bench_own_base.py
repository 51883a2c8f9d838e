"""First answers of a base of one's own: how many are valid, how different they are, how long they take.

``python -m sgf_pipeline_tests.benchmarks.bench_own_base BASE [ADAPTER] --scenario card_testing [--cases 64]``

BASE and ADAPTER are what ``SGF_PEFT_BASE`` and ``SGF_PEFT_ADAPTER`` name. With ``--unconstrained`` the model may write
what it likes (with an adapter only). Prints the figures of ``sgf_pipeline.training.evaluate`` and, besides, why answers
were refused, tokens a second, rows of a batch, the processor time of all threads (other work on the machine hardly
lengthens), and the most memory that the process, or the GPU, held. The cases are asked in one go: a number that is no
multiple of the rows measures a last batch that is not full.
"""

import argparse
import json
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.peft_backend import PeftBackend
from sgf_pipeline.llm.writer import Rejection, judge
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import build_corpus
from sgf_pipeline.training.evaluate import evaluate

SEED = 2025


class Counting(PeftBackend):
    """Keeps in mind why answers of the last call would be refused, and what processor time it took."""

    def __init__(self, base: Path, adapter: Path | None, constrained: bool | None) -> None:
        super().__init__(base, adapter, constrained=constrained)
        self.refused: Counter[str] = Counter()
        self.processor_seconds = 0.0
        self.texts: dict[Prompt, str] = {}
        self.changed = 0

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        self.refused.clear()
        started = time.process_time()
        for place, completion in super().complete(prompts):
            brief = prompts[place].brief
            self.changed += self.texts.setdefault(prompts[place], completion.text) != completion.text
            verdict = judge(completion, brief, scenario_of(brief.scenario))
            if isinstance(verdict, Rejection):
                self.refused[f"{verdict.reason}: {verdict.detail}"[:90]] += 1
            yield place, completion
        self.processor_seconds = time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_own_base", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("adapter", type=Path, nargs="?")
    parser.add_argument("--scenario", choices=list(BOOKS), required=True)
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--unconstrained", action="store_true")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    backend = Counting(given.base, given.adapter, False if given.unconstrained else None)
    figures = evaluate(given.scenario, build_corpus((given.scenario,)), backend, SEED, given.cases)
    figures["batch_rows"] = backend.batch_rows
    figures["changed_by_others"] = backend.changed  # one prompt is asked alone first
    figures["processor_seconds_per_100"] = 100 * backend.processor_seconds / given.cases
    figures["tokens_per_second"] = 100 * figures["tokens"] / figures["seconds_per_100"]

    import torch

    figures["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if torch.cuda.is_available():
        figures["gpu_gib"] = torch.cuda.max_memory_allocated() / 2**30
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1))
    print(*(f"{count:4d} {why}" for why, count in backend.refused.most_common()), sep="\n")


if __name__ == "__main__":
    main()
