"""Bases and adapters of one's own: a tiny, untrained model stands for any, for what it would write alone is noise."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from sgf_pipeline.domain.cases import CaseBrief, FraudCase
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Completion, Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.grammar import Grammars
from sgf_pipeline.llm.peft_backend import BATCH_ROWS, BUNDLED, CPU_MEMORY, PROMPT_TOKENS, PeftBackend, row_bytes
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import widen

Accepts = Callable[[str, CaseBrief], bool]

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def make_base(folder: Path, vocabulary: int = 2048, **shape: object) -> Path:
    """A model that knows nothing, with sgf-mini's tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **SHAPE | shape))
        torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.3)  # so that it does not find all tokens alike
        model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(BUNDLED / "base").save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path, seed: int = 2) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("own") / "base")


@pytest.fixture(scope="module")
def adapters(base: Path) -> Path:
    folder = base.parent / "adapters"
    for seed, name in enumerate(SCENARIOS):
        make_adapter(base, folder / name, seed)
    return folder


@pytest.fixture(scope="module")
def backend(base: Path, adapters: Path) -> PeftBackend:
    return PeftBackend(base, adapters)


@pytest.fixture(scope="module")
def letters() -> PreTrainedTokenizerFast:
    """A tokenizer that can spell anything: a token a byte."""
    alphabet = {letter: place for place, letter in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), "</s>"])}
    plain = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="</s>")


