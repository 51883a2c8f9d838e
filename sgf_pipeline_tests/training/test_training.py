"""A few steps of real training: what comes out can be loaded and asked."""

import json
from pathlib import Path

import pytest

from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.peft_backend import PeftBackend
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.training.adapters import train_adapter
from sgf_pipeline.training.base_model import train_base
from sgf_pipeline.training.corpus import build_corpus
from sgf_pipeline.training.evaluate import evaluate


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float], dict[str, float]]:
    out = tmp_path_factory.mktemp("model")
    corpus = build_corpus(("card_testing",), seed=0, cases_per_cell=1)
    base = train_base(corpus, out / "base", steps=12)
    adapter = train_adapter("card_testing", corpus, out / "base", out / "adapters" / "card_testing", steps=4)
    return out, base, adapter


def test_training_learns_and_reports(trained: tuple[Path, dict[str, float], dict[str, float]]) -> None:
    """Guards against an optimiser that is not connected to the weights, for base and adapter alike."""
    _, base, adapter = trained
    assert base["loss_held_out"] < 7.4  # ln 2048 = 7.6 is knowing nothing
    assert adapter["loss_held_out"] < adapter["loss_base"]
    assert base["parameters"] < 4e6
    assert adapter["parameters"] < 3.5e5


def test_what_was_trained_can_be_asked(trained: tuple[Path, dict[str, float], dict[str, float]]) -> None:
    """Guards against saved weights, tokenizer or adapter that the backend cannot load."""
    out, _, _ = trained
    backend = PeftBackend(out / "base", out / "adapters")
    brief = SCENARIOS["card_testing"].matrix[0]
    completion = in_order(backend, [Prompt(brief, 0, 1, 0)])[0]
    assert completion.output_tokens > 0
    assert completion.input_tokens > 0
    config = json.loads((out / "adapters" / "card_testing" / "adapter_config.json").read_text())
    assert str(out) not in json.dumps(config)
    assert config["target_modules"] == sorted(config["target_modules"])  # else every training is another fingerprint


def test_evaluation_of_an_untrained_model_says_so(trained: tuple[Path, dict[str, float], dict[str, float]]) -> None:
    """Guards against measures that look good whatever the answers are."""
    out, _, _ = trained
    corpus = build_corpus(("card_testing",), seed=0, cases_per_cell=1)
    backend = PeftBackend(out / "base", out / "adapters", constrained=False)
    figures = evaluate("card_testing", corpus, backend, seed=1, cases=20)
    assert figures["valid"] == 0
    assert figures["coverage"] == 0
