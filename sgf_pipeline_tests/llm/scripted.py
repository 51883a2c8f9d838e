"""A backend that says what a test wants: hand-made answers by attempt, well-formed ones otherwise."""

import json
from collections.abc import Callable, Iterator, Sequence

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.llm.backend import Completion, Prompt


def good_answer(brief: CaseBrief) -> str:
    """A valid card testing case of the brief's cell."""
    return json.dumps(good_fields(brief))


def good_fields(brief: CaseBrief) -> dict[str, object]:
    step = {"kind": "micro_purchase", "channel": brief.channel, "basis": "unit", "low": 0.2, "high": 1.5}
    return {
        "scenario": brief.scenario,
        "vector": brief.vector,
        "sophistication": brief.sophistication,
        "victim_segment": brief.victim_segment,
        "tempo": brief.tempo,
        "geography": brief.geography,
        "customers": 4,
        "outsiders": 1,
        "devices": 1,
        "addresses": 1,
        "merchant_category": "5992",
        "story": "A florist's page took tiny orders on many cards.",
        "steps": [step | {"count": 6, "wait_minutes": 0, "span_minutes": 12}],
    }


class ScriptedBackend:
    """``script`` maps a prompt to its text; every batch that arrives is kept in ``batches``."""

    name = "scripted"
    provider = "test"
    fingerprint = "0"
    sampling = "none"
    batch_rows = 8

    def __init__(self, script: Callable[[Prompt], str]) -> None:
        self.script = script
        self.batches: list[list[Prompt]] = []

    def quote(self, prompts: Sequence[Prompt]) -> float:
        return 0.001 * len(prompts)

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        self.batches.append(list(prompts))
        yield from ((place, Completion(self.script(prompt), 10, 100, 0.001)) for place, prompt in enumerate(prompts))
