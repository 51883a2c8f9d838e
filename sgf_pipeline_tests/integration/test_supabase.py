"""The warehouse through Supabase's REST door: real rights and row-level security in a real PostgreSQL.

With ``SUPABASE_LITE`` naming a folder where Supabase's light server is installed, the same tests run against that one
(docs/warehouse.md); by default against ``rest_bridge``, which needs nothing but Python.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pyarrow as pa
import pytest

from sgf_pipeline import batches
from sgf_pipeline.definitions import warehouse_of
from sgf_pipeline.domain.errors import AuditError, ConfigurationError, SgfError, SinkError, SinkUnavailableError
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.resources import audit, supabase
from sgf_pipeline.resources.held import Held
from sgf_pipeline.resources.supabase import SupabaseWarehouse, setup_sql
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.building import build
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.integration.conftest import breaking_off, streamed
from sgf_pipeline_tests.integration.rest_bridge import ANONYMOUS_KEY, SERVICE_KEY, BadNetwork, Bridge
from sgf_pipeline_tests.integration.services import Postgres, SupabaseLite, free_port, wait_for
from sgf_pipeline_tests.integration.test_audit import facts
from sgf_pipeline_tests.integration.test_warehouse import KEY, ShardKey, expected

TABLES = ("transactions", "transactions_staging", "synthetic_batches", "sgf_schema_version")
# As Supabase makes a new project: three roles, and every new table and function of "public" granted to all of them.
ROLES = (
    "CREATE ROLE anon NOLOGIN NOINHERIT",
    "CREATE ROLE authenticated NOLOGIN NOINHERIT",
    "CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS",
)
PRIVILEGES = (
    "GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role",
)


@dataclass(frozen=True)
class Project:
    """One Supabase project: its REST address, and its database for whoever owns it."""

    url: str
    database_url: str

    def warehouse(self, key: str = SERVICE_KEY) -> SupabaseWarehouse:
        return SupabaseWarehouse(self.url, key)

    def execute(self, *statements: str, role: str | None = None) -> list[tuple[Any, ...]]:
        """Run SQL past the code under test; the rows of the last statement."""
        connection = psycopg2.connect(self.database_url)
        try:
            with connection, connection.cursor() as cursor:
                if role:
                    cursor.execute(f"SET ROLE {role}")
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def staged(self) -> int:
        return int(self.execute("SELECT COUNT(*) FROM transactions_staging WHERE chunk >= 0")[0][0])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Not the session's server: roles belong to a whole server."""
    server = Postgres(tmp_path_factory.mktemp("supabase"))
    connection = psycopg2.connect(server.url())
    with connection, connection.cursor() as cursor:
        cursor.execute(";".join(ROLES))
    connection.close()
    yield server
    server.stop()


@pytest.fixture
def make_database(cluster: Postgres) -> Callable[..., Project]:
    """A new project's database each time it is called; nobody opens its REST door."""

    def make(*, with_tables: bool = True) -> Project:
        project = Project("", cluster.new_database())
        project.execute(*PRIVILEGES, *([setup_sql()] if with_tables else []))
        return project

    return make


