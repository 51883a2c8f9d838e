"""The cache of answers: what its keys tell apart, and what happens to entries that a crash left behind."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.cache import DiskCaseCache, cache_key
from sgf_pipeline.scenarios import scenario
from sgf_pipeline_tests.llm.scripted import ScriptedBackend

MATRIX = scenario("card_testing").matrix
PROMPT = Prompt(MATRIX[0], 0, 1, 7)


def test_everything_an_answer_depends_on_is_in_its_key() -> None:
    """Guards against serving one model's, seed's or attempt's answer for another's."""
    backend = ScriptedBackend(lambda prompt: "")
    keys = [cache_key(backend, PROMPT)]
    for change in ({"brief": MATRIX[1]}, {"repeat": 1}, {"attempt": 2}, {"seed": 8}):
        keys.append(cache_key(backend, replace(PROMPT, **change)))
    for name in ("fingerprint", "sampling", "provider"):
        other = ScriptedBackend(lambda prompt: "")
        setattr(other, name, "other")
        keys.append(cache_key(other, PROMPT))
    assert len(set(keys)) == len(keys)


def test_an_answer_survives_the_process(tmp_path: Path) -> None:
    """Guards against a cache that only lives in memory."""
    first = DiskCaseCache(tmp_path)
    first.set("key", Completion("{}", 5, 40, 0.5))
    first.close()
    assert DiskCaseCache(tmp_path).get("key") == Completion("{}", 5, 40, 0.5)
    assert DiskCaseCache(tmp_path).get("other") is None


@pytest.mark.parametrize("damage", [b"", b"\x00garbage", b"x\x9c\xab\x56\x02\x00"])
def test_a_corrupt_entry_counts_as_absent(damage: bytes, tmp_path: Path) -> None:
    """Guards against a run that dies, or believes half an answer, after an earlier one was killed while writing."""
    cache = DiskCaseCache(tmp_path)
    cache.set("key", Completion("{}", 5, 40))
    cache.close()
    with sqlite3.connect(tmp_path / "cache.db") as database:
        changed = database.execute("UPDATE Cache SET value = ?", (damage,))
        assert changed.rowcount == 1
    again = DiskCaseCache(tmp_path)
    assert again.get("key") is None
    again.set("key", Completion("[]", 1, 2))
    assert again.get("key") == Completion("[]", 1, 2)


def test_an_entry_of_another_shape_counts_as_absent(tmp_path: Path) -> None:
    """Guards against trusting an entry that another version wrote."""
    import diskcache

    with diskcache.Cache(str(tmp_path), disk=diskcache.JSONDisk) as raw:
        raw.set("short", ["{}", 5])
        raw.set("numbers", ["{}", "5", "40", 0.0])
        raw.set("dict", {"text": "{}"})
    cache = DiskCaseCache(tmp_path)
    assert [cache.get(key) for key in ("short", "numbers", "dict")] == [None, None, None]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    """Guards against a database error's traceback when the cache is no folder or no database."""
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(ConfigurationError, match=r"case cache .*file"):
        DiskCaseCache(file)
    (tmp_path / "cache.db").write_text("not a database, but long enough to be read as one" * 50)
    with pytest.raises(ConfigurationError, match="delete the folder"):
        DiskCaseCache(tmp_path)
