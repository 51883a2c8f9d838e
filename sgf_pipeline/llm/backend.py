"""The seam between the case writer and whatever answers: prompts go in, texts come out.

Belongs here: the shapes that cross the seam. Does not belong here: any one provider, and whether an answer is good
(``sgf_pipeline.llm.writer``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Completion:
    """One answer as the model gave it, unchecked."""

    text: str
    input_tokens: int
    output_tokens: int
    cost_usd: float = 0.0


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

    def complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """One completion a prompt, in order. What a prompt gets never depends on the others beside it.

        Raises ``ModelError`` if the model cannot be loaded, ``ModelUnavailableError`` if its server does not answer.
        """
        ...