@pytest.fixture(scope="module")
def accepts(letters: PreTrainedTokenizerFast) -> Accepts:
    """Whether the grammar of a brief lets a text pass, token by token."""
    grammars = Grammars(letters, len(letters))

    def passes(text: str, brief: CaseBrief) -> bool:
        masks = grammars.masks([brief])
        for token in [*letters(text)["input_ids"], letters.eos_token_id]:
            if not masks.allowed()[0, token // 32] >> (token % 32) & 1:
                return False
            masks.take([token])
        return True

    return passes


def prompts(name: ScenarioName, n: int, seed: int = 3) -> list[Prompt]:
    return [Prompt(brief, 0, 1, seed) for brief in draw_briefs(SCENARIOS[name], n, seed)]


def assert_in_cell(answer: Completion, brief: CaseBrief) -> None:
    assert answer.fault is None
    case = FraudCase.model_validate_json(answer.text)
    assert case.follows(brief)
    for step in case.steps:
        kind = SCENARIOS[brief.scenario].step_kinds[step.kind]
        assert step.channel in kind.channels
        assert step.basis in kind.bases


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_an_untrained_model_writes_is_a_case_of_its_cell(name: ScenarioName, backend: PeftBackend) -> None:
    """Guards the promise that every answer parses: nothing but the grammar can bring this model to write JSON."""
    asked = prompts(name, 6)
    answers = in_order(backend, asked)
    for prompt, answer in zip(asked, answers, strict=True):
        assert_in_cell(answer, prompt.brief)
    assert len({answer.text for answer in answers}) == len(asked)


def test_rows_do_not_influence_each_other(backend: PeftBackend) -> None:
    """Guards against a mask, a draw or an end mark that reaches another row, and an adapter that stays active."""
    asked = prompts("phishing", 5)
    together = [answer.text for answer in in_order(backend, asked)]
    mixed = [asked[4], *prompts("card_testing", 2), asked[0]]
    answers = [answer.text for answer in in_order(backend, mixed)]
    assert (answers[0], answers[-1]) == (together[4], together[0])
    assert [answer.text for answer in in_order(backend, asked[::-1])] == together[::-1]


def test_a_base_without_an_adapter_is_told_what_to_write(base: Path, tmp_path: Path) -> None:
    """Guards against a general model that is asked by the one line that only a trained one understands."""
    folder = tmp_path / "chat"
    shutil.copytree(base, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}<s>{{ m.content }}{% endfor %}\n")
    asked = prompts("money_laundering", 1)
    [answer] = in_order(PeftBackend(folder), asked)
    assert answer.input_tokens > 500
    assert_in_cell(answer, asked[0].brief)


def test_a_window_without_room_for_the_instructions_is_named(tmp_path: Path) -> None:
    """Guards against instructions that are cut off without a word."""
    narrow = make_base(tmp_path / "narrow", max_position_embeddings=512)
    with pytest.raises(ModelError, match=r"SGF_PEFT_BASE .*narrow reads 512 tokens, .* name an adapter"):
        in_order(PeftBackend(narrow), prompts("phishing", 1))


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_grammar_lets_every_true_case_pass(name: ScenarioName, accepts: Accepts) -> None:
    """Guards against a grammar that is narrower than the cases: a trained model would be bent without a word."""
    for brief in draw_briefs(SCENARIOS[name], 25, 8):
        assert accepts(widen(BOOKS[name], brief, 8, 0).model_dump_json(), brief)


BREAKS: dict[str, Callable[[dict[str, object]], object]] = {
    "another vector": lambda case: case | {"vector": "bin_enumeration"},
    "another tempo": lambda case: case | {"tempo": "steady"},
    "no step on the channel": lambda case: case | {"steps": [step(case) | {"channel": "ecommerce"}]},
    "a kind of another scenario": lambda case: case | {"steps": [step(case) | {"kind": "cash_deposit"}]},
    "a channel that the kind has not": lambda case: case | {"steps": [step(case), step(case) | {"channel": "atm"}]},
    "a basis that the kind has not": lambda case: case | {"steps": [step(case) | {"basis": "carry"}]},
    "thirteen steps": lambda case: case | {"steps": [step(case)] * 13},
    "no step": lambda case: case | {"steps": []},
    "a number out of range": lambda case: case | {"customers": 61},
    "an amount without end": lambda case: case | {"steps": [step(case) | {"low": 0.12345}]},
    "a field too many": lambda case: case | {"comment": ""},
    "half a character": lambda case: case | {"story": "A florist was paid by \ud800 many cards."},
    "another order": lambda case: dict(reversed(case.items())),
}


def step(case: dict[str, object]) -> dict[str, object]:
    steps = case["steps"]
    assert isinstance(steps, list)
    return dict(steps[0])


@pytest.mark.parametrize("what", BREAKS)
def test_the_grammar_lets_nothing_else_pass(what: str, accepts: Accepts) -> None:
    """Guards against a grammar that is wider than the brief."""
    brief = CaseBrief(
        scenario="card_testing", vector="wallet_enrolment_probe", channel="mobile", sophistication="low",
        victim_segment="senior", tempo="burst", geography="domestic",
    )  # fmt: skip
    case: dict[str, object] = {
        **{name: getattr(brief, name) for name in ("scenario", "vector", "sophistication", "victim_segment")},
        "tempo": "burst", "geography": "domestic", "customers": 4, "outsiders": 1, "devices": 1, "addresses": 1,
        "merchant_category": None, "story": "A florist's page took \"tiny\" orders on many cards, naïvely.",
        "steps": [{"kind": "micro_purchase", "channel": "mobile", "basis": "unit", "low": 0.2, "high": 1.5,
                   "count": 6, "wait_minutes": 0, "span_minutes": 12}],
    }  # fmt: skip
    twelve = case | {"steps": [step(case) | {"channel": "ecommerce"}] * 11 + [step(case)]}
    for good in (case, twelve, case | {"merchant_category": "5992"}):
        assert accepts(compact(good), brief)
    assert not accepts(compact(BREAKS[what](case)), brief)
    assert not accepts(json.dumps(case), brief)  # with white space


def compact(case: object) -> str:
    text = json.dumps(case, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\ud800", "\\ud800")


def test_a_tokenizer_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    """Guards against an index error from deep inside torch, on some prompts only."""
    small = make_base(tmp_path / "small", vocabulary=1000)
    with pytest.raises(ModelError, match=r"SGF_PEFT_BASE .*small has a tokenizer of 2048 tokens and a model of 1000"):
        in_order(PeftBackend(small, make_adapter(small, tmp_path / "adapter")), prompts("phishing", 1))


def _other_modules(folder: Path) -> None:
    _edit(folder, target_modules=["c_attn"])


def _one_module_too_many(folder: Path) -> None:
    _edit(folder, target_modules=["q_proj", "down_proj", "c_attn"])
    weights = load_file(folder / "adapter_model.safetensors")
    extra = {key.replace("q_proj", "c_attn"): value.clone() for key, value in weights.items() if "q_proj" in key}
    save_file(weights | extra, folder / "adapter_model.safetensors")


def _one_weight_too_few(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({key: weights[key] for key in sorted(weights)[1:]}, folder / "adapter_model.safetensors")


def _another_rank(folder: Path) -> None:
    _edit(folder, r=8)


def _edit(folder: Path, **values: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("damage", [_other_modules, _one_module_too_many, _one_weight_too_few, _another_rank])
def test_an_adapter_that_does_not_fit_is_refused(
    damage: Callable[[Path], None], base: Path, adapters: Path, tmp_path: Path
) -> None:
    """Guards against an adapter of which a part is silently left out."""
    folder = tmp_path / "adapter"
    shutil.copytree(adapters / "phishing", folder)
    damage(folder)
    with pytest.raises(ModelError, match=r"SGF_PEFT_ADAPTER .* does not fit the base .*: name an adapter"):
        in_order(PeftBackend(base, folder), prompts("phishing", 1))


def test_an_adapter_that_is_no_lora_is_refused(base: Path, tmp_path: Path) -> None:
    """Guards against other kinds of adapters, which move positions or have no weights to check."""
    config = IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "ia3")
    with pytest.raises(ModelError, match="not LORA"):
        in_order(PeftBackend(base, tmp_path / "ia3"), prompts("phishing", 1))


def test_the_batch_is_bounded_by_memory(base: Path, adapters: Path, tmp_path: Path) -> None:
    """Guards against 64 rows of a model whose keys and values fill gigabytes, and against fewer of sgf-mini."""
    one_billion = LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        vocab_size=128_256, max_position_embeddings=131_072,
    )  # fmt: skip
    keys_and_values = 2 * 16 * 8 * 64 * 4 * 1064
    assert keys_and_values < row_bytes(one_billion, PROMPT_TOKENS[False], 4) < 1.3 * keys_and_values
    one_billion.num_key_value_heads = 32
    one_billion.num_hidden_layers = 60
    one_billion.save_pretrained(tmp_path)
    rows = PeftBackend(tmp_path, adapters).batch_rows
    assert 1 <= rows < BATCH_ROWS
    if not torch.cuda.is_available():
        assert rows * row_bytes(one_billion, PROMPT_TOKENS[False], 2) <= CPU_MEMORY
    assert PeftBackend(base, adapters).batch_rows == PeftBackend().batch_rows == BATCH_ROWS


def test_constrained_answers_have_their_own_place_in_the_cache(base: Path, adapters: Path) -> None:
    """Guards against answers of one way of asking that are served for another."""
    ways = [PeftBackend(base, adapters), PeftBackend(base, adapters, constrained=False), PeftBackend(base)]
    assert len({way.sampling for way in ways}) == 3
    assert PeftBackend().sampling == ways[1].sampling
