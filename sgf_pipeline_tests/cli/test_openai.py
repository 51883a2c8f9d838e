"""``sgf generate --provider openai`` as a user runs it, against a real socket: bad days, caps, quotes, secrets."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sgf_pipeline.cli.main import main
from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.cli.test_generate import MONTH, command, environment, files
from sgf_pipeline_tests.llm.chat_server import INPUT_TOKENS, KEY, OUTPUT_TOKENS, REFUSAL, Question, Say, Script, serving

BATCH = [
    "generate", "--provider", "openai", "-c", "1500", "-r", "0.3", "--scenarios", "card_testing,phishing", *MONTH,
    "--seed", "5", "--batch-id", "gen_paid",
]  # fmt: skip
ANSWER_USD = (INPUT_TOKENS * 0.15 + OUTPUT_TOKENS * 0.60) / 1e6  # gpt-4o-mini


def sgf(home: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options), cwd=home, env={**environment(home, home / "cache"), **variables}, capture_output=True,
        text=True, timeout=240, check=False,
    )  # fmt: skip


def shards(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in files(folder / "datasets").items() if "part-" in path}


@dataclass(frozen=True)
class Calm:
    """A batch built on a good day, with exactly the money that was quoted for it."""

    home: Path
    quote: dict[str, Any]
    calls: int
    output: str


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    home = tmp_path_factory.mktemp("calm")
    quoted = sgf(home, *BATCH, "--quote", "--json")
    assert quoted.returncode == 0, quoted.stderr
    assert files(home) == {}  # no key, no server, no file
    quote = json.loads(quoted.stdout)
    with serving() as server:
        cap = str(quote["in_all"]["cost_usd"])
        done = sgf(home, *BATCH, "--max-cost-usd", cap, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
        assert done.returncode == 0, done.stderr
        return Calm(home, quote, len(server.questions), done.stdout)


def bad_days() -> Script:
    """One bad day of each kind, one after the other, whenever cells are asked for the first time."""
    days: list[Callable[[Question], Say]] = [
        lambda question: Say(429, "rate_limit_exceeded", {"Retry-After": "0.3"}),
        lambda question: Say(cut=True),
        lambda question: Say(500),
        lambda question: Say(refusal=REFUSAL),
        lambda question: Say(content=json.dumps({"cases": question.cases})[:-50], finish="length"),
        lambda question: Say(content="no"),
        lambda question: Say(content=json.dumps({"cases": question.cases[1:]})),
        lambda question: Say(raw=b"<html>"),
    ]

    def script(question: Question) -> Say | None:
        is_first = not question.before and "variation" not in question.text
        return days.pop(0)(question) if days and is_first else None

    return script


def test_a_quote_used_as_a_cap_is_enough(calm: Calm) -> None:
    """Guards the quote and the cap's division: whoever allows what was quoted gets his batch, and sees what it cost."""
    assert set(calm.quote["scenarios"]) == {"card_testing", "phishing"}
    in_all = calm.quote["in_all"]
    assert in_all["cost_usd"] == pytest.approx(sum(one["cost_usd"] for one in calm.quote["scenarios"].values()))
    assert in_all["calls"] == calm.calls
    cost = calm.calls * ANSWER_USD
    assert cost < in_all["cost_usd"]
    assert f"model gpt-4o-mini: {calm.calls} calls, 0 answers from the cache, {cost:.4f} USD" in calm.output
    with dg.DagsterInstance.from_config(str(calm.home / "dagster")) as instance:
        request = shown(instance, "generation_request")
        shard = shown(instance, "fraud_cases")
    assert (request["quoted_calls"], request["quoted_usd"]) == (calm.calls, pytest.approx(in_all["cost_usd"], abs=1e-6))
    of_phishing = calm.quote["scenarios"]["phishing"]  # the shard that was built last
    assert [shard["quoted_usd"], shard["max_cost_usd"]] == pytest.approx([of_phishing["cost_usd"]] * 2, abs=1e-6)
    assert shard["cost_usd"] == pytest.approx(of_phishing["calls"] * ANSWER_USD)
    assert shard["rejected_answers"] == 0