@pytest.fixture
def make_project(
    make_database: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Project]]:
    """A new project each time it is called."""
    doors: list[Bridge | SupabaseLite] = []
    home = os.environ.get("SUPABASE_LITE")

    def make(**options: bool) -> Project:
        url = make_database(**options).database_url
        if home:
            folder = tmp_path_factory.mktemp("lite")
            doors.append(SupabaseLite(Path(home), folder, url, keys=(SERVICE_KEY, ANONYMOUS_KEY)))
        else:
            doors.append(Bridge(url))
        return Project(doors[-1].url, url)

    yield make
    for door in doors:
        door.stop()


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts that a test can wait for."""
    monkeypatch.setattr(supabase, "FIRST_PAUSE_SECONDS", 0.01)


def test_it_holds_what_the_fast_path_holds_cell_by_cell(project: Project, labelled: pa.Table) -> None:
    """Guards against a column that JSON loses, rounds or shifts; and against two paths that do not share their tables.

    The fast path's own test compares it with the rows themselves.
    """
    assert project.warehouse().load(KEY, streamed(labelled), "EUR") == labelled.num_rows
    Warehouse(project.database_url).load(ShardKey("default", "by_copy", KEY.shard), streamed(labelled), "EUR")
    columns = ", ".join(TRANSACTION_SCHEMA.names)
    one, other = (f"SELECT {columns} FROM transactions WHERE batch_id = '{name}'" for name in (KEY.batch_id, "by_copy"))
    assert project.execute(f"({one}) EXCEPT ({other}) UNION ALL (({other}) EXCEPT ({one}))") == []
    assert project.warehouse().held(KEY, "EUR") == expected(labelled)
    assert project.execute(f"SELECT SUM(scale(amount)) FROM ({one}) AS one") == [(2 * labelled.num_rows,)]


def test_loading_again_replaces_exactly_the_shard(project: Project, labelled: pa.Table) -> None:
    """Guards against rows that double, or a neighbour's rows that vanish, when a shard is built again."""
    warehouse = project.warehouse()
    other = ShardKey("default", "gen_2", "phishing")
    half = labelled.slice(0, 1000)
    for key, rows in ((KEY, labelled), (other, labelled), (KEY, half), (KEY, half)):
        warehouse.load(key, streamed(rows), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(half)
    assert warehouse.held(other, "EUR") == expected(labelled)
    assert warehouse.load(KEY, table_stream(labelled.slice(0, 0)), "EUR") == 0
    assert warehouse.held(KEY, "EUR") == Held(0, 0, "0" * 24)
    assert project.staged() == 0


def test_a_load_that_dies_leaves_what_was_there(project: Project, labelled: pa.Table) -> None:
    """Guards against half a shard in the table, and against chunks of dead loads that pile up."""
    warehouse = project.warehouse()
    half = labelled.slice(0, 1000)
    warehouse.load(KEY, streamed(half), "EUR")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the run dies here"):
            warehouse.load(KEY, breaking_off(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(half)
    assert project.staged() > 0
    warehouse.load(ShardKey("default", "gen_2", "phishing"), streamed(half), "EUR")
    assert project.staged() > 0  # another shard's may be on their way
    warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled)
    assert project.staged() == 0


def _load_slowly(url: str, table: pa.Table, started: "multiprocessing.synchronize.Event") -> None:
    def read():  # type: ignore[no-untyped-def]
        for batch in table.to_batches(max_chunksize=100):
            yield batch
            started.set()
            time.sleep(0.2)

    SupabaseWarehouse(url, SERVICE_KEY).load(KEY, RowStream(table.schema, read), "EUR")


def test_a_killed_run_leaves_what_was_there(project: Project, labelled: pa.Table) -> None:
    """Guards against kill -9 in the middle of a load."""
    warehouse = project.warehouse()
    warehouse.load(KEY, streamed(labelled.slice(0, 1000)), "EUR")
    fork = multiprocessing.get_context("spawn")
    started = fork.Event()
    process = fork.Process(target=_load_slowly, args=(project.url, labelled, started))
    process.start()
    assert started.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert warehouse.held(KEY, "EUR") == expected(labelled.slice(0, 1000))
    warehouse.load(KEY, streamed(labelled), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled)
    assert project.staged() == 0


def test_shards_at_once_all_arrive(project: Project, labelled: pa.Table) -> None:
    """Guards against loads of different shards that block or empty one another."""
    keys = [ShardKey("default", f"gen_{number}", "phishing") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        # each with a client of its own, as processes have
        list(pool.map(lambda key: project.warehouse().load(key, streamed(labelled), "EUR"), keys))
    assert [project.warehouse().held(key, "EUR") for key in keys] == [expected(labelled)] * 4


def test_loads_of_one_shard_follow_one_another(project: Project, labelled: pa.Table) -> None:
    """Guards against two runs of one shard that cannot see each other's rows, and so double them or fail on them."""
    half = labelled.slice(0, 1000)
    project.warehouse().load(KEY, streamed(half), "EUR")
    first = psycopg2.connect(project.database_url)
    with first, first.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute(
            "INSERT INTO transactions_staging SELECT 'first', 0, tenant, batch_id, shard, json_agg(one)"
            " FROM transactions AS one GROUP BY tenant, batch_id, shard"
        )
        cursor.execute("SELECT sgf_load_shard('first', 'default', 'gen_1', 'phishing', 1)")
        assert cursor.fetchone() == (1000,)
        second = pool.submit(project.warehouse().load, KEY, streamed(half), "EUR")
        wait_for(lambda: bool(project.execute("SELECT 1 FROM pg_locks WHERE NOT granted")), "the second load")
        first.commit()
        assert second.result() == 1000
    first.close()
    assert project.warehouse().held(KEY, "EUR") == expected(half)


def test_chunks_that_a_crash_took_are_missed(project: Project, labelled: pa.Table) -> None:
    """Guards against a shard called loaded with a hole in it: a crash of the database empties the staging table."""
    warehouse = project.warehouse()
    warehouse.load(KEY, streamed(labelled.slice(0, 1000)), "EUR")

    def read():  # type: ignore[no-untyped-def]
        yield from labelled.slice(0, 2000).to_batches()
        project.execute("DELETE FROM transactions_staging")
        yield from labelled.slice(2000).to_batches()

    with pytest.raises(SinkUnavailableError, match="lost chunks"):
        warehouse.load(KEY, RowStream(labelled.schema, read), "EUR")
    assert warehouse.held(KEY, "EUR") == expected(labelled.slice(0, 1000))


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("granted", [False, True])
def test_the_anonymous_key_reads_and_calls_nothing(
    make_database: Callable[..., Project], labelled: pa.Table, role: str, granted: bool
) -> None:
    """Guards against rows that everybody with the public key can read: rights stop him, and where somebody grants all
    tables to him again, row-level security does."""
    project = make_database()
    warehouse = Warehouse(project.database_url)
    warehouse.load(KEY, streamed(labelled), "EUR")
    audit.append(warehouse, facts())
    if granted:
        project.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        assert [project.execute(f"SELECT COUNT(*) FROM {table}", role=role)[0][0] for table in TABLES] == [0] * 4
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
            project.execute("INSERT INTO sgf_schema_version VALUES ('x')", role=role)
    for statement in (
        *([] if granted else [f"SELECT COUNT(*) FROM {table}" for table in TABLES]),
        *([] if granted else [f"DELETE FROM {table}" for table in TABLES]),
        *([] if granted else [f"TRUNCATE {table}" for table in TABLES]),
        "SELECT sgf_load_shard('x', 'default', 'gen_1', 'phishing', 0)",
        "SELECT sgf_held_of_shard('default', 'gen_1', 'phishing', 100)",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
            project.execute(statement, role=role)
    assert warehouse.held(KEY, "EUR") == expected(labelled)


def test_the_service_key_cannot_change_the_audit_trail(make_database: Callable[..., Project]) -> None:
    """Guards append-only against the one role that passes row-level security, before any trigger is asked."""
    project = make_database()
    audit.append(Warehouse(project.database_url), facts())
    for statement in ("UPDATE synthetic_batches SET legit = 0", "DELETE FROM synthetic_batches",
                      "TRUNCATE synthetic_batches", "UPDATE sgf_schema_version SET version_num = '9'"):  # fmt: skip
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
            project.execute(statement, role="service_role")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        project.execute("UPDATE synthetic_batches SET legit = 0")


@pytest.mark.parametrize("key", [ANONYMOUS_KEY, "sb_secret_of_another_project"])
def test_a_wrong_key_is_one_clear_error_without_it(project: Project, labelled: pa.Table, key: str) -> None:
    """Guards against a stack trace, or a key in a log, where the remedy belongs."""
    warehouse = project.warehouse(key)
    for attempt in (lambda: warehouse.load(KEY, streamed(labelled), "EUR"), lambda: audit.verify(warehouse)):
        with pytest.raises(SinkError, match=r"give SUPABASE_SERVICE_KEY .*service_role") as caught:
            attempt()
        assert key not in f"{caught.value} {caught.value.__cause__} {warehouse!r} {vars(warehouse)} {warehouse.address}"


def test_missing_tables_name_the_sql_to_run(make_project: Callable[..., Project], labelled: pa.Table) -> None:
    """Guards against a first run that fails without saying what a person has to do in Supabase, once."""
    project = make_project(with_tables=False)
    with pytest.raises(SinkError, match=r"run what `sgf warehouse sql` prints in Supabase's SQL editor"):
        project.warehouse().load(KEY, streamed(labelled), "EUR")


def test_tables_of_an_older_version_name_the_sql_to_run(project: Project, labelled: pa.Table) -> None:
    """Guards against rows sent to tables that lack what this version needs."""
    project.execute("UPDATE sgf_schema_version SET version_num = '0000'")
    with pytest.raises(SinkError, match=r"version 0001: .*`sgf warehouse sql --since 0000`"):
        project.warehouse().load(KEY, streamed(labelled), "EUR")


def test_the_sql_twice_changes_nothing(project: Project, labelled: pa.Table) -> None:
    """Guards against a second paste that empties or breaks the tables: it is one transaction, and refused."""
    project.warehouse().load(KEY, streamed(labelled), "EUR")
    with pytest.raises(psycopg2.errors.DuplicateTable):
        project.execute(setup_sql())
    assert project.warehouse().held(KEY, "EUR") == expected(labelled)


def test_a_table_changed_by_hand_is_named(project: Project, labelled: pa.Table) -> None:
    """Guards against JSON keys that find no column and are dropped in silence."""
    project.warehouse().load(KEY, streamed(labelled), "EUR")
    project.execute("ALTER TABLE transactions RENAME COLUMN vector TO kind_of_fraud")
    with pytest.raises(SinkError, match=r"refuses .*vector.*by hand"):
        project.warehouse().load(KEY, streamed(labelled), "EUR")
    assert project.warehouse().held(KEY, "EUR") == expected(labelled)


def test_a_shard_that_takes_too_long_names_the_fast_path(project: Project, labelled: pa.Table) -> None:
    """Guards against a load that is tried for ever although every attempt is cut off at the same place."""
    project.execute("ALTER FUNCTION sgf_load_shard SET statement_timeout = '1ms'")
    with pytest.raises(SinkError, match=r"too large for REST: set DATABASE_URL"):
        project.warehouse().load(KEY, streamed(labelled), "EUR")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("bad", ["lost", "503", "429"])
def test_a_bad_network_neither_loses_nor_doubles(project: Project, labelled: pa.Table, bad: str) -> None:
    """Guards against a row or an audit row that comes twice, or not at all, because an answer was lost."""
    kinds = ("sgf_schema_version", "transactions_staging", "sgf_load_shard", "sgf_held_of_shard", "synthetic_batches")
    network = BadNetwork(project.url, {kind: [bad, bad, "", bad, ""] for kind in kinds})
    try:
        warehouse = SupabaseWarehouse(network.url, SERVICE_KEY)
        assert warehouse.load(KEY, streamed(labelled), "EUR") == labelled.num_rows
        assert warehouse.held(KEY, "EUR") == expected(labelled)
        links = [audit.append(warehouse, facts(number)) for number in range(1, 4)]
        assert audit.verify(warehouse, [("manifest 3", links[2])]) == 3
        assert all(network.asked[kind] > 2 for kind in kinds)
    finally:
        network.stop()
    assert project.staged() == 0


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_is_lost_when_an_audit_row_is_written(project: Project) -> None:
    """Guards against the same manifest twice in the trail: the row is there, only the news of it was lost."""
    network = BadNetwork(project.url, {"synthetic_batches": ["", "", "lost"]})
    try:
        link = audit.append(SupabaseWarehouse(network.url, SERVICE_KEY), facts())
    finally:
        network.stop()
    assert link.position == 1
    assert audit.verify(project.warehouse(), [("manifest 1", link)]) == 1


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_tried_within_a_bound(project: Project, labelled: pa.Table) -> None:
    """Guards against a run that hangs, or one that calls a passing failure final."""
    network = BadNetwork(project.url, {"transactions_staging": ["503"] * 9})
    try:
        with pytest.raises(SinkUnavailableError, match=r"503 .*try again later"):
            SupabaseWarehouse(network.url, SERVICE_KEY).load(KEY, streamed(labelled), "EUR")
        assert network.asked["transactions_staging"] == supabase.ATTEMPTS
    finally:
        network.stop()
    with pytest.raises(SinkUnavailableError, match="try again later") as caught:
        SupabaseWarehouse(f"http://127.0.0.1:{free_port()}", SERVICE_KEY).held(KEY, "EUR")
    assert SERVICE_KEY not in f"{caught.value} {caught.value.__cause__}"


def test_a_page_instead_of_an_answer_is_named(project: Project) -> None:
    """Guards against SUPABASE_URL that leads to a website: it answers, but not as Supabase does."""
    network = BadNetwork(project.url, {"sgf_schema_version": ["html"]})
    try:
        with pytest.raises(SinkError, match="something else than JSON: check SUPABASE_URL"):
            SupabaseWarehouse(network.url, SERVICE_KEY).held(KEY, "EUR")
    finally:
        network.stop()


def test_a_sound_chain_verifies_page_by_page(project: Project) -> None:
    """Guards against a walk that ends at the server's limit of an answer (here two rows), and a manifest twice."""
    warehouse = project.warehouse()
    links = [audit.append(warehouse, facts(number, s3_uri="s3://b/ü, (x)")) for number in range(1, 6)]
    assert audit.append(warehouse, facts(3, s3_uri="s3://b/ü, (x)")) == links[2]
    assert audit.verify(warehouse, [("manifest 5", links[4])]) == 5
    # the same rows by the fast path
    assert audit.verify(Warehouse(project.database_url), [("manifest 5", links[4])]) == 5
    assert audit.append(Warehouse(project.database_url), facts(6)).position == 6
    assert audit.append(warehouse, facts(7)).position == 7
    assert audit.verify(warehouse) == 7


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE synthetic_batches SET fraudulent = 0 WHERE position = 2", r"at row 2 .*its hash is not"),
        ("DELETE FROM synthetic_batches WHERE position = 3", r"at row 4 .*is missing before it"),
        ("DELETE FROM synthetic_batches WHERE position > 3", r"row 5, which manifest 5 names, is gone"),
    ],
)
def test_tampering_is_found(project: Project, change: str, why: str) -> None:
    """Guards against the owner of the project, who can drop triggers in the SQL editor."""
    warehouse = project.warehouse()
    links = [audit.append(warehouse, facts(number)) for number in range(1, 6)]
    project.execute("ALTER TABLE synthetic_batches DISABLE TRIGGER USER", change)
    with pytest.raises(AuditError, match=why):
        audit.verify(warehouse, [("manifest 5", links[4])])


def test_a_chain_does_not_go_on_after_a_forged_row(project: Project) -> None:
    """Guards against a forgery that later rows would bury."""
    warehouse = project.warehouse()
    audit.append(warehouse, facts(1))
    columns = ", ".join(audit.COLUMNS[1:-2])
    project.execute(
        f"INSERT INTO synthetic_batches (position, {columns}, previous_sha, row_sha)"
        f" SELECT 2, {columns}, row_sha, 'f' FROM synthetic_batches"
    )
    with pytest.raises(AuditError, match="row 2"):
        audit.append(warehouse, facts(3))


def test_batches_that_end_at_once_form_one_chain(project: Project) -> None:
    """Guards against two rows that name the same row before them: no lock is held from one request to the next.

    The quicker writer is in the middle of his transaction, by the fast path, when the other one reads the last row.
    """
    quicker: dict[str, Any] = {"position": 1, **facts(1), "previous_sha": audit.GENESIS}
    quicker["row_sha"] = audit.row_sha(quicker)
    with ThreadPoolExecutor(1) as pool:
        with Warehouse(project.database_url).trail(writing=True) as trail:
            trail.insert(quicker)
            slower = pool.submit(audit.append, project.warehouse(), facts(2))
            wait_for(lambda: bool(project.execute("SELECT 1 FROM pg_locks WHERE NOT granted")), "the slower writer")
        assert slower.result().position == 2
    assert audit.verify(project.warehouse(), [("manifest 1", audit.Link(1, quicker["row_sha"]))]) == 2


def test_a_batch_through_dagster(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance, project: Project
) -> None:
    """Guards the whole way: loaded, read back, reconciled with the lake and chained, by REST alone."""
    settings = make_settings(database_url=None, supabase_url=project.url, supabase_service_key=SERVICE_KEY)
    asked = small_request("gen_supabase", count=60, scenarios=["card_testing"])
    manifest = batches.newest_manifest(build(settings, instance, asked), asked)
    assert manifest is not None
    figures = ("rows", "minor_units", "transaction_ids_xor")
    sinks = [{name: manifest["sinks"][sink][name] for name in figures} for sink in ("lake", "warehouse")]
    assert sinks[0] == sinks[1]
    assert sinks[0]["rows"] == 60
    assert audit.verify(warehouse_of(settings), [("manifest 1", audit.Link(**manifest["audit"]))]) == 1


def test_settings_choose_the_warehouse(make_settings: Callable[..., Settings]) -> None:
    """Guards against the slow path where the fast one is known, and against a half-set project that ends in SQLite."""
    both = {"supabase_url": "https://project.supabase.co/", "supabase_service_key": f" {SERVICE_KEY}\n"}
    assert isinstance(warehouse_of(make_settings(**both)), Warehouse)
    chosen = warehouse_of(make_settings(database_url=None, **both))
    assert isinstance(chosen, SupabaseWarehouse)
    assert chosen.address == "https://project.supabase.co"
    for missing in both:
        settings = make_settings(database_url=None, **{**both, missing: None})
        with pytest.raises(ConfigurationError, match=f"^{missing.upper()} is not set"):
            settings.check()


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("project.supabase.co", SERVICE_KEY),
        ("https://user:hunter2@project.supabase.co", SERVICE_KEY),
        ("https://project.supabase.co?apikey=hunter2", SERVICE_KEY),
        ("https://project.supabase.co:hunter2", SERVICE_KEY),
        ("https://project.supabase.co", "hunter2 with a blank"),
        ("https://project.supabase.co", "hunter2ü"),
        ("https://project.supabase.co", ""),
    ],
)
def test_an_unusable_address_or_key_is_refused_without_showing_it(url: str, key: str) -> None:
    """Guards against a key in the words of an HTTP library that cannot send it."""
    with pytest.raises(ConfigurationError, match=r"SUPABASE_(URL|SERVICE_KEY)") as caught:
        SupabaseWarehouse(url, key)
    assert isinstance(caught.value, SgfError)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
