"""sgf-mini for a handful of cases of many scenarios at once: what a preview asks for.

Belongs here: the backend around ``mini_model``. Does not belong here: large batches, and other models
(``peft_backend``).

A preview needs one or two cases of each scenario. ``PeftBackend`` answers them one scenario after the other, each in a
batch of full size, because an adapter there belongs to the whole batch; that is seven loops of a hundred steps. Here
all rows share one loop. Draws are the same, and so are the answers but for the last bits of a sum, which depend on the
rows that share the loop: equal lists of prompts give equal answers, and no answer of this backend goes into a cache.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend

if TYPE_CHECKING:
    from sgf_pipeline.llm.mini_model import MiniModel

ROWS = 32  # of one loop, at most


class MiniBackend:
    """The bundled model, for few cases at once. Weights are loaded at the first call."""

    provider = "peft"
    name = "sgf-mini"
    batch_rows = ROWS

    def __init__(self) -> None:
        self._twin = PeftBackend()
        self._lock = threading.Lock()
        self._model: MiniModel | None = None

    @property
    def fingerprint(self) -> str:
        return self._twin.fingerprint

    @property
    def sampling(self) -> str:
        return f"{self._twin.sampling},together"

    def quote(self, prompts: Sequence[Prompt]) -> float:
        return 0.0

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for start in range(0, len(prompts), ROWS):
            with self._lock:
                answers = self._loaded().answers(prompts[start : start + ROWS])
            yield from enumerate(answers, start)

    def _loaded(self) -> "MiniModel":
        if self._model is None:
            from sgf_pipeline.llm.mini_model import MiniModel

            self._model = MiniModel(BUNDLED / "base", BUNDLED / "adapters")
        return self._model
