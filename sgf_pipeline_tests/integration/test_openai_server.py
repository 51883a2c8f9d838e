"""The provider openai against a server and a model that are not ours to script: ``transformers serve``.

It holds the bundled model, one merged adapter a scenario, as a server with GPUs would hold a larger one; the model's
name holds ``{scenario}``. Proves that real servers take the requests and that their replies are understood.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sgf_pipeline.llm.backend import Prompt
from sgf_pipeline.llm.openai_backend import OpenAIBackend, Patience
from sgf_pipeline.llm.peft_backend import BUNDLED
from sgf_pipeline.llm.prices import read_prices
from sgf_pipeline.scenarios import scenario
from sgf_pipeline_tests.cli.test_generate import MONTH, command, environment

NAMES = ("card_testing", "phishing")
PLAIN = "{% for message in messages %}{{ message.content }}\n{% endfor %}"  # the bundled model knows no roles


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole model a scenario: base and adapter in one, as any server can hold it."""
    import peft
    import transformers

    warnings.simplefilter("ignore", FutureWarning)  # what peft and transformers call of each other is their own affair
    root = tmp_path_factory.mktemp("models")
    tokenizer = transformers.AutoTokenizer.from_pretrained(BUNDLED / "base")
    tokenizer.chat_template = PLAIN
    for name in NAMES:
        base = transformers.AutoModelForCausalLM.from_pretrained(BUNDLED / "base")
        model = peft.PeftModel.from_pretrained(base, str(BUNDLED / "adapters" / name)).merge_and_unload()
        model.generation_config.do_sample, model.generation_config.min_p = True, 0.2
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("server")
    program = shutil.which("transformers", path=str(Path(sys.executable).parent))
    assert program is not None
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"], cwd=home, stdout=log,
            stderr=log, env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).is_success:
                        break
                except httpx.TransportError:
                    time.sleep(0.2)
            else:
                pytest.fail((home / "log").read_text()[-2000:])
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def test_a_batch_by_a_model_that_another_server_holds(models: Path, server_url: str, tmp_path: Path) -> None:
    """Guards the layout of production: one request, an adapter a scenario elsewhere, no key."""
    options = [
        "generate", "--provider", "openai", "--model", f"{models}/{{scenario}}", "-c", "200", "-r", "0.2", *MONTH,
        "--scenarios", ",".join(NAMES), "--seed", "5", "--batch-id", "gen_served", "--json",
    ]  # fmt: skip
    variables = {"OPENAI_BASE_URL": server_url, "OPENAI_PROMPT": "brief", "OPENAI_TIMEOUT_SECONDS": "200"}
    done = subprocess.run(
        command(*options), cwd=tmp_path, env={**environment(tmp_path, tmp_path / "cache"), **variables},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["generated"], result["fraudulent"]) == (200, 40)
    assert result["model"]["calls"] >= 3
    assert result["model"]["input_tokens"] > 0
    assert result["model"]["output_tokens"] > 20 * result["model"]["calls"]


def test_a_real_server_takes_a_question_with_instructions(models: Path, server_url: str) -> None:
    """Guards the chat request as a whole: fields that a real server refuses, and a reply that is not understood.

    The bundled model cannot follow instructions, so only the way there and back is looked at.
    """
    model = OpenAIBackend(f"{models}/{{scenario}}", None, read_prices(), server_url, Patience(reply=200))
    ((place, completion),) = model.complete([Prompt(scenario("phishing").matrix[0], 0, 1, 3)])
    assert place == 0
    assert completion.input_tokens > 300
    assert completion.output_tokens > 0
