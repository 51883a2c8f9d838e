"""The bundled Llama with a LoRA adapter a row, in plain tensors.

Belongs here: its arithmetic and the loop that draws. Imports torch at the top, so it is itself imported only when the
model is really asked. Does not belong here: any other architecture.

Every row multiplies by the weights that all share and by the two thin matrices of its own scenario's adapter. The rest
is Llama as transformers has it: RMS norm, rotary positions, grouped queries, gated units.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch.nn.functional import rms_norm, silu

from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.peft_backend import MIN_SHARE, TEMPERATURE
from sgf_pipeline.llm.prompts import prompt_text
from sgf_pipeline.llm.weights import adapter_weights

Tensor: TypeAlias = Any  # torch is untyped here
UNSEEN = -1e9  # added to a score whose token is not to be seen


@dataclass(frozen=True)
class _Linear:
    """A matrix that all rows share, (in, out), and each scenario's adapter: (scenarios, in, rank), (…, rank, out)."""

    shared: Tensor
    down: Tensor
    up: Tensor

    def of(self, adapters: Tensor) -> "_Linear":
        """With one adapter a row."""
        return _Linear(self.shared, self.down[adapters], self.up[adapters])

    def __call__(self, rows: Tensor) -> Tensor:
        """(rows, tokens, in) to (rows, tokens, out)."""
        count, tokens, width = rows.shape
        plain = (rows.reshape(-1, width) @ self.shared).view(count, tokens, -1)
        return plain.baddbmm(rows @ self.down, self.up)


@dataclass(frozen=True)
class _Layer:
    before_attention: Tensor
    attention_in: _Linear  # queries, keys and values side by side
    attention_out: _Linear
    before_mlp: Tensor
    mlp_in: _Linear  # gate and up side by side
    mlp_out: _Linear

    def of(self, adapters: Tensor) -> "_Layer":
        return _Layer(
            self.before_attention,
            self.attention_in.of(adapters),
            self.attention_out.of(adapters),
            self.before_mlp,
            self.mlp_in.of(adapters),
            self.mlp_out.of(adapters),
        )


