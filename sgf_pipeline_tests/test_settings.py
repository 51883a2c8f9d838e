"""Settings: against the documents that describe them, and what is refused."""

import base64
import re
from pathlib import Path

import pytest

from sgf_pipeline.definitions import build_definitions
from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.settings import RedisServer, Settings, read_settings, redis_server

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


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@h:abc/0", "redis://:hunter2@h:99999", "redis://:hunter2@h:0", "redis://:hunter2@[h",
        "redis://:hunter2@h/x", "redis://:hunter2@a,b", "redis://:hunter2@h?db=1", "http://:hunter2@h", "hunter2",
    ],
)  # fmt: skip
def test_a_malformed_redis_url_is_one_sentence_without_its_password(url, monkeypatch):
    """Guards against a ValueError's traceback, which would show the password too."""
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL is not of the form") as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)


def test_a_redis_url_is_read_whole():
    """Guards the password's special characters, and what is left out."""
    server = redis_server("rediss://me:p%40ss@host:1234/3")
    assert server == RedisServer("host", 1234, 3, "me", "p@ss", tls=True)
    assert "p@ss" not in repr(server)
    assert redis_server("redis://host") == RedisServer("host", 6379, 0, None, None, tls=False)


@pytest.mark.parametrize("servers", ["abc:xyz", "a b", "a:1,b:0", "a:1,", "a:99999", "me:hunter2@a:1", "SSL://a:1"])
def test_malformed_kafka_servers_are_one_sentence(servers, monkeypatch):
    """Guards against a ValueError's traceback, and against retries of what no retry mends."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    with pytest.raises(ConfigurationError, match=r"^KAFKA_BOOTSTRAP_SERVERS: address [12] of [12] is not") as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)


def test_sound_kafka_servers_are_taken(monkeypatch):
    """Guards against a check that refuses what the client takes."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka_1.internal:9092, 10.0.0.1:9093,[::1]:9092,broker-2")
    assert read_settings().kafka_bootstrap_servers.count(",") == 3


@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_documents_name_every_size_of_the_parquet_key(size, monkeypatch):
    """Guards against documents that forbid what the code takes."""
    monkeypatch.setenv("SGF_PARQUET_KEY", base64.b64encode(bytes(size)).decode())
    assert read_settings().parquet_key == bytes(size)
    for path in ("docs/configuration.md", ".env.example", "docs/lake.md"):
        assert "16, 24 or 32" in (ROOT / path).read_text(), path


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.org/token",
        "file:///etc/passwd",
        "https://",
        "http://h:abc/token",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://é.example/t",
    ],
)
def test_what_is_no_web_address_is_refused_and_a_webhook_never_shown(url, monkeypatch):
    """Guards against a notice that reads a file or goes nowhere, and against a webhook's token in an error."""
    monkeypatch.setenv("SGF_ALERT_WEBHOOK", url)
    with pytest.raises(ConfigurationError, match="SGF_ALERT_WEBHOOK is no web address") as caught:
        read_settings()
    assert url not in str(caught.value)
    monkeypatch.setenv("SGF_ALERT_WEBHOOK", "")
    monkeypatch.setenv("SGF_DAGSTER_URL", url)
    with pytest.raises(ConfigurationError, match="SGF_DAGSTER_URL") as caught:
        read_settings()
    assert url not in str(caught.value)


def test_the_address_that_people_are_shown_has_no_password(monkeypatch):
    """Guards against the proxy's password in a notice of a failed run."""
    monkeypatch.setenv("SGF_DAGSTER_URL", "https://viewer:hunter2@ui.example.org:8443/dagster/")
    settings = read_settings()
    assert settings.shown_dagster_url == "https://ui.example.org:8443/dagster"
    assert build_definitions(settings).resources["dagster_url"] == settings.shown_dagster_url


def test_nobody_else_reads_the_environment():
    """Guards the promise that settings.py is the only reader of SGF's variables."""
    readers = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "sgf_pipeline").rglob("*.py")
        if re.search(r"os\.(environ\.get|getenv)|os\.environ\[[^\]]+\](?!\s*=)", path.read_text())
    ]
    assert readers == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SGF_OIDC_AUDIENCE": ""}, "SGF_OIDC_AUDIENCE is not set"),
        ({"SGF_ID_SALT": ""}, "SGF_ID_SALT is not set"),
        ({"SGF_ID_SALT": "sgf-development-salt"}, "SGF_ID_SALT is not set"),
        ({"SGF_OIDC_ISSUER": ""}, "SGF_OIDC_ISSUER is not"),
        ({"SGF_OIDC_ISSUER": "http://issuer.example"}, "SGF_OIDC_ISSUER is no issuer"),
        ({"SGF_OIDC_ISSUER": "issuer.example"}, "SGF_OIDC_ISSUER is no issuer"),
        ({"SGF_OIDC_ISSUER": "https://me:hunter2@issuer.example"}, "SGF_OIDC_ISSUER is no issuer"),
        ({"SGF_OIDC_ISSUER": "https://issuer.example?realm=a"}, "SGF_OIDC_ISSUER is no issuer"),
        ({"SGF_OIDC_TYP": "id"}, "SGF_OIDC_TYP is not valid"),
        ({"SGF_API_RATE": "nan"}, "SGF_API_RATE is not valid"),
        ({"SGF_API_BURST": "0"}, "SGF_API_BURST is not valid"),
    ],
)
def test_half_an_issuer_is_refused(changes, says, monkeypatch):
    """Guards tokens made for others, keys over the open net, and identifiers that anybody can recompute."""
    sound = {"SGF_OIDC_ISSUER": "https://issuer.example/realms/sgf", "SGF_OIDC_AUDIENCE": "sgf", "SGF_ID_SALT": "mine"}
    for name, value in sound.items():
        monkeypatch.setenv(name, value)
    assert read_settings().sgf_oidc_issuer == sound["SGF_OIDC_ISSUER"]
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)
