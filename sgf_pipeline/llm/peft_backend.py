"""The local backend: a causal language model with a LoRA adapter a scenario, run with transformers and peft.

Belongs here: finding, loading and fingerprinting weights, and drawing tokens so that an answer depends on its own
prompt alone. Does not belong here: training, caching, judging answers.

An answer must not change with the prompts that happen to share its batch, so: all batches of a model have the same
rows (unused ones are filled up), prompts are padded to one length a scenario, and each row's draws come from its
own generator. Matrix products of equal shapes then add up in the same order, whatever the other rows hold.

sgf-mini's answers are valid as they are. Of any other base what it may draw is constrained to the brief's cell
(``grammar``): every answer then parses, and what is left to the model is the case.
"""

import hashlib
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Completion, Fault, Prompt
from sgf_pipeline.llm.prompts import INSTRUCTIONS_VERSION, instructions, prompt_text, question
from sgf_pipeline.llm.taught import read_taught
from sgf_pipeline.llm.weights import adapter_weights
from sgf_pipeline.scenarios import scenario as scenario_of

if TYPE_CHECKING:
    from sgf_pipeline.llm.grammar import Grammars, RowMasks

BUNDLED = Path(__file__).parent / "sgf_mini"
BATCH_ROWS = 64  # at most, and always of the bundled base
# Of a model that is not small on a CPU. A row more costs little up to here (135 million parameters, one core: a step
# takes 71 ms with one row, 167 ms with 16, 245 ms with 32), but the few answers that are asked again fill a batch, too.
CPU_ROWS = 16
CPU_MEMORY = 2 * 2**30  # bytes for a batch on a CPU, weights apart
GPU_SHARE = 0.25  # of a GPU's memory for a batch, weights apart
PROMPT_TOKENS = {False: 64, True: 4096}  # at most, of a brief's line and of instructions; only sizes a batch
MAX_NEW_TOKENS = 1000  # a long case in the tokens of a general model; sgf-mini's own window ends far below
TEMPERATURE = 0.5  # with MIN_SHARE, chosen by measuring: more answers are valid than at 0.6, and as many differ
SHORTEST_ANSWER = 64  # tokens; a window without room for them is of no use
SOME_VARIATION = 99  # more often than any brief is asked
MARGIN = 32  # tokens by which one instruction may be longer than another with the most letters
MIN_SHARE = 0.2  # tokens less likely than this share of the likeliest are never drawn


