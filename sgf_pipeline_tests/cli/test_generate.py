"""``sgf generate`` as a user runs it: a process, its output, its exit code, and what lies on the disk."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

Sgf = Callable[..., subprocess.CompletedProcess[str]]
MONTH = ["--start-date", "2025-01-01T00:00:00Z", "--end-date", "2025-01-31T23:59:59Z"]


def environment(home: Path, case_cache: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "SGF_CACHE_DIR": str(case_cache),
        "SGF_STORAGE_URL": str(home / "data"),
    }


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "sgf_pipeline.cli.main", *options]


@pytest.fixture
def sgf(tmp_path: Path, case_cache: Path) -> Sgf:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*options), cwd=tmp_path, env=environment(tmp_path, case_cache), capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_json_is_one_line_with_the_promised_keys_and_the_dataset_can_be_read(sgf, tmp_path):
    """Guards the contract of scripts: exactly one JSON line on stdout, and an address that pandas can read."""
    done = sgf("generate", "-c", "300", "-r", "0.2", *MONTH, "--seed", "5", "--batch-id", "gen_cli", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert {name: result[name] for name in ("batch_id", "generated", "fraudulent", "legit", "seed")} == {
        "batch_id": "gen_cli",
        "generated": 300,
        "fraudulent": 60,
        "legit": 240,
        "seed": 5,
    }
    assert result["latency_ms"] > 0
    assert set(result["model"]) >= {
        "provider", "name", "calls", "cache_hits", "input_tokens", "output_tokens", "cost_usd",
    }  # fmt: skip
    assert result["model"]["name"] == "sgf-mini"
    assert "gen_cli" in done.stderr
    assert "seed 5" in done.stderr
    rows = pd.read_parquet(result["s3_uri"])
    assert (len(rows), int(rows["is_fraud"].sum())) == (300, 60)
    request = json.loads((tmp_path / "data" / "requests" / "gen_cli.json").read_text())
    assert request["content"]["seed"] == 5
    # the same name with other content is refused and changes nothing
    before = files(tmp_path / "data")
    other = sgf("generate", "-c", "301", "-r", "0.2", *MONTH, "--seed", "5", "--batch-id", "gen_cli")
    assert other.returncode == 2
    assert "count is 300 there and 301 here" in other.stderr
    assert "Traceback" not in other.stderr
    assert files(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fraud-ratio", "1.5"], ["fraud_ratio", "1.5"]),
        (["--count", "0"], ["count", "0"]),
        (["--count", "many"], ["count", "many"]),
        (["--scenarios", "card_testing,robbery"], ["robbery", "card_testing"]),
        (["--currency", "ABC"], ["ABC", "EUR"]),
        (["--countries", "FR,XX"], ["XX"]),
        (["--countries", "fr"], ["fr", "capitals"]),
        (["--end-date", "9999-12-31T23:59:59-05:00"], ["9999"]),
        (["--start-date", "2025-02-01", "--end-date", "2025-01-01"], ["end_date", "later than"]),
        (["--batch-id", "Not-Valid"], ["batch_id", "Not-Valid"]),
        (["--tenant", "a b"], ["tenant", "a b"]),
        (["--seed", "-3"], ["seed", "-3"]),
        (["--storage-url", "a_file"], ["a_file", "SGF_STORAGE_URL"]),
        (["--storage-url", "ftp://host/x"], ["SGF_STORAGE_URL", "ftp"]),
        (["--storage-url", "s3://bucket/x"], ["SGF_ID_SALT"]),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_nothing_written(sgf, tmp_path, options, words):
    """Guards against tracebacks, half-registered batches, and failures after the model has run."""
    (tmp_path / "a_file").write_text("no folder")
    done = sgf("generate", *options)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert files(tmp_path) == {"a_file": b"no folder"}


def test_killed_in_the_middle_and_started_again_gives_the_same_bytes(sgf, tmp_path, case_cache):
    """Guards against kill -9, and against answers of the model that differ from process to process.

    No half file counts as whole, and the second start ends like an undisturbed run with a model and cache of its own.
    """
    options = [
        "generate", "-c", "3000", "-r", "0.1", "--scenarios", "card_testing,money_laundering", *MONTH, "--seed", "6",
        "--batch-id", "gen_killed", "--json",
    ]  # fmt: skip
    first = subprocess.Popen(
        command(*options), cwd=tmp_path, env=environment(tmp_path, case_cache), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    marker = tmp_path / "data" / "assets" / "clean_transactions" / "gen_killed" / "card_testing.parquet"
    deadline = time.monotonic() + 120
    while not marker.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert not list((tmp_path / "data").rglob("_manifest.json"))
    again = sgf(*options)
    assert again.returncode == 0, again.stderr
    undisturbed = subprocess.run(
        command(*options, "--storage-url", str(tmp_path / "other")), cwd=tmp_path, capture_output=True, text=True,
        env={**environment(tmp_path, tmp_path / "own_cache"), "OMP_NUM_THREADS": "1"}, timeout=240, check=False,
    )  # fmt: skip
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert json.loads(undisturbed.stdout)["model"]["cache_hits"] == 0

    def shards(folder: str) -> dict[str, bytes]:
        return {path: content for path, content in files(tmp_path / folder / "datasets").items() if "shard=" in path}

    assert len(shards("data")) == 4  # rows and features of two shards
    assert shards("data") == shards("other")
    assert not [path for path in (tmp_path / "data" / ".tmp").rglob("*") if path.is_file()]
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        statuses = {run.status for run in instance.get_runs()}
    assert statuses == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}


def test_on_a_terminal_without_options_it_asks_field_by_field(tmp_path, case_cache):
    """Guards the first try of a newcomer: questions with defaults, then a batch."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("generate"), cwd=tmp_path, env=environment(tmp_path, case_cache), stdin=theirs, stdout=theirs,
        stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    answers = {
        "Transactions": "200",
        "Share of frauds": "0.5",
        "Scenarios": "card_testing",
        "Currency": "",
        "Countries": "DE",
        "First moment": "2025-03-01",
        "Last moment": "2025-03-31",
        "Seed": "11",
    }
    seen = ""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            seen += os.read(ours, 4096).decode(errors="replace")
        except OSError:  # the other side is closed: the process has ended
            break
        last_line = seen.rsplit("\n", 1)[-1]
        for question in [name for name in answers if f"{name} [" in last_line and "]:" in last_line]:
            os.write(ours, (answers.pop(question) + "\n").encode())
    assert process.wait(timeout=10) == 0, seen
    assert answers == {}
    assert "200 transactions, 100 fraudulent" in seen
    assert "seed 11" in seen


def test_help_loads_nothing_heavy():
    """Guards the half second in which help must answer: no Dagster, no pandas, no torch behind it."""
    script = (
        "import sys\nfrom sgf_pipeline.cli.main import app\n"
        "print([name for name in ('dagster', 'pandas', 'torch', 'pyarrow', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
