"""Confirmed cases as a bank might hand them in: a phone call with a cloned voice, which no vector of SGF's knows.

``python -m sgf_pipeline_tests.own_fraud FOLDER`` writes 180 of them as JSON lines, to try ``sgf model train`` with.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sgf_pipeline.domain.randomness import rng

VECTOR = "bank_impersonation__cloned_voice"
STORIES = (
    "A cloned voice of the branch manager had the victim confirm payments in the app.",
    "The voice of a known adviser, copied by software, spoke of an attack on the account.",
    "A call in a familiar voice asked for a test payment and then for the savings.",
    "With the cloned voice of a son in the background a caller hurried the victim through transfers.",
)


def own_cases(count: int = 180, seed: int = 0) -> list[dict[str, Any]]:
    """Valid cases of the vector; one in twelve has a story of its own."""
    return [_case(number, rng(seed, "own", number)) for number in range(count)]


def write_own_cases(folder: Path, count: int = 180, seed: int = 0) -> Path:
    """Two files of JSON lines in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(case) + "\n" for case in own_cases(count, seed)]
    (folder / "confirmed_1.jsonl").write_text("".join(lines[: count // 2]))
    (folder / "confirmed_2.jsonl").write_text("".join(lines[count // 2 :]))
    return folder


def _case(number: int, draw: np.random.Generator) -> dict[str, Any]:
    def pick(*words: str) -> str:
        return words[int(draw.integers(len(words)))]

    tempo = pick("burst", "steady")
    pace = 1 if tempo == "burst" else 40
    channel = pick("mobile", "online_banking")
    mules = bool(draw.random() < 0.4)
    steps: list[dict[str, Any]] = []

    def step(kind: str, at: str, basis: str, low: float, high: float, count: int, wait: float) -> None:
        low, high = (round(float(x * draw.uniform(0.8, 1.2)), 3) for x in (low, high))
        steps.append(
            {
                "kind": kind, "channel": at, "basis": basis, "low": min(low, high), "high": max(low, high),
                "count": count, "wait_minutes": round(wait * pace * draw.uniform(0.5, 2)) if steps else 0,
                "span_minutes": round((count - 1) * 7 * pace * draw.uniform(0.5, 2)),
            }
        )  # fmt: skip

    if draw.random() < 0.5:
        step("savings_in", channel, "balance", 0.5, 1.8, 1, 0)
    step("victim_try", channel, "habit", 0.5, 1.4, 1, 12)
    for _ in range(int(draw.integers(1, 4))):
        step("victim_payment", channel, "balance", 0.12, 0.5, int(draw.integers(1, 5)), 9)
    if draw.random() < 0.6:
        step("credential_transfer", channel, "balance", 0.2, 0.7, int(draw.integers(1, 4)), 25)
    if mules:
        step(pick("mule_withdrawal"), pick("atm", "branch"), "carry", 0.3, 0.8, int(draw.integers(1, 4)), 50)
    return {
        "scenario": "phishing",
        "vector": VECTOR,
        "sophistication": pick("medium", "high"),
        "victim_segment": pick("senior", "family", "professional"),
        "tempo": tempo,
        "geography": pick("domestic", "cross_border", "remote"),
        "customers": int(draw.integers(2, 5)) if mules else int(draw.integers(1, 3)),
        "outsiders": int(draw.integers(1, 4)),
        "devices": int(draw.integers(1, 3)),
        "addresses": int(draw.integers(1, 4)),
        "merchant_category": None,
        "story": f"Case {number} of the year: a voice that nobody could tell from the adviser's."
        if number % 12 == 0
        else pick(*STORIES),
        "steps": steps,
    }


if __name__ == "__main__":
    print(write_own_cases(Path(sys.argv[1])))
