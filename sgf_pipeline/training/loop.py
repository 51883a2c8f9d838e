"""Turning examples into token rows, and the one training loop that base model and adapters share.

Belongs here: batching, the optimiser, the schedule, the loss over a set. Does not belong here: what is trained.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.llm.prompts import prompt_text
from sgf_pipeline.training.corpus import Example

log = logging.getLogger(__name__)

REPORT_STEPS = 100
FAST_BF16 = bool(torch.cpu.get_capabilities().get("amx_bf16"))
HELD_OUT_ROWS = 256  # about as many held-out cases are read for a loss
IGNORED = -100  # label that transformers leaves out of the loss


@dataclass(frozen=True)
class Row:
    """Token ids of prompt, answer and end mark; the loss is taken from ``answer_start`` on."""

    ids: tuple[int, ...]
    answer_start: int


def encode(tokenizer: Any, examples: Sequence[Example]) -> list[Row]:
    """One row an example, in the given order."""
    prompts = tokenizer([prompt_text(example.brief) for example in examples])["input_ids"]
    answers = tokenizer([example.text for example in examples], add_special_tokens=False)["input_ids"]
    return [
        Row((*prompt, *answer, tokenizer.eos_token_id), len(prompt))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def fit(
    model: Any,
    rows: Sequence[Row],
    optimisers: Sequence[torch.optim.Optimizer],
    steps: int,
    batch_rows: int,
    seed: int,
    what: str,
) -> float:
    """Train for ``steps`` batches of ``batch_rows`` rows; returns the mean loss of the last tenth of them.

    Each optimiser brings its peak learning rate, which is reached after the first twentieth of the steps and then
    falls to a tenth along a cosine. ``what`` names the run in the log and in its random path.
    """
    warm_up = max(1, steps // 20)

    def rate(step: int) -> float:
        done = max(0, step - warm_up) / max(1, steps - warm_up)
        return min((step + 1) / warm_up, 0.1 + 0.45 * (1 + math.cos(math.pi * done)))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimiser, rate) for optimiser in optimisers]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    losses = []
    model.train()
    for step, batch in enumerate(islice(_batches(rows, batch_rows, seed, what), steps), start=1):
        loss = _loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % REPORT_STEPS == 0:
            log.info("%s: step %d of %d, loss %.3f", what, step, steps, np.mean(losses[-REPORT_STEPS:]))
    model.eval()
    return float(np.mean(losses[-max(1, steps // 10) :]))


def mean_loss(model: Any, rows: Sequence[Row], batch_rows: int = 64) -> float:
    """Mean loss a token (nats) over the answers of the rows."""
    model.eval()
    total = tokens = 0.0
    with torch.inference_mode():
        for start in range(0, len(rows), batch_rows):
            batch = rows[start : start + batch_rows]
            weight = sum(len(row.ids) - row.answer_start for row in batch)
            total += _loss(model, batch).item() * weight
            tokens += weight
    return total / max(1.0, tokens)


def _batches(rows: Sequence[Row], batch_rows: int, seed: int, what: str) -> Any:
    """Endless batches of rows of like length (padding is wasted work), shuffled anew in every pass."""
    pass_number = 0
    lengths = np.array([len(row.ids) for row in rows])
    while True:
        draw = rng(seed, "training", what, pass_number)
        order: NDArray[np.int64] = np.argsort(lengths + draw.uniform(0, 8, len(rows)))
        chunks = [order[start : start + batch_rows] for start in range(0, len(rows), batch_rows)]
        for chunk in draw.permutation(len(chunks)):
            yield [rows[place] for place in chunks[chunk]]
        pass_number += 1


def _loss(model: Any, batch: Sequence[Row]) -> torch.Tensor:
    longest = max(len(row.ids) for row in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    labels = np.full((len(batch), longest), IGNORED, dtype=np.int64)
    for place, row in enumerate(batch):
        ids[place, : len(row.ids)] = row.ids
        labels[place, row.answer_start : len(row.ids)] = row.ids[row.answer_start :]
    # Rows are padded on the right and attention is causal: what stands before the padding never sees it.
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=FAST_BF16):
        loss: torch.Tensor = model(input_ids=torch.from_numpy(ids), labels=torch.from_numpy(labels)).loss
    return loss
