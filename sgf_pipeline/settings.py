"""The only reader of SGF's environment variables.

Belongs here: names, defaults and checks of settings. Nothing else in the package reads ``os.environ``; every part
gets what it needs as an argument or from a Dagster resource that ``definitions`` builds from these settings.
"""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sgf_pipeline.domain.errors import ConfigurationError

# Public on purpose: it makes a laptop's batches reproducible. Anyone can recompute identifiers made with it.
DEVELOPMENT_SALT = "sgf-development-salt"

_HOST = r"[A-Za-z0-9._-]+"
_KAFKA_SERVER = re.compile(rf"({_HOST}|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{{1,5}}))?")


@dataclass(frozen=True)
class RedisServer:
    """What ``REDIS_URL`` says."""

    host: str
    port: int
    database: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool


class Settings(BaseSettings):
    """Environment variables (upper case), or the same names in a ``.env`` file in the current folder."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    sgf_storage_url: str = Field(default="sgf_data", description="folder or s3://bucket/prefix of all files")
    dagster_home: Path = Field(default=Path(".dagster_home"), description="Dagster's instance")
    sgf_dagster_url: str = Field(default="http://127.0.0.1:3000", description="Dagster's webserver, for launches")
    sgf_tenants: Path | None = Field(default=None, description="YAML of the tenants that get a batch every night")
    sgf_alert_webhook: SecretStr | None = Field(
        default=None, description="URL that a failed run is posted to; only the log is told when unset"
    )
    sgf_id_salt: SecretStr = Field(default=SecretStr(DEVELOPMENT_SALT), description="key of all identifiers")
    sgf_cache_dir: Path = Field(default=Path(".sgf_cache"), description="the model's answers, kept between runs")
    sgf_peft_base: str | None = Field(default=None, description="folder of a causal LM; the bundled one by default")
    sgf_peft_adapter: str | None = Field(default=None, description="folder of LoRA adapters, one subfolder a scenario")
    openai_api_key: SecretStr | None = Field(default=None, description="key of the provider openai")
    openai_model: str = Field(default="gpt-4o-mini", min_length=1, description="its model, unless a request names one")
    openai_base_url: str | None = Field(default=None, description="another server that speaks OpenAI's chat API")
    openai_prompt: Literal["instructions", "brief"] = Field(
        default="instructions", description="how its model is asked: brief is for one that SGF trained"
    )
    openai_timeout_seconds: float = Field(
        default=120.0, gt=0, le=3600, description="how long one answer of several cases may take"
    )
    sgf_prices: Path | None = Field(default=None, description="JSON of models' prices, instead of those shipped")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/name or sqlite:///path of the warehouse"
    )
    database_patience_seconds: float = Field(
        default=120.0, gt=0, description="how long a warehouse may make no progress before it is given up"
    )
    supabase_url: str | None = Field(
        default=None, description="https://<project>.supabase.co: the warehouse by REST where DATABASE_URL is not set"
    )
    supabase_service_key: SecretStr | None = Field(
        default=None, description="the project's service_role (secret) key, which passes row-level security"
    )
    kafka_bootstrap_servers: str = Field(default="", description="host:port, with commas between; no stream when empty")
    kafka_topic: str = Field(default="sgf.transactions.v1", description="topic of the transactions")
    kafka_labels_topic: str = Field(default="sgf.labels.v1", description="topic of the labels")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how to speak with the broker"
    )
    kafka_sasl_mechanism: str | None = Field(default=None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_sasl_username: str | None = Field(default=None, description="for SASL")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="for SASL")
    kafka_ssl_cafile: str | None = Field(default=None, description="certificates to trust, PEM")
    kafka_ssl_certfile: str | None = Field(default=None, description="our certificate, PEM, for mutual TLS")
    kafka_ssl_keyfile: str | None = Field(default=None, description="its key, PEM")
    sgf_feature_repositories: Path = Field(default=Path("sgf_features"), description="Feast repositories, one a batch")
    sgf_feast_python: Path = Field(default=Path(".venv-feast/bin/python"), description="Python of Feast's environment")
    redis_url: SecretStr | None = Field(default=None, description="Redis as the online feature store; SQLite if unset")
    s3_endpoint_url: str | None = Field(default=None, description="for MinIO, SeaweedFS and other S3 servers")
    s3_sse: Literal["AES256", "aws:kms", "off"] = Field(
        default="AES256", description="encryption that the server must give every object; off where it cannot"
    )
    s3_sse_kms_key_id: str | None = Field(default=None, description="key for aws:kms; the bucket's own by default")
    s3_object_lock_days: int = Field(default=0, ge=0, description="days that datasets and manifests stay undeletable")
    s3_object_lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = Field(
        default="COMPLIANCE", description="whether nobody, or hardly anybody, can end an object lock early"
    )
    sgf_parquet_key: SecretStr | None = Field(
        default=None, description="16, 24 or 32 bytes in base64: Parquet files are encrypted with it (AES-GCM)"
    )
    sgf_oidc_issuer: str | None = Field(default=None, description="https:// URL of who signs the REST API's tokens")
    sgf_oidc_audience: str | None = Field(default=None, description="what their aud must hold: this API's name there")
    sgf_oidc_tenant_claim: str = Field(default="sgf_tenant", min_length=1, description="claim that holds the tenant")
    sgf_oidc_typ: Literal["at+jwt", "JWT"] = Field(
        default="at+jwt", description="typ of access tokens; JWT for issuers that do not follow RFC 9068"
    )
    sgf_api_rate: float = Field(default=20.0, ge=0, le=1e6, description="requests a second of one caller; 0: no limit")
    sgf_api_burst: int = Field(default=50, ge=1, le=1_000_000, description="requests that may come at once")
    sgf_api_body_bytes: int = Field(default=1_048_576, ge=1024, description="longest body of a request")
    sgf_api_body_seconds: float = Field(default=10.0, gt=0, le=3600, description="time that a body may take to arrive")

    @field_validator("sgf_tenants", "sgf_prices", mode="before")
    @classmethod
    def _no_file_when_empty(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value  # an empty path is the current folder

    @property
    def storage_url(self) -> str:
        """Where files lie: an absolute path, or the s3:// URL as given."""
        url = self.sgf_storage_url
        if url.startswith("file://"):
            url = unquote(url.removeprefix("file://"))
        if "://" in url:
            return url.rstrip("/")
        return str(Path(url).expanduser().resolve())

    @property
    def supabase(self) -> tuple[str, str] | None:
        """URL and key of the project whose REST door is the warehouse; None where ``DATABASE_URL`` names it."""
        key = "" if self.supabase_service_key is None else self.supabase_service_key.get_secret_value().strip()
        if (self.database_url is not None and self.database_url.get_secret_value()) or not (self.supabase_url or key):
            return None
        if not self.supabase_url or not key:
            missing = "SUPABASE_SERVICE_KEY" if self.supabase_url else "SUPABASE_URL"
            raise ConfigurationError(f"{missing} is not set: Supabase needs SUPABASE_URL and SUPABASE_SERVICE_KEY")
        return self.supabase_url, key

    @property
    def warehouse_url(self) -> str:
        """``DATABASE_URL``, or a SQLite file beside ``DAGSTER_HOME``."""
        if self.database_url is not None and self.database_url.get_secret_value():
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.dagster_home.expanduser().resolve().parent / 'sgf_warehouse.sqlite'}"

    @property
    def parquet_key(self) -> bytes | None:
        """The bytes of ``SGF_PARQUET_KEY``. Raises ``ConfigurationError``, which does not show it."""
        if self.sgf_parquet_key is None or not self.sgf_parquet_key.get_secret_value():
            return None
        try:
            key = base64.b64decode(self.sgf_parquet_key.get_secret_value(), validate=True)
        except ValueError:
            key = b""
        if len(key) not in (16, 24, 32):
            raise ConfigurationError(
                "SGF_PARQUET_KEY is not 16, 24 or 32 bytes in base64: make one with openssl rand -base64 32"
            )
        return key

    @property
    def openai_key(self) -> str | None:
        """``OPENAI_API_KEY``. Raises ``ConfigurationError``, which does not show it, where no header can hold it."""
        key = "" if self.openai_api_key is None else self.openai_api_key.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]*", key):
            raise ConfigurationError("OPENAI_API_KEY is no key: it has spaces or letters that no key has")
        return key or None

    @property
    def shown_dagster_url(self) -> str:
        """``SGF_DAGSTER_URL`` for people: without the name and password that a proxy may want."""
        parts = urlsplit(self.sgf_dagster_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")

    @property
    def alert_webhook(self) -> str | None:
        """Where failed runs are told. Raises ``ConfigurationError``, which does not show it, where it is no URL."""
        url = "" if self.sgf_alert_webhook is None else self.sgf_alert_webhook.get_secret_value()
        if url and (not _is_web_address(url) or "@" in urlsplit(url).netloc):
            raise ConfigurationError("SGF_ALERT_WEBHOOK is no web address: use http(s)://host/path, without a password")
        return url or None

    @property
    def kafka_security(self) -> dict[str, Any]:
        """kafka-python's options for TLS and SASL; only those that are set."""
        password = self.kafka_sasl_password
        options = {
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
            "ssl_cafile": self.kafka_ssl_cafile,
            "ssl_certfile": self.kafka_ssl_certfile,
            "ssl_keyfile": self.kafka_ssl_keyfile,
        }
        return {name: value for name, value in options.items() if value is not None}

    def check(self) -> "Settings":
        """Raise ``ConfigurationError`` where settings contradict one another; return self."""
        scheme = self.storage_url.split("://")[0] if "://" in self.storage_url else ""
        if scheme not in ("", "s3"):
            raise ConfigurationError(
                f"SGF_STORAGE_URL {self.sgf_storage_url!r} is not supported: use a folder or s3://bucket/prefix"
            )
        if scheme == "s3" and self.sgf_id_salt.get_secret_value() == DEVELOPMENT_SALT:
            raise ConfigurationError(
                "SGF_ID_SALT is not set, but SGF_STORAGE_URL is shared storage: set SGF_ID_SALT to a secret of your own"
            )
        self._check_oidc()
        if self.s3_endpoint_url and not self.s3_endpoint_url.startswith(("http://", "https://")):
            raise ConfigurationError(f"S3_ENDPOINT_URL {self.s3_endpoint_url!r} is no address: use http(s)://host:port")
        if not _is_web_address(self.sgf_dagster_url):
            raise ConfigurationError("SGF_DAGSTER_URL is no address: use http(s)://host:port")  # it may hold a password
        url = self.openai_base_url
        if url and (not _is_web_address(url) or "@" in urlsplit(url).netloc or urlsplit(url).query):
            raise ConfigurationError(
                "OPENAI_BASE_URL is no server's address: use http(s)://host:port/v1, without a password or query"
            )
        _ = self.openai_key  # raises where it is none
        _ = self.alert_webhook  # raises where it is none
        _ = self.parquet_key  # raises where it is none
        _ = self.supabase  # raises where only half of it is set
        if self.redis_url is not None and self.redis_url.get_secret_value():
            redis_server(self.redis_url.get_secret_value())
        self._check_kafka()
        return self

    def _check_oidc(self) -> None:
        issuer, audience = self.sgf_oidc_issuer, self.sgf_oidc_audience
        if not issuer:
            if audience:
                raise ConfigurationError("SGF_OIDC_AUDIENCE is set, but SGF_OIDC_ISSUER is not: set both or neither")
            return
        parts = urlsplit(issuer) if _is_web_address(issuer) else urlsplit("")
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if (parts.scheme != "https" and not local) or "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigurationError(
                "SGF_OIDC_ISSUER is no issuer: use its https:// URL exactly as its discovery document says, without a"
                " password, query or fragment (http:// for one on this machine)"
            )
        if not audience:
            raise ConfigurationError(
                "SGF_OIDC_AUDIENCE is not set, but SGF_OIDC_ISSUER is: without it tokens made for others would be taken"
            )
        if self.sgf_id_salt.get_secret_value() in ("", DEVELOPMENT_SALT):
            raise ConfigurationError(
                "SGF_ID_SALT is not set, but SGF_OIDC_ISSUER serves strangers: set SGF_ID_SALT to a secret of your own"
            )

    def _check_kafka(self) -> None:
        servers = self.kafka_bootstrap_servers.split(",") if self.kafka_bootstrap_servers else []
        for place, server in enumerate(servers, start=1):
            found = _KAFKA_SERVER.fullmatch(server.strip())
            if not found or not _is_port(found["port"] or "9092"):
                # The value may hold a password, put there by mistake: it is not repeated.
                raise ConfigurationError(
                    f"KAFKA_BOOTSTRAP_SERVERS: address {place} of {len(servers)} is not of the form host:port: name"
                    " each broker so, with commas between"
                )
        login = {name: getattr(self, name) for name in ("kafka_sasl_mechanism", "kafka_sasl_username",
                                                        "kafka_sasl_password")}  # fmt: skip
        protocol = self.kafka_security_protocol
        if protocol.startswith("SASL"):
            for name, value in login.items():
                if not value:
                    raise ConfigurationError(
                        f"{name.upper()} is not set, but KAFKA_SECURITY_PROTOCOL is {protocol}: set it, or use"
                        f" {'SSL' if protocol == 'SASL_SSL' else 'PLAINTEXT'}"
                    )
        elif self.kafka_sasl_password is not None:
            raise ConfigurationError(
                f"KAFKA_SASL_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL is {protocol}, which sends none:"
                " set KAFKA_SECURITY_PROTOCOL to SASL_SSL"
            )