class PeftBackend:
    """sgf-mini, or any local causal language model with a LoRA adapter.

    ``base_dir`` is a transformers model folder. ``adapter_dir`` is a peft adapter folder, or a folder that holds one
    a scenario. With neither, the bundled sgf-mini and its adapters. An adapter knows cases by a brief's one line; a
    base of one's own without an adapter is told all there is to know, in its chat template where it has one. Folders
    are checked at once, weights are loaded at the first call. ``key`` is that of sealed adapters (``weights``).
    ``constrained`` switches constrained decoding; by default it is on for all bases but the bundled one, and it is
    always on without an adapter.

    Raises ``ModelError`` for a folder that is missing or is not what it should be.
    """

    provider = "peft"

    def __init__(
        self,
        base_dir: Path | None = None,
        adapter_dir: Path | None = None,
        key: bytes | None = None,
        constrained: bool | None = None,
    ) -> None:
        self._base_dir = base_dir or BUNDLED / "base"
        self._adapter_dir = adapter_dir or (BUNDLED / "adapters" if base_dir is None else None)
        _require(self._base_dir, "config.json", "SGF_PEFT_BASE", "a causal language model")
        if self._adapter_dir is not None and not self._adapter_folders():
            _require(self._adapter_dir, "adapter_config.json", "SGF_PEFT_ADAPTER", "a LoRA adapter")
        own = [folder.name for folder in (base_dir, adapter_dir) if folder is not None]
        self.name = "+".join(own if base_dir is not None else ["sgf-mini", *own])
        bundled = self._base_dir.is_relative_to(BUNDLED)
        self._instructed = not bundled and self._adapter_dir is None
        self._constrained = self._instructed or (not bundled if constrained is None else constrained)
        self._lock = threading.Lock()  # one model, one active adapter: threads take turns
        self._key = key
        self._model: Any = None
        self._tokenizer: Any = None
        self._prompt_tokens: dict[ScenarioName, int] = {}
        self._grammars: Grammars | None = None

    @property
    def sampling(self) -> str:
        parts = [f"temperature={TEMPERATURE},min_share={MIN_SHARE}"]
        if self._constrained:
            from sgf_pipeline.llm.grammar import GRAMMAR_VERSION

            parts.append(f"grammar={GRAMMAR_VERSION}")
        if self._instructed:
            parts.append(f"instructions={INSTRUCTIONS_VERSION}")
        return ",".join(parts)

    @cached_property
    def batch_rows(self) -> int:
        """Rows of every batch: for the bundled base ``BATCH_ROWS``, for others as many as memory is set aside for.

        Nothing of it depends on what is free at the moment, for the rows decide in which order products add up.
        """
        if self._base_dir.is_relative_to(BUNDLED):
            return BATCH_ROWS
        import torch

        from sgf_pipeline.llm.decoding import is_small, placement

        config = self._shape()
        device, dtype = placement(config)
        most, room = BATCH_ROWS, CPU_MEMORY
        if device == "cuda":
            room = int(GPU_SHARE * torch.cuda.get_device_properties(0).total_memory)
        elif not is_small(config):
            most = CPU_ROWS
        return max(1, min(most, room // row_bytes(config, PROMPT_TOKENS[self._instructed], dtype.itemsize)))

    def _shape(self) -> Any:
        """The numbers of layers, heads and so on of the base."""
        import transformers

        try:
            config = transformers.AutoConfig.from_pretrained(self._base_dir, local_files_only=True).get_text_config()
            row_bytes(config, 0, 0)  # asks for all of them
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise self._unloadable(error) from error
        return config

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 over the names and bytes of every file of base and adapters."""
        digest = hashlib.sha256()
        for root in (self._base_dir, self._adapter_dir):
            for file in sorted(root.rglob("*")) if root is not None else ():
                if file.is_file():
                    with file.open("rb") as stream:
                        digest.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        return digest.hexdigest()[:16]

    @property
    def version(self) -> str:
        """What tells at once whether the model is another one: the name and, of the bundled model, the fingerprint.

        Of a model of one's own only names, sizes and times of its files are looked at: it may hold gigabytes, and every
        run asks when it starts.
        """
        if self._base_dir.is_relative_to(BUNDLED) and self._adapter_dir == BUNDLED / "adapters":
            return f"{self.name}-{self.fingerprint}"
        digest = hashlib.sha256()
        for root in (self._base_dir, self._adapter_dir):
            for file in sorted(root.rglob("*")) if root is not None else ():
                if file.is_file():
                    state = file.stat()
                    digest.update(f"{file.name}:{state.st_size}:{state.st_mtime_ns}\n".encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def quote(self, prompts: Sequence[Prompt]) -> float:
        return 0.0

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for name in dict.fromkeys(prompt.brief.scenario for prompt in prompts):
            places = [place for place, prompt in enumerate(prompts) if prompt.brief.scenario == name]
            for start in range(0, len(places), self.batch_rows):
                batch = places[start : start + self.batch_rows]
                with self._lock:
                    answers = self._complete_batch(name, [prompts[place] for place in batch])
                yield from zip(batch, answers, strict=True)

    def _complete_batch(self, scenario: ScenarioName, prompts: Sequence[Prompt]) -> list[Completion]:
        self._load(scenario)
        from sgf_pipeline.llm.decoding import decode

        rows = [*prompts, *[prompts[0]] * (self.batch_rows - len(prompts))]
        length = self._prompt_length(scenario)
        encoded = self._tokenizer(
            [self._text(prompt.brief, prompt.repeat) for prompt in rows],
            padding="max_length",
            max_length=length,
            add_special_tokens=not self._templated,
            return_tensors="pt",
        )
        window = getattr(self._model.config, "max_position_embeddings", None) or length + MAX_NEW_TOKENS
        most = min(MAX_NEW_TOKENS, window - length)
        if most < SHORTEST_ANSWER:
            raise ModelError(
                f"SGF_PEFT_BASE {self._base_dir} reads {window} tokens, a question for {scenario} has {length}: name an"
                " adapter, which needs no instructions, or a base with a longer window"
            )
        draws = np.stack(
            [
                rng(prompt.seed, "sampling", prompt.brief.key, prompt.repeat, prompt.attempt).random(most)
                for prompt in rows
            ]
        )
        end = self._tokenizer.eos_token_id
        masks = self._masks(prompts) if self._constrained else None
        drawn = decode(self._model, encoded, draws, end, TEMPERATURE, MIN_SHARE, len(prompts), masks)
        completions = []
        for place in range(len(prompts)):
            tokens = drawn[place].tolist()
            ended = tokens.index(end) + 1 if end in tokens else None
            text = self._tokenizer.decode(tokens[:ended], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            read = int(encoded["attention_mask"][place].sum())
            fault: Fault | None = "truncated" if self._constrained and ended is None else None
            completions.append(Completion(text, read, ended or len(tokens), fault=fault))
        return completions

    @property
    def _templated(self) -> bool:
        """Whether prompts come out of the tokenizer's chat template, special tokens and all."""
        return self._instructed and bool(self._tokenizer.chat_template)

    def _text(self, brief: CaseBrief, variation: int) -> str:
        """What the model reads. Where it is instructed, its answer is begun for it, up to the case itself."""
        if not self._instructed:
            return prompt_text(brief)
        asked = f"{instructions(brief.scenario)}\n{question([brief], [variation])}"
        if self._templated:  # some templates refuse a system message, none a user's
            message = [{"role": "user", "content": asked}]
            asked = self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return asked + '{"cases":['

    def _masks(self, prompts: Sequence[Prompt]) -> "RowMasks":
        from sgf_pipeline.llm.grammar import Grammars

        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer, self._model.get_output_embeddings().weight.shape[0])
        return self._grammars.masks([prompt.brief for prompt in prompts])

    def _prompt_length(self, scenario: ScenarioName) -> int:
        """Tokens of the longest prompt that the scenario's matrix, or what the adapter was taught, can ask."""
        if scenario not in self._prompt_tokens:
            taught = read_taught(self._adapter_dir, scenario)
            briefs = (*scenario_of(scenario).matrix, *(taught.cells if taught else ()))
            margin = 0
            if self._instructed:  # thousands of letters each: only the longest is counted
                briefs, margin = (max(briefs, key=lambda brief: len(brief.prompt())),), MARGIN
            texts = [self._text(brief, SOME_VARIATION) for brief in briefs]
            read = self._tokenizer(texts, add_special_tokens=not self._templated)["input_ids"]
            self._prompt_tokens[scenario] = max(len(ids) for ids in read) + margin
        return self._prompt_tokens[scenario]

    def _adapter_folders(self) -> list[Path]:
        """The folders a scenario in ``adapter_dir``, if it has such."""
        if self._adapter_dir is None or not self._adapter_dir.is_dir():
            return []
        return sorted(file.parent for file in self._adapter_dir.glob("*/adapter_config.json"))

    def _load(self, scenario: ScenarioName) -> None:
        """Load the base once and each adapter once, and make the scenario's adapter the active one."""
        os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers reads it: weights only ever come from local folders
        import transformers

        from sgf_pipeline.llm.decoding import placement

        if self._model is None:
            device, dtype = placement(self._shape())
            transformers.utils.logging.disable_progress_bar()  # a bar for a load of milliseconds
            try:
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    self._base_dir, local_files_only=True, padding_side="left"
                )
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    self._base_dir, local_files_only=True, dtype=dtype
                ).eval()
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise self._unloadable(error) from error
            self._check_vocabulary(tokenizer, model)
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            self._tokenizer = tokenizer
            self._model = model.to(device)
        if self._adapter_dir is None:
            return
        folder, adapter = self._adapter_dir, "all"
        if self._adapter_folders():
            folder, adapter = self._adapter_dir / scenario, str(scenario)
            _require(folder, "adapter_config.json", "SGF_PEFT_ADAPTER", f"a LoRA adapter for {scenario}")
        self._activate(folder, adapter)

    def _check_vocabulary(self, tokenizer: Any, model: Any) -> None:
        rows = model.get_input_embeddings().num_embeddings
        if len(tokenizer) > rows:
            raise ModelError(
                f"SGF_PEFT_BASE {self._base_dir} has a tokenizer of {len(tokenizer)} tokens and a model of {rows}: take"
                " both from the same model"
            )
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"SGF_PEFT_BASE {self._base_dir} has a tokenizer without an end mark: set eos_token in its"
                " tokenizer_config.json"
            )

    def _activate(self, folder: Path, adapter: str) -> None:
        import peft

        if not isinstance(self._model, peft.PeftModel) or adapter not in self._model.peft_config:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)  # what peft calls of transformers is its own affair
                    self._add(folder, adapter)
            except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
                raise ModelError(
                    f"SGF_PEFT_ADAPTER {folder} does not fit the base {self._base_dir} ({_first_line(error)}):"
                    " name an adapter that was trained on that base"
                ) from error
        self._model.set_adapter(adapter)

    def _add(self, folder: Path, adapter: str) -> None:
        """Put the adapter beside those that are loaded. Every weight must find its place, every place its weight."""
        import peft

        weights = adapter_weights(folder, self._key)
        config = peft.PeftConfig.from_pretrained(str(folder))
        if config.peft_type != peft.PeftType.LORA:
            raise ValueError(f"its peft_type is {config.peft_type}, not LORA")
        config.inference_mode = True
        if isinstance(self._model, peft.PeftModel):
            self._model.add_adapter(adapter, config, autocast_adapter_dtype=False)
            model = self._model
        else:
            model = peft.PeftModelForCausalLM(self._model, config, adapter_name=adapter, autocast_adapter_dtype=False)
        loaded = peft.set_peft_model_state_dict(model, weights, adapter_name=adapter)
        unfit = [key for key in loaded.missing_keys if f".{adapter}." in key]
        if unfit or loaded.unexpected_keys:
            raise ValueError(
                f"{unfit[0]} is missing" if unfit else f"{loaded.unexpected_keys[0]} has no place in the base"
            )
        self._model = model.eval()

    def _unloadable(self, error: Exception) -> ModelError:
        return ModelError(
            f"SGF_PEFT_BASE {self._base_dir} cannot be loaded as a causal language model ({_first_line(error)}):"
            " name a complete transformers folder, or unset it to use sgf-mini"
        )


def row_bytes(config: Any, prompt: int, width: int) -> int:
    """Bytes that one row of a batch may need at once, weights apart, in numbers of ``width`` bytes.

    Keys and values of prompt and longest answer, the widest layer while the prompt is read, and the logits with what
    is made of them.
    """
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    tokens = min(prompt + MAX_NEW_TOKENS, getattr(config, "max_position_embeddings", None) or 2**31)
    memory = 2 * config.num_hidden_layers * heads * head * width * tokens
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    reading = prompt * (3 * inner + 6 * config.hidden_size) * width
    return int(memory + reading + 40 * config.vocab_size)


def _require(folder: Path, file: str, variable: str, what: str) -> None:
    if not (folder / file).is_file():
        raise ModelError(
            f"{variable} {folder} is not the folder of {what}: {file} is missing; name a complete folder, or unset"
            f" {variable} to use the bundled sgf-mini"
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
