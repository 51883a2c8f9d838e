"""sgf-mini's base: a byte-level BPE and a small Llama, trained from nothing on every scenario's corpus.

Belongs here: the sizes, the tokenizer, training the base. Does not belong here: the adapters.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.training.corpus import Corpus, Example
from sgf_pipeline.training.loop import HELD_OUT_ROWS, encode, fit, mean_loss

VOCABULARY = 2048
TOKENIZER_CASES = 8000  # merges hardly change beyond that, and the time grows with the text
BATCH_ROWS = 32
SPECIAL = ("pad_token", "bos_token", "eos_token")
MATRIX_LR = 4e-3
OTHER_LR = 3e-3
SIZES: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 640,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,  # the longest case of the corpus has about 100 tokens
    "tie_word_embeddings": True,
    "rope_theta": 10_000.0,
}


def train_tokenizer(texts: Sequence[str], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-level BPE without word splitting: keys, punctuation and common phrases of the JSON become one token.

    Only decimals stand alone, each soon a token of its own: with parts of them merged into the keys around, a model
    of this size keeps writing a low amount above the high one.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9]+\.[0-9]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="left", **dict(zip(SPECIAL, ("<pad>", "<s>", "</s>"), strict=True))
    )


def train_base(corpus: Corpus, out_dir: Path, steps: int = 1000, seed: int = 0) -> dict[str, float]:
    """Train tokenizer and base on all of the corpus, save both in ``out_dir`` (fp16), return the figures.

    Figures: ``parameters``, ``steps``, ``loss_train``, ``loss_held_out`` (nats a token), ``seconds``.
    """
    started = time.monotonic()
    train = [example for examples in corpus.train.values() for example in examples]
    held_out = [example for examples in corpus.held_out.values() for example in examples]
    tokenizer = train_tokenizer(_texts_for_tokenizer(train, seed))
    torch.manual_seed(int(rng(seed, "base", "weights").integers(2**31)))
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **SIZES,
        )
    )
    loss = fit(model, encode(tokenizer, train), _optimisers(model), steps, BATCH_ROWS, seed, "base")
    held_out_loss = mean_loss(model, encode(tokenizer, held_out[:: max(1, len(held_out) // HELD_OUT_ROWS)]))
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out_dir)
    model.half().save_pretrained(out_dir)
    (out_dir / "model.safetensors").chmod(0o644)  # safetensors writes it for the owner alone
    return {
        "parameters": float(sum(weight.numel() for weight in model.parameters())),
        "steps": float(steps),
        "loss_train": loss,
        "loss_held_out": held_out_loss,
        "seconds": time.monotonic() - started,
    }


def _optimisers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embedding and norms.

    After 120 steps the loss stood at 2.5 with Muon and at 4.7 with AdamW alone.
    """
    inside = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    others = [*model.model.embed_tokens.parameters(), *model.model.norm.parameters()]
    others += [weight for weight in model.model.layers.parameters() if weight.ndim < 2]
    return [
        torch.optim.Muon(inside, lr=MATRIX_LR, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=OTHER_LR, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def _texts_for_tokenizer(examples: Sequence[Example], seed: int) -> list[str]:
    order = rng(seed, "base", "tokenizer").permutation(len(examples))[:TOKENIZER_CASES]
    return [text for place in order for text in (examples[place].text, examples[place].brief.prompt() + "\n")]
