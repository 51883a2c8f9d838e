"""One LoRA adapter a scenario on top of the base.

Belongs here: rank, targets, training and saving one adapter. Does not belong here: the base.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save
from transformers import AutoModelForCausalLM, AutoTokenizer

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.weights import SEALED_FILE, WEIGHTS_FILE, seal
from sgf_pipeline.training.corpus import Corpus, Example
from sgf_pipeline.training.loop import HELD_OUT_ROWS, encode, fit, mean_loss

RANK = 16
BATCH_ROWS = 32
PEAK_LR = 1e-3
# A case does not repeat its brief's channel, and by the third step the model forgot account_takeover's: with these
# examples alone, 98.3 % of its answers are valid at the first try, 97.7 % with all (four seeds of 500 briefs each).
LEARNS_THE_PLAINEST = frozenset[ScenarioName]({"account_takeover"})
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def train_adapter(
    scenario: ScenarioName, corpus: Corpus, base_dir: Path, out_dir: Path, steps: int = 100, seed: int = 0,
    base_name: str = "sgf-mini", key: bytes | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train the scenario's adapter on its part of the corpus, save it in ``out_dir`` (fp16), return the figures.

    With ``key`` its weights are sealed and never lie there in clear.

    Figures: ``parameters``, ``steps``, ``loss_train``, ``loss_held_out`` (nats a token), ``loss_base`` (the held-out
    loss of the base alone), ``seconds``.
    """
    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    base = AutoModelForCausalLM.from_pretrained(base_dir, local_files_only=True, dtype=torch.float32)
    held_out = encode(tokenizer, corpus.held_out[scenario])[:: max(1, len(corpus.held_out[scenario]) // HELD_OUT_ROWS)]
    base_loss = mean_loss(base, held_out)
    torch.manual_seed(int(rng(seed, "adapter", scenario).integers(2**31)))
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS, task_type="CAUSAL_LM"))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.01)
    examples = corpus.train[scenario]
    rows = encode(tokenizer, _plainest(examples) if scenario in LEARNS_THE_PLAINEST else examples)
    loss = fit(model, rows, [optimiser], steps, BATCH_ROWS, seed, f"lora {scenario}")
    held_out_loss = mean_loss(model, held_out)
    trained = sum(weight.numel() for weight in weights)
    model.peft_config["default"].base_model_name_or_path = base_name  # not the folder it was trained in
    _save(model.half(), out_dir, key)
    config_file = out_dir / "adapter_config.json"
    config = json.loads(config_file.read_text())
    # peft writes a set, in another order every time; the model's fingerprint is made of these bytes
    config_file.write_text(json.dumps({**config, "target_modules": sorted(config["target_modules"])}, indent=2) + "\n")
    (out_dir / "README.md").unlink(missing_ok=True)  # peft's empty form; the model card says it all
    return {
        "parameters": float(trained),
        "steps": float(steps),
        "loss_train": loss,
        "loss_held_out": held_out_loss,
        "loss_base": base_loss,
        "seconds": time.monotonic() - started,
    }


def _save(model: Any, out_dir: Path, key: bytes | None) -> None:
    if key is None:
        model.save_pretrained(out_dir, save_embedding_layers=False)
        (out_dir / WEIGHTS_FILE).chmod(0o644)
        return
    out_dir.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    config.inference_mode = True
    config.save_pretrained(out_dir)
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    sealed = seal(save({name: weight.contiguous() for name, weight in weights.items()}), key, SEALED_FILE)
    (out_dir / SEALED_FILE).write_bytes(sealed)


def _plainest(examples: Sequence[Example]) -> list[Example]:
    """Examples whose first step is in their brief's channel, and all of a cell that has none such."""
    plain = [one.case.steps[0].channel == one.brief.channel for one in examples]
    served = {one.brief for one, is_plain in zip(examples, plain, strict=True) if is_plain}
    return [one for one, is_plain in zip(examples, plain, strict=True) if is_plain or one.brief not in served]