def shown(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    return {name: value.value for name, value in materialization.metadata.items()}


def test_the_launchpad_refuses_a_provider_without_its_key(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    """Guards the other door: nothing is registered there either that no shard could build."""
    settings = make_settings()
    instance.add_dynamic_partitions("batch_id", ["gen_no_key"])
    job = build_definitions(settings).resolve_job_def("register_batch")
    config = {"register_new": True, "provider": "openai", "scenarios": ["phishing"]}
    result = job.execute_in_process(
        partition_key="gen_no_key", instance=instance, raise_on_error=False,
        run_config={"ops": {"generation_request": {"config": config}}},
    )  # fmt: skip
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "OPENAI_API_KEY is not set" in str(failure.user_failure_data.description)
    assert not list(Path(settings.sgf_storage_url).rglob("gen_no_key*"))


def test_a_batch_with_every_bad_day_is_that_of_a_good_one_and_nobody_hears_a_secret(calm: Calm, tmp_path: Path) -> None:
    """Guards the whole way: the same bytes as without bad days, money counted, and no secret where people look."""
    with serving(bad_days()) as server:
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "OPENAI_LOG": "debug"}
        done = sgf(tmp_path, *BATCH, "--json", **variables)
        assert done.returncode == 0, done.stderr
        paid = sum(server.answered.values())
        assert calm.calls >= 8  # a bad day each
        assert sorted(server.answered.values())[-2:] == [1, 2]  # twice: the line that was cut
        model = json.loads(done.stdout)["model"]
        assert paid * ANSWER_USD <= model["cost_usd"] < 2 * paid * ANSWER_USD
        again = sgf(tmp_path, *BATCH, "--json", **variables)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["model"]["calls"] == 0
        assert sum(server.answered.values()) == paid
    assert shards(tmp_path / "data") == shards(calm.home / "data")
    manifest = next((tmp_path / "data").rglob("_manifest.json")).read_text()
    models = [shard["model"] for shard in json.loads(manifest)["shards"].values()]
    assert {(one["provider"], one["model"]) for one in models} == {("openai", "gpt-4o-mini")}
    assert sum(one["cost_usd"] for one in models) == pytest.approx(model["cost_usd"])

    heard = done.stdout + done.stderr + again.stdout + again.stderr + _everything_told(tmp_path / "dagster")
    kept = b"".join(content for path, content in files(tmp_path).items() if not path.startswith("cache"))
    for secret in (KEY, "fraud cases: short plans", "Write 4 cases", REFUSAL, *(one.text for one in server.questions)):
        assert secret not in heard
        assert secret.encode() not in kept
    for question in server.questions:
        for case in question.cases:
            assert json.dumps(case, separators=(",", ":")) not in heard
            assert case["story"] not in heard


def _everything_told(home: Path) -> str:
    """All texts of Dagster's databases (events, errors, tags, run configurations) and logs."""
    found: list[str] = []
    for path in sorted(home.rglob("*")):
        if path.suffix != ".db":
            found += [path.read_text(errors="replace")] if path.is_file() else []
            continue
        with sqlite3.connect(path) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    found += [_text(value) for value in row]
    return "\n".join(found)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        with contextlib.suppress(zlib.error):  # run bodies may be packed
            value = zlib.decompress(value)
        return value.decode(errors="replace")
    return str(value)


def test_a_wrong_key_is_one_sentence_that_does_not_show_it(tmp_path: Path) -> None:
    """Guards the error's way through Dagster: causes and contexts are stored with it."""
    with serving(lambda question: Say(401, "invalid_api_key")) as server:
        done = sgf(tmp_path, *BATCH, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("sgf: model gpt-4o-mini at 127.0.0.1")
    assert "does not accept the key (401, invalid_api_key)" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(server.questions) <= 8  # the first shard's calls, and no retry
    for where in (done.stderr, _everything_told(tmp_path / "dagster")):
        assert KEY not in where
        assert "You asked" not in where


@pytest.mark.parametrize(
    ("options", "variables", "words"),
    [
        ([], {}, ["OPENAI_API_KEY is not set", "OPENAI_BASE_URL"]),
        (["--max-cost-usd", "0.001"], {"OPENAI_API_KEY": ""}, ["OPENAI_API_KEY is not set"]),
        ([], {"OPENAI_API_KEY": " "}, ["OPENAI_API_KEY is not set"]),
        ([], {"OPENAI_API_KEY": "sk a"}, ["OPENAI_API_KEY is no key"]),
        (["--model", "own", "--max-cost-usd", "1"], {"OPENAI_API_KEY": KEY}, ["max_cost_usd 1", "'own'", "SGF_PRICES"]),
        (["--max-cost-usd", "dear"], {"OPENAI_API_KEY": KEY}, ["max_cost_usd", "dear"]),
        (["--max-cost-usd", "-1"], {"OPENAI_API_KEY": KEY}, ["max_cost_usd", "-1"]),
        (["--provider", "anthropic"], {}, ["provider", "anthropic"]),
        (["--provider", "peft", "--model", "x"], {}, ["model 'x'", "SGF_PEFT_BASE"]),
        ([], {"OPENAI_BASE_URL": "http://me:hunter2@h/v1"}, ["OPENAI_BASE_URL is no server's address"]),
        ([], {"OPENAI_API_KEY": KEY, "SGF_PRICES": "none.json"}, ["SGF_PRICES 'none.json' cannot be read"]),
        ([], {"OPENAI_API_KEY": KEY, "SGF_PRICES": "odd.json"}, ["SGF_PRICES 'odd.json'", "models.m.input"]),
    ],
)
def test_what_is_missing_is_said_before_anything_is_registered(
    options: list[str],
    variables: dict[str, str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Guards the door: one sentence, exit code 2, nothing written, no secret shown."""
    (tmp_path / "odd.json").write_text('{"models": {"m": {"input": -1, "output": 2}}}')
    monkeypatch.chdir(tmp_path)
    for name, value in {**environment(tmp_path, tmp_path / "cache"), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["sgf", *BATCH, *options])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err
    for secret in (KEY, "hunter2", "sk a"):
        assert secret not in said.err
    assert not (tmp_path / "data").exists()


def test_a_cap_that_is_too_low_ends_the_run_before_anything_is_paid(tmp_path: Path) -> None:
    """Guards the cap's way from the option to the shard."""
    with serving() as server:
        done = sgf(tmp_path, *BATCH, "--max-cost-usd", "0.001", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert done.returncode == 3
    assert "max_cost_usd 0.000" in done.stderr.splitlines()[-1]
    assert not server.questions


def test_a_model_without_a_price_costs_nothing_and_that_is_said(tmp_path: Path) -> None:
    """Guards against a silent 0, and the way to name a price of one's own."""
    with serving() as server:
        options = [*BATCH, "-c", "100", "--scenarios", "card_testing", "--model", "fraud-{scenario}", "--json"]
        done = sgf(tmp_path, *options, OPENAI_BASE_URL=server.url)
        assert done.returncode == 0, done.stderr
        assert "no price of model fraud-card_testing is known" in done.stderr
        assert json.loads(done.stdout)["model"]["cost_usd"] == 0
        assert {question.body["model"] for question in server.questions} == {"fraud-card_testing"}
        (tmp_path / "prices.json").write_text('{"models": {"fraud-card_testing": {"input": 1, "output": 2}}}')
        quote = sgf(tmp_path, *options, "--quote", SGF_PRICES="prices.json")
        assert "no price" not in quote.stderr
        assert json.loads(quote.stdout)["in_all"]["cost_usd"] > 0
