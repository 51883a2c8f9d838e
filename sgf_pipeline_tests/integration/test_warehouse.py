"""The warehouse on a real PostgreSQL and on SQLite."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import psycopg2
import pyarrow as pa
import pytest
import sqlalchemy as sa

from sgf_pipeline.domain.errors import ConfigurationError, SinkError, SinkUnavailableError, StorageUnavailableError
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.held import Held, ShardKey
from sgf_pipeline.resources.warehouse import KEY_COLUMNS, LOCK, Warehouse
from sgf_pipeline_tests.integration.conftest import breaking_off, streamed
from sgf_pipeline_tests.integration.services import Postgres, free_port, wait_for

KEY = ShardKey("default", "gen_1", "phishing")
MakeUrl = Callable[[], str]


@pytest.fixture(params=["postgresql", "sqlite"])
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> MakeUrl:
    """A new, empty database each time it is called."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'{time.monotonic_ns()}.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database


def expected(table: pa.Table) -> Held:
    bits = 0
    for text in table.column("transaction_id").to_pylist():
        bits ^= int(text[4:], 16)
    amounts = table.column("amount").to_pandas()
    return Held(table.num_rows, int((amounts * 100).round().sum()), f"{bits:024x}")


def test_what_is_loaded_can_be_read_back_cell_by_cell(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against a column that is lost, shifted, rounded or turned into text on its way."""
    url = make_url()
    warehouse = Warehouse(url)
    assert warehouse.load(KEY, streamed(labelled), "EUR") == labelled.num_rows
    assert warehouse.held(KEY, "EUR") == expected(labelled)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    found = pd.read_sql("SELECT * FROM transactions", engine).set_index("transaction_id").sort_index()
    engine.dispose()
    assert set(found.columns) == ({*KEY_COLUMNS, *TRANSACTION_SCHEMA.names} - {"transaction_id"})
    ours = labelled.to_pandas().set_index("transaction_id").sort_index()
    for name in ("event_time", "label_available_at"):
        assert (pd.to_datetime(found[name], utc=True).dropna() == ours[name].dropna()).all(), name
    assert (found["amount"].astype(float) == ours["amount"]).all()
    assert (found["is_fraud"].astype(bool) == ours["is_fraud"]).all()
    for name in ("customer_id", "merchant_name", "counterparty_account_id", "latitude", "explanation", "case_step"):
        assert found[name].isna().tolist() == ours[name].isna().tolist(), name
        assert (found[name].dropna() == ours[name].dropna()).all(), name


def test_loading_again_replaces_exactly_the_shard(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against rows that double, or a neighbour's rows that vanish, when a shard is built again."""
    warehouse = Warehouse(make_url())
    other = ShardKey("default", "gen_2", "phishing")
    for key in (KEY, other):
        warehouse.load(key, streamed(labelled), "EUR")
    half = labelled.slice(0, 1000)
    warehouse.load(KEY, streamed(half), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(half)
    assert warehouse.held(other, "EUR") == expected(labelled)


def test_a_load_that_dies_leaves_what_was_there(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against half a shard in the table."""
    warehouse = Warehouse(make_url())
    half = labelled.slice(0, 1000)
    warehouse.load(KEY, streamed(half), "EUR")
    with pytest.raises(RuntimeError, match="the run dies here"):
        warehouse.load(KEY, breaking_off(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(half)
    warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled)


def test_a_lake_that_is_silent_is_no_refusal_of_the_database(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards the retry: rows that could not be read are an error of the lake, which passes, whoever asked for them."""
    warehouse = Warehouse(make_url())

    def read():  # type: ignore[no-untyped-def]
        yield from labelled.slice(0, 1000).to_batches()
        raise StorageUnavailableError("the lake does not answer")

    with pytest.raises(StorageUnavailableError, match="the lake does not answer"):
        warehouse.load(KEY, RowStream(labelled.schema, read), "EUR")
    assert warehouse.held(KEY, "EUR").rows == 0


def _load_slowly(url: str, table: pa.Table, started: "multiprocessing.synchronize.Event") -> None:
    def read():  # type: ignore[no-untyped-def]
        for batch in table.to_batches(max_chunksize=100):
            yield batch
            started.set()
            time.sleep(0.2)

    Warehouse(url).load(KEY, RowStream(table.schema, read), "EUR")


def test_a_killed_run_leaves_what_was_there(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against kill -9 in the middle of a load: neither half a shard nor a lock that stays."""
    url = make_url()
    warehouse = Warehouse(url)
    warehouse.load(KEY, streamed(labelled.slice(0, 1000)), "EUR")
    fork = multiprocessing.get_context("spawn")
    started = fork.Event()
    process = fork.Process(target=_load_slowly, args=(url, labelled, started))
    process.start()
    assert started.wait(60)
    time.sleep(0.5)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert warehouse.held(KEY, "EUR") == expected(labelled.slice(0, 1000))
    warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled)


def test_shards_at_once_all_arrive(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against deadlocks, lost shards and double migrations when runs start together on an empty database."""
    url = make_url()
    keys = [ShardKey("default", f"gen_{number}", "phishing") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        # each with a connection pool of its own, as processes have
        list(pool.map(lambda key: Warehouse(url).load(key, streamed(labelled), "EUR"), keys))
    warehouse = Warehouse(url)
    assert [warehouse.held(key, "EUR").rows for key in keys] == [labelled.num_rows] * 4


def test_postgres_killed_in_the_middle(tmp_path_factory: pytest.TempPathFactory, labelled: pa.Table) -> None:
    """Guards against a power cut of the database: after the restart the old shard is there, and loading again works."""
    server = Postgres(tmp_path_factory.mktemp("killed"))
    try:
        warehouse = Warehouse(server.url())
        half = labelled.slice(0, 1000)
        warehouse.load(KEY, streamed(half), "EUR")

        def read():  # type: ignore[no-untyped-def]
            yield from labelled.slice(0, 2000).to_batches()
            server.kill()
            yield from labelled.slice(2000).to_batches()

        with pytest.raises(SinkUnavailableError, match="try again later"):
            warehouse.load(KEY, RowStream(labelled.schema, read), "EUR")
        with pytest.raises(SinkUnavailableError, match="try again later"):
            Warehouse(server.url()).held(KEY, "EUR")
        server.start()
        fresh = Warehouse(server.url())
        assert fresh.held(KEY, "EUR") == expected(half)
        fresh.load(KEY, streamed(labelled), "EUR")
        assert fresh.held(KEY, "EUR") == expected(labelled)
    finally:
        server.kill()


def test_two_loads_of_one_shard_follow_one_another(postgres: Postgres, labelled: pa.Table) -> None:
    """Guards against a run and its repetition at once: the later DELETE does not see the other's rows, and the INSERT
    fails for good with a duplicate key. Another shard must not wait for them."""
    url = postgres.new_database()
    Warehouse(url).engine.dispose()
    watcher = psycopg2.connect(url)
    watcher.autocommit = True

    def one_waits() -> bool:
        cursor = watcher.cursor()
        cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchone()[0])

    other = ShardKey("default", "gen_1", "card_testing")
    renamed = labelled.set_column(
        0, labelled.schema.field(0), pa.array([f"txn_{number:024x}" for number in range(labelled.num_rows)])
    )
    with ThreadPoolExecutor(1) as pool:
        later = []

        def read():  # type: ignore[no-untyped-def]
            yield from labelled.slice(0, 2000).to_batches()
            later.append(pool.submit(Warehouse(url).load, KEY, streamed(labelled.slice(0, 1000)), "EUR"))
            wait_for(one_waits, "the later load")
            Warehouse(url).load(other, streamed(renamed), "EUR")
            yield from labelled.slice(2000).to_batches()

        Warehouse(url).load(KEY, RowStream(labelled.schema, read), "EUR")
        assert later[0].result() == 1000
    watcher.close()
    assert Warehouse(url).held(KEY, "EUR") == expected(labelled.slice(0, 1000))
    assert Warehouse(url).held(other, "EUR") == expected(renamed)


def test_a_lock_that_is_never_given_back(postgres: Postgres, labelled: pa.Table) -> None:
    """Guards against a forgotten session whose lock stops every run for ever, and even those who only read."""
    url = postgres.new_database()
    Warehouse(url).engine.dispose()
    forgotten = psycopg2.connect(url)
    forgotten.cursor().execute(
        f"SELECT pg_advisory_lock({LOCK}), pg_advisory_lock(hashtextextended('default/gen_1/phishing', 0))"
    )
    with pytest.raises(SinkUnavailableError, match=r"lock timeout.*try again later"):
        Warehouse(url, patience=4).load(KEY, streamed(labelled), "EUR")
    with (
        pytest.raises(SinkUnavailableError, match=r"lock timeout.*try again later"),
        Warehouse(url, patience=4).writing(),
    ):
        pass
    assert audit.verify(Warehouse(url)) == 0
    forgotten.close()


def test_postgres_frozen_in_the_middle(tmp_path_factory: pytest.TempPathFactory, labelled: pa.Table) -> None:
    """Guards against a load or a question that waits for ever for a server whose kernel answers, but nothing else; and
    against rows of a load that was given up, which arrive when the server wakes up."""
    server = Postgres(tmp_path_factory.mktemp("frozen"))
    frozen: list[psutil.Process] = []
    try:
        half = labelled.slice(0, 1000)
        Warehouse(server.url()).load(KEY, streamed(half), "EUR")
        warehouse = Warehouse(server.url(), patience=2)
        assert server.process is not None
        postmaster = psutil.Process(server.process.pid)

        def read():  # type: ignore[no-untyped-def]
            yield from labelled.slice(0, 2000).to_batches()
            postmaster.suspend()
            frozen.extend((postmaster, *postmaster.children(recursive=True)))
            for process in frozen[1:]:
                process.suspend()
            yield from labelled.slice(2000).to_batches()

        with pytest.raises(SinkUnavailableError, match=r"took no row for 2 s.*try again later"):
            warehouse.load(KEY, RowStream(labelled.schema, read), "EUR")
        with pytest.raises(SinkUnavailableError, match="try again later"):
            warehouse.held(KEY, "EUR")
        for process in frozen:
            process.resume()
        # The lock is given back when the load that was left behind has ended.
        warehouse = Warehouse(server.url())
        later = ShardKey("default", "gen_1", "card_testing")
        warehouse.load(later, streamed(labelled.slice(2000)), "EUR")
        with warehouse.writing() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtextextended('default/gen_1/phishing', 0))")
        assert warehouse.held(KEY, "EUR") == expected(half)
    finally:
        server.kill()


def test_rows_that_are_slow_to_come_are_waited_for(postgres: Postgres, labelled: pa.Table) -> None:
    """Guards against a load that is given up because its rows, not the database, take their time."""
    url = postgres.new_database()
    Warehouse(url).engine.dispose()
    warehouse = Warehouse(url, patience=2)

    def read():  # type: ignore[no-untyped-def]
        yield from labelled.slice(0, 2000).to_batches()
        time.sleep(4)
        yield from labelled.slice(2000).to_batches()

    assert warehouse.load(KEY, RowStream(labelled.schema, read), "EUR") == labelled.num_rows
    assert warehouse.held(KEY, "EUR") == expected(labelled)


def test_a_connection_that_was_ended_can_be_tried_again(postgres: Postgres) -> None:
    """Guards against a restart or an administrator's goodbye that ends a run for good."""
    warehouse = Warehouse(postgres.new_database())

    def ask_when_closed() -> None:
        with warehouse.reading() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.close()
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(SinkUnavailableError, match=r"already closed.*try again later"):
        ask_when_closed()
    with pytest.raises(SinkUnavailableError, match="try again later"), warehouse.reading() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_refusal_at_the_door_is_not_tried_again(postgres: Postgres) -> None:
    """Guards against hours of retries where only a person can help."""
    with Warehouse(postgres.new_database()).writing() as connection:
        connection.exec_driver_sql("CREATE ROLE nobody_logs_in NOLOGIN")
    with pytest.raises(SinkError, match=r"not permitted to log in.*: let the role"):
        Warehouse(postgres.url(user="nobody_logs_in")).held(KEY, "EUR")
    with pytest.raises(SinkError, match=r"does not support SSL.*sslmode"):
        Warehouse(f"{postgres.url()}?sslmode=require").held(KEY, "EUR")


def test_a_full_disk_is_named(tmp_path: Path, labelled: pa.Table) -> None:
    """Guards against retries on a full disk, and against half a shard on it."""
    warehouse = Warehouse(f"sqlite:///{tmp_path / 'full.sqlite'}")
    half = labelled.slice(0, 1000)
    warehouse.load(KEY, streamed(half), "EUR")
    with warehouse.reading() as connection:  # a limit of the connection, which goes back to the pool
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(SinkError, match="free space on the database's disk"):
        warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(half)


def test_looking_makes_nothing(tmp_path: Path, labelled: pa.Table) -> None:
    """Guards against a mistyped path that becomes a folder with an empty database, which then verifies."""
    missing = tmp_path / "mistyped" / "warehouse.sqlite"
    with pytest.raises(ConfigurationError, match=r"folder .*mistyped does not exist"):
        audit.verify(Warehouse(f"sqlite:///{missing}"))
    assert audit.verify(Warehouse(f"sqlite:///{tmp_path / 'other.sqlite'}")) == 0
    assert list(tmp_path.iterdir()) == []
    warehouse = Warehouse(f"sqlite:///{missing}")
    warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled)


def test_a_table_changed_by_hand_is_named(make_url: MakeUrl, labelled: pa.Table) -> None:
    """Guards against a stack trace where a sentence with a remedy belongs."""
    warehouse = Warehouse(make_url())
    with warehouse.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE transactions RENAME COLUMN vector TO kind_of_fraud")
    with pytest.raises(SinkError, match=r"warehouse .* refuses .*(vector|kind_of_fraud).*by hand"):
        warehouse.load(KEY, streamed(labelled), "EUR")


def test_the_anonymous_key_reads_nothing(postgres: Postgres, labelled: pa.Table) -> None:
    """Guards against Supabase's anon role, which is granted every table of the schema: row-level security stops it."""
    warehouse = Warehouse(postgres.url())
    warehouse.load(KEY, streamed(labelled), "EUR")
    with warehouse.writing() as connection:
        connection.exec_driver_sql("CREATE ROLE anon LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO anon")
    anonymous = psycopg2.connect(postgres.url(user="anon"))
    cursor = anonymous.cursor()
    for table in ("transactions", "synthetic_batches", "sgf_schema_version"):
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        assert cursor.fetchone() == (0,), table
    anonymous.close()


def test_no_password_is_ever_shown() -> None:
    """Guards against DATABASE_URL's password in an error, a repr or an address."""
    warehouse = Warehouse(f"postgresql://sgf:hunter2@127.0.0.1:{free_port()}/sgf")
    with pytest.raises(SinkUnavailableError) as caught:
        warehouse.held(KEY, "EUR")
    assert "hunter2" not in f"{caught.value} {warehouse.address} {warehouse!r} {vars(warehouse)}"
    with pytest.raises(ConfigurationError) as refused:
        Warehouse("mysql://sgf:hunter2@host/sgf")
    assert "hunter2" not in str(refused.value)
    assert "postgresql://" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://sgf:SEC@RET:word@host/sgf",
        "postgresql://sgf:SEC@RET@host/sgf",
        "postgresql://sgf:SEC@RET/word@host/sgf",
        "postgresql://sgf:SEC@RET?word@host/sgf",
        "postgresql://sgf/x:SECRET@host/sgf",
        "postgresql://sgf@host:SECRET/sgf",
    ],
)
def test_a_password_with_signs_is_refused_unseen(url: str) -> None:
    """Guards against a traceback, and a password's end that is taken for the host and shown as such."""
    with pytest.raises(ConfigurationError, match="percent-encode") as refused:
        Warehouse(url)
    error: BaseException | None = refused.value
    while error is not None:
        assert "SEC" not in str(error)
        assert "RET" not in str(error)
        error = error.__cause__ or error.__context__
    assert Warehouse("postgresql://sgf:SEC%40RET%3Aword@host/sgf").address == "postgresql://sgf:***@host/sgf"
