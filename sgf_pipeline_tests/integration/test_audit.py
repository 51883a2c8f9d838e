"""The audit trail on a real PostgreSQL and on SQLite."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from sgf_pipeline.domain.errors import AuditError, SinkError
from sgf_pipeline.resources import audit
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline_tests.integration.test_warehouse import MakeUrl, make_url

__all__ = ["make_url"]


def facts(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "tenant": "default", "batch_id": "gen_1", "manifest_number": number, "content_sha": "c" * 64,
        "receipts_sha": f"{number:064x}", "request": "{}", "shards": "{}", "row_count": 100, "fraudulent": 10,
        "legit": 90, "model": "sgf-mini", "cost_usd": "0", "s3_uri": None, "requested_by": "test",
        "created_at": "2025-01-01T00:00:00+00:00", "sgf_version": "0", **changes,
    }  # fmt: skip


def chain(warehouse: Warehouse, rows: int = 5) -> list[audit.Link]:
    return [audit.append(warehouse, facts(number)) for number in range(1, rows + 1)]


def tampered(warehouse: Warehouse, *statements: str) -> None:
    """What only the owner of the database can do: drop the triggers, change, and put on a face of innocence."""
    with warehouse.writing() as connection:
        if warehouse.is_postgres:
            connection.exec_driver_sql("ALTER TABLE synthetic_batches DISABLE TRIGGER USER")
        else:
            for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
                connection.exec_driver_sql(f"DROP TRIGGER {row[0]}")
        for statement in statements:
            connection.exec_driver_sql(statement)


def execute(warehouse: Warehouse, statement: str) -> None:
    with warehouse.writing() as connection:
        if warehouse.is_postgres:
            connection.exec_driver_sql(statement)
        else:
            raw: Any = connection.connection.dbapi_connection
            raw.execute(statement)


def test_a_sound_chain_verifies(make_url: MakeUrl) -> None:
    """Guards against false alarms, and against a manifest that is appended twice."""
    warehouse = Warehouse(make_url())
    links = chain(warehouse)
    assert audit.append(warehouse, facts(3)) == links[2]
    assert audit.verify(warehouse, [("manifest 5", links[4])]) == 5
    assert [link.position for link in links] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE synthetic_batches SET fraudulent = 0",
        "UPDATE synthetic_batches SET fraudulent = 0 WHERE position = 2",
        "DELETE FROM synthetic_batches WHERE position = 2",
        "DELETE FROM synthetic_batches",
        "INSERT OR REPLACE INTO synthetic_batches SELECT * FROM synthetic_batches WHERE position = 2",
        "TRUNCATE synthetic_batches",
        "TRUNCATE synthetic_batches CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM synthetic_batches",
    ],
)
def test_the_database_refuses_to_change_a_row(make_url: MakeUrl, statement: str) -> None:
    """Guards the promise of append-only for the owner and superuser, too (both connect as such here)."""
    warehouse = Warehouse(make_url())
    chain(warehouse)
    foreign = "OR REPLACE" in statement if warehouse.is_postgres else statement.startswith(("TRUNCATE", "SET"))
    with pytest.raises(SinkError, match="syntax" if foreign else "append-only"):
        execute(warehouse, statement)
    assert audit.verify(warehouse) == 5


@pytest.mark.parametrize(
    ("change", "broken", "why"),
    [
        ("UPDATE synthetic_batches SET fraudulent = 0 WHERE position = 2", 2, "its hash is not"),
        ("UPDATE synthetic_batches SET requested_by = 'somebody else' WHERE position = 5", 5, "its hash is not"),
        ("UPDATE synthetic_batches SET s3_uri = 's3://x' WHERE position = 3", 3, "its hash is not"),
        ("DELETE FROM synthetic_batches WHERE position = 3", 4, "is missing before it"),
        ("DELETE FROM synthetic_batches WHERE position = 1", 2, "is missing before it"),
    ],
)
def test_the_first_broken_row_is_named(make_url: MakeUrl, change: str, broken: int, why: str) -> None:
    """Guards against whoever owns the database: what he changes is found, and where."""
    warehouse = Warehouse(make_url())
    chain(warehouse)
    tampered(warehouse, change)
    with pytest.raises(AuditError, match=rf"at row {broken} .*{why}"):
        audit.verify(warehouse)


def test_a_forged_row_and_a_cut_tail_are_found(make_url: MakeUrl) -> None:
    """Guards against an inserted row with invented hashes, and against a chain that was shortened at its end."""
    warehouse = Warehouse(make_url())
    links = chain(warehouse)
    columns = ", ".join(audit.COLUMNS[1:-2])
    with warehouse.writing() as connection:  # INSERT is allowed: nothing has to be disabled
        connection.exec_driver_sql(
            f"INSERT INTO synthetic_batches (position, {columns}, previous_sha, row_sha)"
            f" SELECT 6, {columns}, row_sha, 'f' FROM synthetic_batches WHERE position = 5"
        )
    with pytest.raises(AuditError, match=r"at row 6 .*its hash is not"):
        audit.verify(warehouse)
    with pytest.raises(AuditError, match="row 6"):
        audit.append(warehouse, facts(7))
    tampered(warehouse, "DELETE FROM synthetic_batches WHERE position >= 5")
    assert audit.verify(warehouse) == 4
    with pytest.raises(AuditError, match=r"row 5, which manifest 5 .*tail was cut"):
        audit.verify(warehouse, [("manifest 4", links[3]), ("manifest 5 of gen_1", links[4])])


def test_a_chain_written_anew_is_found_by_the_manifests(make_url: MakeUrl) -> None:
    """Guards against an owner who changes a row and computes every later hash again."""
    warehouse = Warehouse(make_url())
    links = chain(warehouse)
    other = Warehouse(make_url())
    for number in range(1, 6):
        audit.append(other, facts(number, fraudulent=0))
    assert audit.verify(other) == 5
    with pytest.raises(AuditError, match=r"row 2, which manifest 2 names, is another one"):
        audit.verify(other, [("manifest 2", links[1])])


def test_batches_that_end_at_once_form_one_chain(make_url: MakeUrl) -> None:
    """Guards against two rows that name the same row before them."""
    url = make_url()
    Warehouse(url).engine.dispose()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: audit.append(Warehouse(url), facts(number)), range(1, 13)))
    assert audit.verify(Warehouse(url)) == 12
    with Warehouse(url).reading() as connection:
        assert connection.execute(sa.text("SELECT COUNT(DISTINCT previous_sha) FROM synthetic_batches")).scalar() == 12