class MiniModel:
    """The loaded model. Raises ``ModelError`` for folders that hold something else."""

    def __init__(self, base: Path, adapters: Path) -> None:
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
            config = transformers.AutoConfig.from_pretrained(base, local_files_only=True)
            weights = {name: weight.float() for name, weight in load_file(base / "model.safetensors").items()}
            scale, low_rank = _adapters(adapters)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the bundled sgf-mini cannot be loaded ({error}): install the package again") from error
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._size, self._epsilon = config.head_dim, config.rms_norm_eps
        self._window = config.max_position_embeddings

        def linear(layer: int, *names: str) -> _Linear:
            parts = [f"model.layers.{layer}.{name}" for name in names]
            shared = torch.cat([weights[f"{part}.weight"] for part in parts]).t().contiguous()
            downs = [low_rank[f"base_model.model.{part}.lora_A.weight"].transpose(1, 2) for part in parts]
            ups = [low_rank[f"base_model.model.{part}.lora_B.weight"].transpose(1, 2) * scale for part in parts]
            up = torch.stack([torch.block_diag(*of_one) for of_one in zip(*ups, strict=True)])
            return _Linear(shared, torch.cat(downs, 2).contiguous(), up)

        self._layers = [
            _Layer(
                weights[f"model.layers.{layer}.input_layernorm.weight"],
                linear(layer, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                linear(layer, "self_attn.o_proj"),
                weights[f"model.layers.{layer}.post_attention_layernorm.weight"],
                linear(layer, "mlp.gate_proj", "mlp.up_proj"),
                linear(layer, "mlp.down_proj"),
            )
            for layer in range(config.num_hidden_layers)
        ]
        self._norm, self._words = weights["model.norm.weight"], weights["model.embed_tokens.weight"]
        self._head = self._words.t().contiguous()
        half = torch.arange(0, self._size, 2).float() / self._size
        angles = torch.arange(self._window).float()[:, None] / config.rope_parameters["rope_theta"] ** half
        angles = torch.cat([angles, angles], 1)
        self._cosines, self._sines = angles.cos(), angles.sin()

    def answers(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """One completion a prompt, in their order."""
        read = self._tokenizer([prompt_text(prompt.brief) for prompt in prompts])["input_ids"]
        most = self._window - max(map(len, read))
        draws = np.stack(
            [rng(one.seed, "sampling", one.brief.key, one.repeat, one.attempt).random(most) for one in prompts]
        )
        adapters = torch.tensor([SCENARIO_NAMES.index(prompt.brief.scenario) for prompt in prompts])
        with torch.inference_mode(), _one_thread():
            drawn = self._drawn(read, adapters, torch.from_numpy(draws))
        end = self._tokenizer.eos_token_id
        found = []
        for ids, tokens in zip(read, drawn, strict=True):
            written = tokens[: tokens.index(end) + 1] if end in tokens else tokens
            text = self._tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            found.append(Completion(text, len(ids), len(written)))
        return found

    def _drawn(self, read: list[list[int]], adapters: Tensor, draws: Tensor) -> list[list[int]]:
        """Tokens of each row; those after its end mark mean nothing. Sampled as ``decoding.decode`` does."""
        count, longest, end = len(read), max(map(len, read)), self._tokenizer.eos_token_id
        room = (count, self._groups, longest + draws.shape[1], self._size)
        layers = [layer.of(adapters) for layer in self._layers]
        memory = [(torch.zeros(room), torch.zeros(room)) for _ in layers]
        padding = torch.tensor([longest - len(ids) for ids in read])
        tokens = torch.tensor([[end] * (longest - len(ids)) + ids for ids in read])
        # Prompts are padded on the left; what lies there is as good as not seen.
        unseen = torch.zeros(count, 1, 1, room[2])
        unseen[torch.arange(room[2])[None, None, None, :] < padding[:, None, None, None]] = UNSEEN
        finished = torch.zeros(count, dtype=torch.bool)
        drawn, first = [], 0
        for step in range(draws.shape[1]):
            logits = self._logits(layers, memory, tokens, first, padding, unseen)
            shares = torch.softmax(logits / TEMPERATURE, -1)
            shares = shares.masked_fill(shares < MIN_SHARE * shares.amax(-1, keepdim=True), 0.0)
            sums = shares.double().cumsum(-1)
            first += tokens.shape[1]
            tokens = torch.searchsorted(sums, draws[:, step : step + 1] * sums[:, -1:], right=True)
            tokens = tokens.clamp(max=logits.shape[1] - 1)
            drawn.append(tokens)
            finished |= tokens[:, 0] == end
            if bool(finished.all()):
                break
        answer: list[list[int]] = torch.cat(drawn, 1).tolist()
        return answer

    def _logits(
        self,
        layers: list[_Layer],
        memory: list[tuple[Tensor, Tensor]],
        tokens: Tensor,
        first: int,
        padding: Tensor,
        unseen: Tensor,
    ) -> Tensor:
        """Of the token behind the last one, (rows, vocabulary). ``tokens`` stand at ``first`` and behind it."""
        count, length = tokens.shape
        last, shape = first + length, (self._words.shape[1],)
        queries, keys = self._heads * self._size, (self._heads + self._groups) * self._size
        at = (torch.arange(first, last)[None] - padding[:, None]).clamp(min=0)
        cosines, sines = self._cosines[at][:, None], self._sines[at][:, None]
        hidden = unseen[..., :last]
        if length > 1:  # of several tokens none sees those behind it
            hidden = hidden + torch.full((length, last), UNSEEN).triu(first + 1)
        states = self._words[tokens]
        for layer, (old_keys, old_values) in zip(layers, memory, strict=True):
            made = layer.attention_in(rms_norm(states, shape, layer.before_attention, self._epsilon))

            def part(start: int, stop: int, made: Tensor = made) -> Tensor:
                return made[..., start:stop].view(count, length, -1, self._size).transpose(1, 2)

            old_keys[:, :, first:last] = _turned(part(queries, keys), cosines, sines)
            old_values[:, :, first:last] = part(keys, made.shape[-1])
            asked = _turned(part(0, queries), cosines, sines) * self._size**-0.5
            # Heads of one group share keys and values: they stand behind one another as if they were more tokens.
            asked = asked.reshape(count, self._groups, -1, self._size)
            seen = asked @ old_keys[:, :, :last].transpose(2, 3)
            seen = seen.view(count, self._heads, length, last) + hidden
            seen = torch.softmax(seen, -1).view(count, self._groups, -1, last) @ old_values[:, :, :last]
            seen = seen.view(count, self._heads, length, self._size).transpose(1, 2).reshape(count, length, -1)
            states = states + layer.attention_out(seen)
            gate, up = layer.mlp_in(rms_norm(states, shape, layer.before_mlp, self._epsilon)).chunk(2, -1)
            states = states + layer.mlp_out(silu(gate) * up)
        return rms_norm(states[:, -1], shape, self._norm, self._epsilon) @ self._head


def _turned(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary position embedding."""
    first, second = heads.chunk(2, -1)
    return heads * cosines + torch.cat([-second, first], -1) * sines


def _adapters(folder: Path) -> tuple[float, dict[str, Tensor]]:
    """The factor of all adapters, and their weights by name, stacked in the order of the scenarios."""
    factors, found = set(), []
    for name in SCENARIO_NAMES:
        config = json.loads((folder / name / "adapter_config.json").read_text())
        factors.add(config["lora_alpha"] / config["r"])
        found.append(adapter_weights(folder / name, None))
    (factor,) = factors
    return factor, {name: torch.stack([one[name].float() for one in found]) for name in found[0]}


@contextmanager
def _one_thread() -> Iterator[None]:
    """As ``decoding`` does for small models, and for the same reasons."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
