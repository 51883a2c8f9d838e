"""sgf-mini as it ships: how good its answers are, and what they may and may not depend on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.llm.writer import validate_answer
from sgf_pipeline.scenarios import SCENARIOS

CASES = 200


@pytest.fixture(scope="module")
def backend() -> PeftBackend:
    return PeftBackend()


def prompts(name: ScenarioName, n: int, seed: int = 11) -> list[Prompt]:
    return [Prompt(brief, 0, 1, seed) for brief in draw_briefs(SCENARIOS[name], n, seed)]


def texts(backend: PeftBackend, asked: list[Prompt]) -> list[str]:
    return [completion.text for completion in in_order(backend, asked)]


# The card states 98 % or more of 500 answers for every scenario; 200 answers scatter by about a point each way.
VALID = 0.96


@pytest.mark.parametrize("name", SCENARIOS)
def test_answers_are_valid_and_different(name: ScenarioName, backend: PeftBackend) -> None:
    """Guards what the card says of first answers: 95 % structurally different, and as many valid as it states."""
    asked = prompts(name, CASES)
    answers = [
        validate_answer(text, prompt.brief, SCENARIOS[name])
        for text, prompt in zip(texts(backend, asked), asked, strict=True)
    ]
    cases = [answer for answer in answers if isinstance(answer, FraudCase)]
    refused = [answer for answer in answers if not isinstance(answer, FraudCase)]
    assert len(cases) >= VALID * CASES, refused
    assert len({case.signature() for case in cases}) >= 0.95 * CASES


def test_an_answer_does_not_depend_on_its_batch(backend: PeftBackend) -> None:
    """Guards against cases that change when a shard asks for more, in another order, or beside another scenario."""
    asked = prompts("card_testing", 66)
    together = texts(backend, asked)
    assert texts(backend, [asked[7]]) == [together[7]]
    assert texts(backend, asked[::-1]) == together[::-1]
    mixed = [asked[65], *prompts("money_laundering", 3), asked[0]]
    answers = texts(backend, mixed)
    assert (answers[0], answers[-1]) == (together[65], together[0])


def test_seed_repeat_and_attempt_give_other_answers(backend: PeftBackend) -> None:
    """Guards against a draw that one of them does not reach."""
    brief = SCENARIOS["money_laundering"].matrix[5]
    asked = [Prompt(brief, *numbers) for numbers in ((0, 1, 1), (1, 1, 1), (0, 2, 1), (0, 1, 2))]
    assert len(set(texts(backend, asked))) == 4


def test_another_adapter_gives_other_cases_and_another_fingerprint(backend: PeftBackend, tmp_path: Path) -> None:
    """Guards against an adapter that is named but not used, and against its answers being served from the cache."""
    folder = tmp_path / "altered"
    shutil.copytree(BUNDLED / "adapters" / "card_testing", folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({key: value * 0.8 for key, value in weights.items()}, folder / "adapter_model.safetensors")
    altered = PeftBackend(adapter_dir=folder)
    asked = prompts("card_testing", 20)
    assert altered.fingerprint != backend.fingerprint
    assert altered.name == "sgf-mini+altered"
    same = sum(a == b for a, b in zip(texts(altered, asked), texts(backend, asked), strict=True))
    assert same < 10


def test_missing_and_foreign_folders_are_named(tmp_path: Path) -> None:
    """Guards against a traceback from deep inside transformers or peft."""
    with pytest.raises(ModelError, match=r"SGF_PEFT_BASE .*nowhere.* config\.json is missing"):
        PeftBackend(base_dir=tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .*nowhere.* adapter_config\.json is missing"):
        PeftBackend(adapter_dir=tmp_path / "nowhere")
    empty = tmp_path / "base"
    empty.mkdir()
    (empty / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match=r"SGF_PEFT_BASE .* cannot be loaded"):
        in_order(PeftBackend(base_dir=empty), prompts("card_testing", 1))
    one = tmp_path / "adapters"
    shutil.copytree(BUNDLED / "adapters" / "card_testing", one / "card_testing")
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .*money_laundering"):
        in_order(PeftBackend(adapter_dir=one), prompts("money_laundering", 1))


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    """Guards against weights that are loaded in part, which peft only warns about."""
    folder = tmp_path / "foreign"
    shutil.copytree(BUNDLED / "adapters" / "card_testing", folder)
    weights = load_file(folder / "adapter_model.safetensors")
    narrow = {key: value[:, :-8].clone() if "lora_A" in key else value for key, value in weights.items()}
    save_file(narrow, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .* does not fit the base"):
        in_order(PeftBackend(adapter_dir=folder), prompts("card_testing", 1))
    folders = tmp_path / "adapters"
    shutil.copytree(BUNDLED / "adapters", folders)
    renamed = {key.replace("self_attn", "attention"): value for key, value in weights.items()}
    save_file(renamed, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .* does not fit the base"):
        in_order(PeftBackend(adapter_dir=folder), prompts("card_testing", 1))
    save_file(renamed, folders / "card_testing" / "adapter_model.safetensors")
    second = PeftBackend(adapter_dir=folders)
    in_order(second, prompts("money_laundering", 1))
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .* does not fit the base"):
        in_order(second, prompts("card_testing", 1))


def test_it_ships_small_and_whole() -> None:
    """Guards against a wheel that outgrows 15 MB with seven adapters, or lacks a scenario's."""
    size = {
        part: sum(f.stat().st_size for f in (BUNDLED / part).rglob("*") if f.is_file()) for part in ("base", "adapters")
    }
    assert {folder.name for folder in (BUNDLED / "adapters").iterdir()} == set(SCENARIOS)
    assert size["base"] + 7 * size["adapters"] / len(SCENARIOS) <= 15e6
    card = (BUNDLED / "MODEL_CARD.md").read_text()
    assert all(name in card for name in SCENARIOS)


def test_importing_the_writer_does_not_import_torch() -> None:
    """Guards against every command, also one that only prints help, waiting for torch to load."""
    code = (
        "import sys, json; import sgf_pipeline.llm.writer, sgf_pipeline.llm.cache, sgf_pipeline.llm.peft_backend;"
        "print(json.dumps([name for name in ('torch', 'transformers', 'peft') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert json.loads(done.stdout) == []
