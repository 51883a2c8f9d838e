"""A pretrained base for ``SGF_PEFT_BASE``: from a GGUF file to a folder, and an adapter that teaches it cases.

Belongs here: de-quantising, and a training that fits a base of 100 million parameters and more: few rows a step, the
base's weights in bfloat16, adapters kept as they grow. Does not belong here: the bundled model's own adapters
(``adapters``), and fetching weights.

    python -m sgf_pipeline.training.pretrained convert SmolLM2-135M-Instruct.Q4_1.gguf smollm2
    python -m sgf_pipeline.training.pretrained adapter smollm2 smollm2-adapters --scenario money_laundering
"""

import argparse
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import Corpus, build_corpus

log = logging.getLogger(__name__)

RANK = 16
BATCH_ROWS = 4
PEAK_LR = 1e-3
STEPS = 150
KEPT_STEPS = 25  # a training that is stopped leaves the adapter of its last so many steps
HELD_OUT_CASES = 24  # a held-out case costs a third of a training one


def convert(gguf: Path, out_dir: Path) -> None:
    """De-quantise a GGUF file into a transformers folder in bfloat16, with its tokenizer and chat template.

    Raises ``ModelError`` for a file that transformers cannot read, and where the package gguf is missing.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import is_gguf_available

    if not is_gguf_available():
        raise ModelError("the package gguf is missing: install sgf-pipeline[models]")
    if not gguf.is_file():
        raise ModelError(f"{gguf} is no file: name a GGUF file")
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            local_files_only=True,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{gguf} cannot be read as a causal language model ({str(error).strip()[:200]}): use a GGUF file of an"
            " architecture that transformers knows"
        ) from error
    model.to(torch.bfloat16).save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    for weights in out_dir.glob("*.safetensors"):
        weights.chmod(0o644)  # safetensors writes for the owner alone


def train_lora(
    scenario: ScenarioName,
    corpus: Corpus,
    base_dir: Path,
    out_dir: Path,
    steps: int = STEPS,
    batch_rows: int = BATCH_ROWS,
    peak_lr: float = PEAK_LR,
    seed: int = 0,
) -> dict[str, float]:
    """Train a LoRA adapter on every linear layer of the base, save it in ``out_dir``, return the figures.

    Figures: ``parameters``, ``steps``, ``cases`` read, ``loss_train``, ``loss_held_out`` and ``loss_base`` (nats a
    token; the last is the base's own), ``seconds``.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.helpers import disable_input_dtype_casting
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from sgf_pipeline.training.loop import encode, fit, mean_loss

    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    base = AutoModelForCausalLM.from_pretrained(base_dir, local_files_only=True, dtype=torch.bfloat16)
    examples = corpus.held_out[scenario]
    held_out = encode(tokenizer, examples[:: max(1, len(examples) // HELD_OUT_CASES)])
    loss_base = mean_loss(base, held_out, batch_rows)
    torch.manual_seed(int(rng(seed, "adapter", scenario).integers(2**31)))
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)  # the adapter's own weights stay in float32
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.01)
    done = 0

    def keep(*_: Any) -> None:
        nonlocal done
        done += 1
        log.info("%s: step %d of %d after %.0f s", scenario, done, steps, time.monotonic() - started)
        if done % KEPT_STEPS == 0 or done == steps:
            _save(model, out_dir, base_dir.name)

    optimiser.register_step_post_hook(keep)
    with disable_input_dtype_casting(model):  # autocast sees to it; casting each input up costs a sixth of a step
        loss = fit(model, encode(tokenizer, corpus.train[scenario]), [optimiser], steps, batch_rows, seed, scenario)
    return {
        "parameters": float(sum(weight.numel() for weight in weights)),
        "steps": float(steps),
        "cases": float(steps * batch_rows),
        "loss_train": loss,
        "loss_held_out": mean_loss(model, held_out, batch_rows),
        "loss_base": loss_base,
        "seconds": time.monotonic() - started,
    }


def _save(model: Any, out_dir: Path, base_name: str) -> None:
    config = model.peft_config["default"]
    config.base_model_name_or_path = base_name  # not the folder it lay in
    config.target_modules = sorted(config.target_modules)  # a set is written in another order every time
    model.save_pretrained(out_dir, save_embedding_layers=False)
    (out_dir / "adapter_model.safetensors").chmod(0o644)
    (out_dir / "README.md").unlink(missing_ok=True)  # peft's empty form


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sgf_pipeline.training.pretrained", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    converting = commands.add_parser("convert", help="a GGUF file into a folder for SGF_PEFT_BASE")
    converting.add_argument("gguf", type=Path)
    converting.add_argument("out", type=Path)
    training = commands.add_parser("adapter", help="adapters for SGF_PEFT_ADAPTER, one folder a scenario")
    training.add_argument("base", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--scenario", action="append", choices=list(BOOKS), default=[], help="default: all seven")
    training.add_argument("--steps", type=int, default=STEPS)
    training.add_argument("--batch-rows", type=int, default=BATCH_ROWS)
    training.add_argument("--peak-lr", type=float, default=PEAK_LR)
    training.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers reads it: weights only ever come from local folders
    if given.command == "convert":
        convert(given.gguf, given.out)
        return
    for name in given.scenario or list(BOOKS):
        figures = train_lora(
            name,
            build_corpus((name,), given.seed),
            given.base,
            given.out / name,
            given.steps,
            given.batch_rows,
            given.peak_lr,
            given.seed,
        )
        log.info("%s: %s", name, figures)


if __name__ == "__main__":
    main()
