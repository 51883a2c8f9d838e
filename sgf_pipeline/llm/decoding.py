"""Drawing tokens from a causal language model, row by row apart.

Belongs here: where a model runs, the decoding loop, and the memory of keys and values behind it. Imports torch at the
top, so it is itself imported only when a model is really asked. Does not belong here: prompts, weights, texts.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, DynamicLayer

SMALL_MODEL = 50_000_000  # parameters
ROOM = 64  # tokens by which the memory grows; appending to a tensor at every step would copy all of it each time


class Masks(Protocol):
    """Which tokens may come next in each row, told what each row drew."""

    def allowed(self) -> NDArray[np.int32]:
        """One bit a token, (rows, tokens / 32, rounded up), lowest bit first."""
        ...

    def take(self, tokens: Sequence[int]) -> None: ...


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


def is_small(config: Any) -> bool:
    """Whether a model of this shape has at most about ``SMALL_MODEL`` parameters."""
    hidden = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    layer = 3 * hidden**2 + 3 * hidden * inner
    return bool(config.vocab_size * hidden + config.num_hidden_layers * layer <= SMALL_MODEL)


def placement(config: Any) -> tuple[str, torch.dtype]:
    """Device and number type for a model of this shape, by what is there.

    A GPU in bfloat16, or float16 where it is too old for that; else the CPU, whose bfloat16 is only worth it where it
    multiplies matrices of it itself (AMX: two thirds of the time) and the model is not small.
    """
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if torch.cpu.get_capabilities().get("amx_bf16") and not is_small(config):
        return "cpu", torch.bfloat16
    return "cpu", torch.float32


def decode(
    model: Any,
    encoded: Any,
    draws: NDArray[np.float64],
    end: int,
    temperature: float,
    min_share: float,
    wanted: int,
    masks: Masks | None = None,
) -> NDArray[np.int64]:
    """Token ids drawn for each row, (rows, steps); a row's tokens after its end mark mean nothing.

    ``encoded`` holds ``input_ids`` and ``attention_mask`` of prompts padded on the left, (rows, prompt length).
    ``draws`` are uniform numbers, (rows, most steps): step *s* of a row takes the token at which the cumulative
    probability passes ``draws[row, s]``, among tokens at least ``min_share`` as likely as the likeliest. Rows after the
    first ``wanted`` only fill the batch; nobody waits for their end. ``masks`` of the wanted rows keep
    from being drawn what may not come next.
    """
    with _threads_for(model):
        return _drawn(model, encoded, draws, end, temperature, min_share, wanted, masks)


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
    model: Any,
    encoded: Any,
    draws: NDArray[np.float64],
    end: int,
    temperature: float,
    min_share: float,
    wanted: int,
    masks: Masks | None,
) -> NDArray[np.int64]:
    device = model.device
    tokens = encoded["input_ids"].to(device)
    mask = encoded["attention_mask"].to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    uniform = torch.from_numpy(draws).to(device)
    memory = Cache(layer_class_to_replicate=GrowingLayer)
    finished = torch.arange(len(tokens), device=device) >= wanted
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
            if masks is not None:
                logits[:wanted].masked_fill_(~_spread(masks.allowed(), logits), -math.inf)
            shares = torch.softmax(logits.float() / temperature, dim=-1)
            shares = shares.masked_fill(shares < min_share * shares.amax(-1, keepdim=True), 0.0)
            sums = shares.double().cumsum(-1)
            tokens = torch.searchsorted(sums, uniform[:, step : step + 1] * sums[:, -1:], right=True)
            tokens = tokens.clamp(max=logits.shape[-1] - 1)
            drawn.append(tokens)
            if masks is not None:
                masks.take(tokens[:wanted, 0].tolist())
            finished |= tokens[:, 0] == end
            if bool(finished.all()):
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            positions = positions[:, -1:] + 1
    answer: NDArray[np.int64] = torch.cat(drawn, dim=1).cpu().numpy()
    return answer


def _spread(bits: NDArray[np.int32], logits: torch.Tensor) -> torch.Tensor:
    """Bits as booleans, one a logit, where the logits are."""
    words = torch.from_numpy(bits).to(logits.device)
    places = torch.arange(32, dtype=torch.int32, device=logits.device)
    return ((words[..., None] >> places) & 1).flatten(1)[:, : logits.shape[-1]].bool()


def _enlarged(room: torch.Tensor, used: int, length: int) -> torch.Tensor:
    larger = room.new_empty(*room.shape[:-2], length, room.shape[-1])
    larger[..., :used, :] = room[..., :used, :]
    return larger
