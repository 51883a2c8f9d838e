"""What an answer to a brief may look like, token by token, so that an answer parses whatever model writes it.

Belongs here: the JSON schema of ``FraudCase`` narrowed to a brief, and masks of the tokens that may come next, reckoned
by llguidance. Does not belong here: drawing (``decoding``), and a scenario's constraints between steps, which no
schema can state; the writer checks those.
"""

import json
from collections.abc import Sequence
from typing import Any

import llguidance
import llguidance.numpy
import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import CaseBrief, CaseStep, FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.scenarios import scenario as scenario_of

GRAMMAR_VERSION = "1"  # part of a model's sampling: other grammar, other answers
DECIMALS = 0.001  # finest amount: an untrained model would write digits without end
HERE, ELSEWHERE = ({"$ref": f"#/$defs/{name}"} for name in ("here", "elsewhere"))  # on the brief's channel or not
# Compact as pydantic writes it. Escapes only where JSON needs them: "\ud800" alone is a string that no parser takes.
LAYOUT: Any = {"whitespace_flexible": False, "json_allowed_escapes": '"\\'}


def case_schema(brief: CaseBrief) -> dict[str, Any]:
    """The JSON schema of the cases in the brief's cell: what the brief fixes is constant, a step is one of the
    scenario's kinds on a channel and basis of that kind, and some step is on the brief's channel.
    """
    schema = FraudCase.model_json_schema()
    fields = schema["properties"]
    for name in ("scenario", "vector", "sophistication", "victim_segment", "tempo", "geography"):
        fields[name] = {"const": getattr(brief, name)}
    here, elsewhere = _steps(brief, on_channel=True), _steps(brief, on_channel=False)
    schema["$defs"] = {"here": {"anyOf": here}, "any": {"anyOf": [HERE]}}
    if elsewhere:
        schema["$defs"]["elsewhere"] = {"anyOf": elsewhere}
        schema["$defs"]["any"]["anyOf"].append(ELSEWHERE)
    most = fields["steps"]["maxItems"]
    # "contains", in words that grammars know: the first step on the channel is the first, or the second, or …
    fields["steps"] = {
        "anyOf": [
            {
                "type": "array",
                "prefixItems": [*[ELSEWHERE] * before, HERE],
                "items": {"$ref": "#/$defs/any"},
                "minItems": before + 1,
                "maxItems": most,
            }
            for before in range(most if elsewhere else 1)
        ]
    }
    return schema


def _steps(brief: CaseBrief, on_channel: bool) -> list[dict[str, Any]]:
    """Object schemas of the steps that can happen on the brief's channel, or of those on another.

    One for all kinds with the same channels and bases: what a brief costs before its first token grows with them.
    """
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name, kind in scenario_of(brief.scenario).step_kinds.items():
        channels = tuple(channel for channel in kind.channels if (channel == brief.channel) == on_channel)
        if channels:
            alike.setdefault((channels, kind.bases), []).append(name)
    plain = CaseStep.model_json_schema()
    for bound in ("low", "high"):
        plain["properties"][bound]["multipleOf"] = DECIMALS
    return [
        {
            **plain,
            "properties": {
                **plain["properties"],
                "kind": {"enum": names},
                "channel": {"enum": channels},
                "basis": {"enum": bases},
            },
        }
        for (channels, bases), names in alike.items()
    ]


class Grammars:
    """The grammars of briefs over one model's tokens. ``width`` is the number of its logits."""

    def __init__(self, tokenizer: Any, width: int) -> None:
        """Raises ``ModelError`` for a tokenizer that is not one of the Rust library tokenizers."""
        from llguidance.hf import from_tokenizer

        try:
            self._tokens = from_tokenizer(tokenizer, n_vocab=width)
        except ValueError as error:
            raise ModelError(
                f"SGF_PEFT_BASE has a tokenizer without a tokenizer.json ({error}): save the base with a fast tokenizer"
            ) from error
        self._executor = llguidance.LLExecutor()

    def masks(self, briefs: Sequence[CaseBrief]) -> "RowMasks":
        """Masks for an answer to each brief, from its beginning."""
        made: dict[CaseBrief, llguidance.LLMatcher] = {}
        for brief in dict.fromkeys(briefs):
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(case_schema(brief)), overrides=LAYOUT)
            made[brief] = llguidance.LLMatcher(self._tokens, grammar, log_level=0)
        return RowMasks([made[brief].deep_copy() for brief in briefs], self._executor, self._tokens)


class RowMasks:
    """Which tokens may come next in each row of a batch."""

    def __init__(
        self,
        matchers: Sequence[llguidance.LLMatcher],
        executor: llguidance.LLExecutor,
        tokens: llguidance.LLTokenizer,
    ) -> None:
        self._going = dict(enumerate(matchers))  # by row, until its end mark
        self._executor = executor
        self._end = tokens.eos_token
        self._bits = llguidance.numpy.allocate_token_bitmask(len(matchers), tokens.vocab_size)

    def allowed(self) -> NDArray[np.int32]:
        """One bit a token, (rows, tokens / 32, rounded up), lowest bit first; all ones for a row that has ended."""
        self._bits.fill(-1)
        going = [(matcher, row) for row, matcher in self._going.items()]
        if going:
            llguidance.numpy.fill_next_token_bitmask_par(self._executor, going, self._bits)
        return self._bits

    def take(self, tokens: Sequence[int]) -> None:
        """Tell what was drawn, one token a row. Raises ``ModelError`` where the library gives up."""
        for row, matcher in list(self._going.items()):
            if tokens[row] == self._end:
                del self._going[row]
            elif not matcher.consume_token(tokens[row]):
                # the library's own message would repeat what the model wrote
                raise ModelError(f"SGF_PEFT_BASE draws a token that was not allowed ({tokens[row]}): use another base")
