"""The seam between the case writer and whatever answers: prompts go in, texts come out.

Belongs here: the shapes that cross the seam. Does not belong here: any one provider, and whether an answer is good
(``sgf_pipeline.llm.writer``).
"""

from collections.abc import Iterable, Iterator, Sequence
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


@dataclass(frozen=True)
class Estimate:
    """What asking may take, reckoned before anything is asked: every case once, each answer as long as is allowed.

    Tokens are None where nobody pays for them.
    """

    cases: int = 0
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float = 0.0


def total(estimates: Iterable[Estimate]) -> Estimate:
    """All of them together; tokens are None where none of them knows any."""
    ones = list(estimates)
    read, written = [
        [tokens for tokens in column if tokens is not None]
        for column in ([one.input_tokens for one in ones], [one.output_tokens for one in ones])
    ]
    return Estimate(
        sum(one.cases for one in ones),
        sum(one.calls for one in ones),
        sum(read) if read else None,
        sum(written) if written else None,
        sum(one.cost_usd for one in ones),
    )


def free_of_charge(models: Sequence[str]) -> list[str]:
    """One sentence for people where costs are counted as 0 because nobody knows them."""
    if not models:
        return []
    return [f"no price of model {', '.join(models)} is known: its cost is counted as 0 (SGF_PRICES can name one)"]


class Backend(Protocol):
    """A model that answers prompts.

    ``fingerprint`` changes whenever the weights or the remote model do, ``sampling`` names the settings under which
    it draws; both are part of every cache key. ``batch_rows`` is how many prompts it wants at once; a backend that
    makes several calls of them says so in ``cases_a_call``.
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