def redis_server(url: str) -> RedisServer:
    """The parts of a ``REDIS_URL``. Raises ``ConfigurationError``, which does not show it: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = 6379 if parts.port is None else parts.port
    except ValueError:  # a port that is no number, or a bracket in the password
        parts, port = urlsplit(""), 0
    database = parts.path.strip("/") or "0"
    sound = parts.scheme in ("redis", "rediss") and re.fullmatch(_HOST, parts.hostname or "") and port
    if not sound or not re.fullmatch(r"[0-9]{1,9}", database) or parts.query or parts.fragment:
        raise ConfigurationError(
            "REDIS_URL is not of the form redis://user:password@host:6379/0 (rediss:// for TLS): correct it, and write"
            " special characters of the password as %XX"
        )
    return RedisServer(
        host=str(parts.hostname), port=port, database=int(database), tls=parts.scheme == "rediss",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )  # fmt: skip


def _is_web_address(text: str) -> bool:
    if not re.fullmatch(r"[!-~]+", text):  # a space or line break would be dropped in silence, or sent as a header
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none, half an IPv6 address
        return False


def _is_port(text: str) -> bool:
    return 0 < int(text) < 65536


def read_settings(**overrides: str) -> Settings:
    """Settings from the environment, with overrides given on a command line. Raises ``ConfigurationError``."""
    try:
        return Settings.model_validate({**Settings().model_dump(), **overrides}).check()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise ConfigurationError(f"{name} is not valid: {first['msg']}") from None
