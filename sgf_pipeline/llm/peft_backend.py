"""The local backend: a causal language model with a LoRA adapter a scenario, run with transformers and peft.

Belongs here: finding, loading and fingerprinting weights, and drawing tokens so that an answer depends on its own
prompt alone. Does not belong here: training, caching, judging answers.

An answer must not change with the prompts that happen to share its batch, so: batches always have ``BATCH_ROWS``
rows (unused ones are filled up), prompts are padded to one length a scenario, and each row's draws come from its
own generator. Matrix products of equal shapes then add up in the same order, whatever the other rows hold.
"""

import hashlib
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.prompts import prompt_text
from sgf_pipeline.scenarios import scenario as scenario_of

BUNDLED = Path(__file__).parent / "sgf_mini"
BATCH_ROWS = 64
MAX_NEW_TOKENS = 1000  # a long case in the tokens of a general model; sgf-mini's own window ends far below
TEMPERATURE = 0.5  # with MIN_SHARE, chosen by measuring: more answers are valid than at 0.6, and as many differ
MIN_SHARE = 0.2  # tokens less likely than this share of the likeliest are never drawn


class PeftBackend:
    """sgf-mini, or any local causal language model with a LoRA adapter.

    ``base_dir`` is a transformers model folder. ``adapter_dir`` is a peft adapter folder, or a folder that holds one
    a scenario. With neither, the bundled sgf-mini and its adapters; a base of one's own without an adapter is used
    as it is. Folders are checked at once, weights are loaded at the first call.

    Raises ``ModelError`` for a folder that is missing or is not what it should be.
    """

    provider = "peft"
    batch_rows = BATCH_ROWS
    sampling = f"temperature={TEMPERATURE},min_share={MIN_SHARE}"

    def __init__(self, base_dir: Path | None = None, adapter_dir: Path | None = None) -> None:
        self._base_dir = base_dir or BUNDLED / "base"
        self._adapter_dir = adapter_dir or (BUNDLED / "adapters" if base_dir is None else None)
        _require(self._base_dir, "config.json", "SGF_PEFT_BASE", "a causal language model")
        if self._adapter_dir is not None and not self._adapter_folders():
            _require(self._adapter_dir, "adapter_config.json", "SGF_PEFT_ADAPTER", "a LoRA adapter")
        own = [folder.name for folder in (base_dir, adapter_dir) if folder is not None]
        self.name = "+".join(own if base_dir is not None else ["sgf-mini", *own])
        self._lock = threading.Lock()  # one model, one active adapter: threads take turns
        self._model: Any = None
        self._tokenizer: Any = None
        self._prompt_tokens: dict[ScenarioName, int] = {}

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
            for start in range(0, len(places), BATCH_ROWS):
                batch = places[start : start + BATCH_ROWS]
                with self._lock:
                    answers = self._complete_batch(name, [prompts[place] for place in batch])
                yield from zip(batch, answers, strict=True)

    def _complete_batch(self, scenario: ScenarioName, prompts: Sequence[Prompt]) -> list[Completion]:
        self._load(scenario)
        from sgf_pipeline.llm.decoding import decode

        rows = [*prompts, *[prompts[0]] * (BATCH_ROWS - len(prompts))]
        encoded = self._tokenizer(
            [prompt_text(prompt.brief) for prompt in rows],
            padding="max_length",
            max_length=self._prompt_length(scenario),
            return_tensors="pt",
        )
        window = getattr(self._model.config, "max_position_embeddings", None) or MAX_NEW_TOKENS
        most = max(1, min(MAX_NEW_TOKENS, window - self._prompt_length(scenario)))
        draws = np.stack(
            [
                rng(prompt.seed, "sampling", prompt.brief.key, prompt.repeat, prompt.attempt).random(most)
                for prompt in rows
            ]
        )
        drawn = decode(self._model, encoded, draws, self._tokenizer.eos_token_id, TEMPERATURE, MIN_SHARE)
        completions = []
        for place in range(len(prompts)):
            tokens = drawn[place].tolist()
            length = tokens.index(self._tokenizer.eos_token_id) + 1 if self._tokenizer.eos_token_id in tokens else None
            text = self._tokenizer.decode(tokens[:length], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            completions.append(Completion(text, int(encoded["attention_mask"][place].sum()), length or len(tokens)))
        return completions

    def _prompt_length(self, scenario: ScenarioName) -> int:
        """Tokens of the longest prompt that the scenario's matrix can ask."""
        if scenario not in self._prompt_tokens:
            texts = [prompt_text(brief) for brief in scenario_of(scenario).matrix]
            self._prompt_tokens[scenario] = max(len(ids) for ids in self._tokenizer(texts)["input_ids"])
        return self._prompt_tokens[scenario]

    def _adapter_folders(self) -> list[Path]:
        """The folders a scenario in ``adapter_dir``, if it has such."""
        if self._adapter_dir is None or not self._adapter_dir.is_dir():
            return []
        return sorted(file.parent for file in self._adapter_dir.glob("*/adapter_config.json"))

    def _load(self, scenario: ScenarioName) -> None:
        """Load the base once and each adapter once, and make the scenario's adapter the active one."""
        os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers reads it: weights only ever come from local folders
        import torch
        import transformers

        cuda = torch.cuda.is_available()
        if self._model is None:
            transformers.utils.logging.disable_progress_bar()  # a bar for a load of milliseconds
            try:
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                    self._base_dir, local_files_only=True, padding_side="left"
                )
                self._model = transformers.AutoModelForCausalLM.from_pretrained(
                    self._base_dir, local_files_only=True, dtype=torch.bfloat16 if cuda else torch.float32
                ).eval()
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise ModelError(
                    f"SGF_PEFT_BASE {self._base_dir} cannot be loaded as a causal language model"
                    f" ({_first_line(error)}): name a complete transformers folder, or unset it to use sgf-mini"
                ) from error
            if self._tokenizer.pad_token_id is None:
                self._tokenizer.pad_token = self._tokenizer.eos_token
            self._model.to("cuda" if cuda else "cpu")
        if self._adapter_dir is None:
            return
        folder, adapter = self._adapter_dir, "all"
        if self._adapter_folders():
            folder, adapter = self._adapter_dir / scenario, str(scenario)
            _require(folder, "adapter_config.json", "SGF_PEFT_ADAPTER", f"a LoRA adapter for {scenario}")
        self._activate(folder, adapter)

    def _activate(self, folder: Path, adapter: str) -> None:
        import peft

        try:
            with warnings.catch_warnings():
                # peft only warns when weights do not fit the base
                warnings.filterwarnings("error", message=".*(missing|unexpected).* keys")
                warnings.simplefilter("ignore", FutureWarning)  # what peft calls of transformers is its own affair
                if not isinstance(self._model, peft.PeftModel):
                    self._model = peft.PeftModel.from_pretrained(
                        self._model, str(folder), adapter_name=adapter, local_files_only=True
                    ).eval()
                elif adapter not in self._model.peft_config:
                    loaded = self._model.load_adapter(str(folder), adapter_name=adapter, local_files_only=True)
                    missing = [key for key in loaded.missing_keys if f".{adapter}." in key]
                    if missing:
                        raise ValueError(f"{missing[0]} is missing")
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, UserWarning) as error:
            raise ModelError(
                f"SGF_PEFT_ADAPTER {folder} does not fit the base {self._base_dir} ({_first_line(error)}):"
                " name an adapter that was trained on that base"
            ) from error
        self._model.set_adapter(adapter)


def _require(folder: Path, file: str, variable: str, what: str) -> None:
    if not (folder / file).is_file():
        raise ModelError(
            f"{variable} {folder} is not the folder of {what}: {file} is missing; name a complete folder, or unset"
            f" {variable} to use the bundled sgf-mini"
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
