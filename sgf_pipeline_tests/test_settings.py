"""Settings against the documents that describe them."""

import re
from pathlib import Path

import pytest

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.settings import Settings, read_settings

ROOT = Path(__file__).parent.parent


def test_every_setting_is_documented_and_every_documented_one_exists():
    """Guards against a variable nobody can find, or one in the documents that does nothing."""
    names = {name.upper() for name in Settings.model_fields}
    table = re.findall(r"^\| `([A-Z0-9_]+)`", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    example = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(table) == names
    assert set(example) == names


def test_shared_storage_needs_a_salt_of_ones_own(monkeypatch):
    """Guards against publishing identifiers that anybody can recompute."""
    monkeypatch.setenv("SGF_STORAGE_URL", "s3://bucket/prefix")
    with pytest.raises(ConfigurationError, match="SGF_ID_SALT"):
        read_settings()
    monkeypatch.setenv("SGF_ID_SALT", "mine")
    settings = read_settings()
    assert settings.storage_url == "s3://bucket/prefix"
    assert "mine" not in repr(settings)


def test_nobody_else_reads_the_environment():
    """Guards the promise that settings.py is the only reader of SGF's variables."""
    readers = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "sgf_pipeline").rglob("*.py")
        if re.search(r"os\.(environ\.get|getenv)|os\.environ\[[^\]]+\](?!\s*=)", path.read_text())
    ]
    assert readers == []
