"""The seam between the case writer and whatever answers: prompts go in, texts come out.

Belongs here: the shapes that cross the seam. Does not belong here: any one provider, and whether an answer is good
(``sgf_pipeline.llm.writer``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sgf_pipeline.domain.cases import CaseBrief


@dataclass(frozen=True)
class Prompt:
    """One question. ``repeat`` counts how often the same brief was asked before in this job, ``attempt`` starts at 1.

    Both, with the brief and the seed, are all that the answer may depend on.
    """

    brief: CaseBrief
    repeat: int
    attempt: int
    seed: int


Fault = Literal["refusal", "truncated"]


@dataclass(frozen=True)
class Completion:
    """One answer as the model gave it, unchecked. ``fault`` is what the model's server itself says is wrong with it."""

    text: str
    input_tokens: int
    output_tokens: int
    cost_usd: float = 0.0
    fault: Fault | None = None


class Backend(Protocol):
    """A model that answers prompts.

    ``fingerprint`` changes whenever the weights or the remote model do, ``sampling`` names the settings under which
    it draws; both are part of every cache key. ``batch_rows`` is how many prompts it wants at once.
    """

    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def sampling(self) -> str: ...

    @property
    def batch_rows(self) -> int: ...

    def quote(self, prompts: Sequence[Prompt]) -> float:
        """The most that asking these can cost, in USD; 0 for a model of one's own."""
        ...

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Each prompt's place and its completion, as soon as it is there, so that the caller can keep it.

        Every place comes once. Raises ``ModelError`` if the model cannot be loaded or refuses to serve,
        ``ModelUnavailableError`` if its server does not answer; what was handed out before is good.
        """
        ...


def in_order(backend: Backend, prompts: Sequence[Prompt]) -> list[Completion]:
    """One completion a prompt, in their order."""
    found = dict(backend.complete(prompts))
    return [found[place] for place in range(len(prompts))]
