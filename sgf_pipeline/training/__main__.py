"""``python -m sgf_pipeline.training``: train the bundled model again and write its card.

With ``--scenario``, only those adapters are trained, on the base that is already in ``--out``; with ``--evaluate``
nothing is trained, but what is there is measured and its card written anew.
"""

import argparse
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import Corpus, build_corpus

log = logging.getLogger(__name__)

BASE_STEPS = 3000
# The more rules a scenario has, the longer its adapter learns: the base alone nearly knows the first three.
ADAPTER_STEPS: dict[ScenarioName, int] = {
    "card_testing": 300,
    "money_laundering": 400,
    "phishing": 300,
    "account_takeover": 900,
    "identity_theft": 1000,
    "merchant_fraud": 1000,
    "chargeback_fraud": 1800,
}
EVALUATION_SEED = 2025  # apart from the training seed: briefs and draws of the evaluation


def train_all(
    out: Path,
    only: Sequence[ScenarioName] = (),
    steps: int = BASE_STEPS,
    adapter_steps: int | None = None,
    seed: int = 0,
    train: bool = True,
) -> dict[str, Any]:
    """Train base and adapters (or the adapters of ``only``) into ``out``, evaluate, write ``figures.json`` and card.

    Raises ``ModelError`` if ``only`` is given, or ``train`` is not, and ``out`` holds no trained model.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing of the training comes from outside
    from sgf_pipeline.training.adapters import RANK, train_adapter
    from sgf_pipeline.training.base_model import BATCH_ROWS, SIZES, VOCABULARY, train_base
    from sgf_pipeline.training.evaluate import evaluate
    from sgf_pipeline.training.model_card import model_card

    corpus = build_corpus(tuple(BOOKS), seed)
    figures_file = out / "figures.json"
    figures: dict[str, Any] = {"base": {}, "adapters": {}, "evaluation": {}}
    names = tuple(only) or tuple(BOOKS)
    if only or not train:
        if not figures_file.is_file():
            raise ModelError(f"{out} holds no trained model (figures.json is missing): train all of it first")
        figures = json.loads(figures_file.read_text())
    if train:
        if not only:
            figures["base"] = train_base(corpus, out / "base", steps, seed)
            log.info("base: %s", figures["base"])
        for name in names:
            folder = out / "adapters" / name
            figures["adapters"][name] = train_adapter(
                name, corpus, out / "base", folder, adapter_steps or ADAPTER_STEPS[name], seed
            )
            log.info("%s: %s", name, figures["adapters"][name])
    backend = PeftBackend(out / "base", out / "adapters", constrained=False)  # as the bundled model is used
    for name in names:
        figures["evaluation"][name] = evaluate(name, corpus, backend, EVALUATION_SEED)
        log.info("%s: %s", name, figures["evaluation"][name])
    figures_file.write_text(json.dumps(figures, indent=1) + "\n")
    facts = {
        "layers": SIZES["num_hidden_layers"],
        "width": SIZES["hidden_size"],
        "vocabulary": VOCABULARY,
        "rank": RANK,
        "batch": BATCH_ROWS,
        "seed": seed,
        "sampling": backend.sampling.replace("=", " ").replace("_", " ").replace(",", ", "),
        "cases": _cases(corpus),
        "archetypes": ", ".join(f"{len(book.archetypes)} archetypes of {name}" for name, book in BOOKS.items()),
    }
    (out / "MODEL_CARD.md").write_text(model_card(figures, facts))
    return figures


def _cases(corpus: Corpus) -> int:
    return sum(len(part) for split in (corpus.train, corpus.held_out) for part in split.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sgf_pipeline.training", description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder to write (default: the bundled model's)")
    parser.add_argument(
        "--scenario", action="append", choices=list(BOOKS), default=[], help="only this adapter; repeatable"
    )
    parser.add_argument("--steps", type=int, default=BASE_STEPS, help="training steps of the base")
    parser.add_argument("--adapter-steps", type=int, help="training steps of each adapter (default: its own)")
    parser.add_argument("--seed", type=int, default=0, help="seed of corpus and training")
    parser.add_argument("--evaluate", action="store_true", help="train nothing, only measure")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    train_all(given.out, given.scenario, given.steps, given.adapter_steps, given.seed, not given.evaluate)


if __name__ == "__main__":
    main()
