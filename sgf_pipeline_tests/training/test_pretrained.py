"""Teaching a base of one's own: the adapter that comes out is one that the backend takes."""

import json
from pathlib import Path

import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.peft_backend import PeftBackend
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.training.corpus import build_corpus
from sgf_pipeline.training.pretrained import convert, train_lora
from sgf_pipeline_tests.llm.test_own_base import make_base


def test_an_adapter_is_learned_and_used(tmp_path: Path) -> None:
    """Guards against an adapter that names modules or a base that the backend does not find, and one never trained."""
    base = make_base(tmp_path / "base")
    corpus = build_corpus(("money_laundering",), cases_per_cell=1)
    folder = tmp_path / "adapters" / "money_laundering"
    figures = train_lora("money_laundering", corpus, base, folder, steps=8, batch_rows=8, peak_lr=1e-2)
    assert figures["loss_held_out"] < figures["loss_base"] - 0.05
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    assert config["target_modules"] == sorted(config["target_modules"])
    [brief] = draw_briefs(SCENARIOS["money_laundering"], 1, 4)
    [answer] = in_order(PeftBackend(base, tmp_path / "adapters"), [Prompt(brief, 0, 1, 4)])
    assert FraudCase.model_validate_json(answer.text).follows(brief)


def test_what_is_no_gguf_is_named(tmp_path: Path) -> None:
    """Guards against a traceback from deep inside transformers."""
    with pytest.raises(ModelError, match="is no file"):
        convert(tmp_path / "missing.gguf", tmp_path / "out")
    (tmp_path / "text.gguf").write_text("no weights")
    with pytest.raises(ModelError, match=r"text\.gguf cannot be read"):
        convert(tmp_path / "text.gguf", tmp_path / "out")
