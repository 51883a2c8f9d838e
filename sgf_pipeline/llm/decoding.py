"""Drawing tokens from a causal language model, row by row apart.

Belongs here: the decoding loop and the memory of keys and values behind it. Imports torch at the top, so it is itself
imported only when a model is really asked. Does not belong here: prompts, weights, texts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, DynamicLayer

SMALL_MODEL = 50_000_000  # parameters
ROOM = 64  # tokens by which the memory grows; appending to a tensor at every step would copy all of it each time


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """Keys and values of one layer, written in place into room that grows now and then."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._rooms = [state[..., :0, :] for state in (key_states, value_states)]
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if end > self._rooms[0].shape[-2]:
            self._rooms = [_enlarged(room, start, end + ROOM) for room in self._rooms]
        for room, states in zip(self._rooms, (key_states, value_states), strict=True):
            room[..., start:end, :] = states
        self.keys, self.values = (room[..., :end, :] for room in self._rooms)
        return self.keys, self.values


def decode(
    model: Any, encoded: Any, draws: NDArray[np.float64], end: int, temperature: float, min_share: float
) -> NDArray[np.int64]:
    """Token ids drawn for each row, (rows, steps); a row's tokens after its end mark mean nothing.

    ``encoded`` holds ``input_ids`` and ``attention_mask`` of prompts padded on the left, (rows, prompt length).
    ``draws`` are uniform numbers, (rows, most steps): step *s* of a row takes the token at which the cumulative
    probability passes ``draws[row, s]``, among tokens at least ``min_share`` as likely as the likeliest.
    """
    with _threads_for(model):
        return _drawn(model, encoded, draws, end, temperature, min_share)


@contextmanager
def _threads_for(model: Any) -> Iterator[None]:
    """One thread where the model is small and on the CPU.

    Its products take microseconds: a second thread gains a third on an idle machine, and costs ten times as much on
    a busy one, where each product waits for a thread that is not scheduled. One thread also adds up in one order on
    every machine.
    """
    if model.device.type != "cpu" or sum(weight.numel() for weight in model.parameters()) > SMALL_MODEL:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _drawn(
    model: Any, encoded: Any, draws: NDArray[np.float64], end: int, temperature: float, min_share: float
) -> NDArray[np.int64]:
    device = model.device
    tokens = encoded["input_ids"].to(device)
    mask = encoded["attention_mask"].to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    uniform = torch.from_numpy(draws).to(device)
    memory = Cache(layer_class_to_replicate=GrowingLayer)
    finished = torch.zeros(len(tokens), dtype=torch.bool, device=device)
    drawn = []
    with torch.inference_mode():
        for step in range(draws.shape[1]):
            logits = model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=memory,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            shares = torch.softmax(logits.float() / temperature, dim=-1)
            shares = shares.masked_fill(shares < min_share * shares.amax(-1, keepdim=True), 0.0)
            sums = shares.double().cumsum(-1)
            tokens = torch.searchsorted(sums, uniform[:, step : step + 1] * sums[:, -1:], right=True)
            tokens = tokens.clamp(max=logits.shape[-1] - 1)
            drawn.append(tokens)
            finished |= tokens[:, 0] == end
            if bool(finished.all()):
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            positions = positions[:, -1:] + 1
    answer: NDArray[np.int64] = torch.cat(drawn, dim=1).cpu().numpy()
    return answer


def _enlarged(room: torch.Tensor, used: int, length: int) -> torch.Tensor:
    larger = room.new_empty(*room.shape[:-2], length, room.shape[-1])
    larger[..., :used, :] = room[..., :used, :]
    return larger
