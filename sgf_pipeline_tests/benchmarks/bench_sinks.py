"""50,000 transactions through Dagster into all three sinks at once, and the warehouse's and lake's own speed.

``python -m sgf_pipeline_tests.benchmarks.bench_sinks [--rounds 3]``

First one batch of 50,000 rows with all seven scenarios is built by ``sgf generate`` in a process of its own, into
PostgreSQL, SeaweedFS' S3 and a Kafka broker on this machine; the time is the whole command's, the model's answers are
made anew. Then each sink alone against the plain client on the same server, in turns, the best of each: *warehouse* is
``Warehouse.load`` of one shard of 50,000 rows against ``adbc_ingest`` of the same rows into a table of the same
columns, with the same keys and indexes or bare, where the shard is new and where it is replaced; *lake* is
``LakeResource.write_rows`` against putting the same bytes with boto3. The stream's ratio is ``bench_stream``'s.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from sgf_pipeline.domain.streams import table_stream
from sgf_pipeline.resources.held import ShardKey
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.warehouse import Warehouse
from sgf_pipeline_tests.benchmarks.bench_stream import ROWS, shard
from sgf_pipeline_tests.integration.services import Noida, Postgres, SeaweedFS

GOAL_RATIO = 0.7


def environment_of(seaweed: SeaweedFS) -> dict[str, str]:
    """What the usual AWS chain reads, and our own setting for the server."""
    key, secret, _ = SeaweedFS.KEYS["owner"]
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
            "S3_ENDPOINT_URL": seaweed.endpoint}  # fmt: skip


def end_to_end(postgres: Postgres, kafka: Noida, seaweed: SeaweedFS, folder: Path) -> None:
    """One batch in all three, as a user builds it."""
    environment = {
        **os.environ,
        **environment_of(seaweed),
        "HF_HUB_OFFLINE": "1",
        "SGF_STORAGE_URL": "s3://sgf/bench",
        "SGF_ID_SALT": "a salt of the benchmark",
        "SGF_CACHE_DIR": str(folder / "cache"),
        "DAGSTER_HOME": str(folder / "home"),
        "DATABASE_URL": postgres.new_database(),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
    }
    command = [sys.executable, "-m", "sgf_pipeline.cli.main", "generate", "--count", str(ROWS), "--fraud-ratio", "0.04",
               "--start-date", "2025-01-01", "--end-date", "2025-01-31T23:59:59Z", "--seed", "1", "--json"]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    result = json.loads(done.stdout)
    print(f"end to end: {ROWS:,} rows into all three in {seconds:.1f} s (command started to ended), {result['sinks']}")


def ratio(what: str, ours: Callable[[int], None], plain: Callable[[int], None], rounds: int) -> None:
    """Run both in turns; print rows a second of the best round of each, and their ratio."""
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(rounds):
        for name, run in (("ours", ours), ("plain", plain)):
            began = time.perf_counter()
            run(number)
            times[name].append(time.perf_counter() - began)
    best = {name: ROWS / min(seconds) for name, seconds in times.items()}
    verdict = "in goal" if best["ours"] / best["plain"] >= GOAL_RATIO else f"below the goal of {GOAL_RATIO}"
    share = best["ours"] / best["plain"]
    print(f"{what}: {best['ours']:,.0f} rows/s, plain {best['plain']:,.0f}, {share:.2f}: {verdict}")


def warehouse(postgres: Postgres, rows: pa.Table, rounds: int) -> None:
    """Our load against ADBC alone, each line in a database of its own.

    A shard that is new to the table, as nearly all are; and one that the table holds already: the rows that a
    replacement deletes stay in table and indexes until they are vacuumed, so that it is slower, whoever does it.
    """
    key = ShardKey("default", "gen_1", "phishing")

    def line(what: str, before: str, bare: bool = False) -> None:
        url = postgres.new_database()
        ours = Warehouse(url)
        ours.load(key, table_stream(rows), "EUR")
        with psycopg2.connect(url) as connection:
            like = "transactions" if bare else "transactions INCLUDING ALL"
            connection.cursor().execute(f"CREATE TABLE plain (LIKE {like})")
            connection.cursor().execute("INSERT INTO plain SELECT * FROM transactions")
        with dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM transactions")
            same = cursor.fetch_arrow_table()
        # ADBC reads NUMERIC as text and cannot write that back.
        place = same.schema.get_field_index("amount")
        cents = [chunk.storage.cast(pa.decimal128(18, 2)) for chunk in same.column(place).chunks]
        same = same.set_column(place, "amount", pa.chunked_array(cents))
        place = same.schema.get_field_index("batch_id")

        def plain(number: int) -> None:
            content = same if before else same.set_column(place, "batch_id", pa.repeat(f"gen_new_{number}", ROWS))
            with dbapi.connect(url) as connection, connection.cursor() as cursor:
                if before:
                    cursor.execute(before)
                cursor.adbc_ingest("plain", content, mode="append")
                connection.commit()

        def load(number: int) -> None:
            batch = key.batch_id if before else f"gen_new_{number}"
            ours.load(ShardKey(key.tenant, batch, key.shard), table_stream(rows), "EUR")

        ratio(f"warehouse, {what}", load, plain, rounds)

    line("a new shard, plain into the same indexes", "")
    line("a new shard, plain into a bare table", "", bare=True)
    line("a shard replaced, plain replaces it, too", "DELETE FROM plain")
    line("a shard replaced, plain into the emptied table", "TRUNCATE plain")


def lake(seaweed: SeaweedFS, rows: pa.Table, folder: Path, rounds: int) -> None:
    """Our writer against boto3 putting the same bytes."""
    os.environ.update(environment_of(seaweed))
    local = LakeResource(url=str(folder / "lake"))
    file = local.path("part.parquet")
    local.write_rows(file, table_stream(rows))
    content = Path(file.path).read_bytes()
    remote = LakeResource(url="s3://sgf/ratio", s3_endpoint_url=seaweed.endpoint)
    client = seaweed.client()

    def put(number: int) -> None:
        client.put_object(Bucket="sgf", Key=f"plain/{number}.parquet", Body=content, ServerSideEncryption="AES256")

    def encode_and_put(number: int) -> None:
        local.write_rows(file, table_stream(rows))
        put(number)

    def write(number: int) -> None:
        remote.write_rows(remote.path(f"{number}.parquet"), table_stream(rows))

    ratio("lake, plain: encoded to a local file, then put", write, encode_and_put, rounds)
    ratio("lake, plain: bytes made beforehand", write, put, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("postgres", "kafka", "seaweed"):
            (folder / part).mkdir()
        servers = Postgres(folder / "postgres"), Noida(folder / "kafka"), SeaweedFS(folder / "seaweed")
        try:
            end_to_end(*servers, folder)
            rows = shard()
            warehouse(servers[0], rows, rounds)
            lake(servers[2], rows, folder, rounds)
        finally:
            for server in servers:
                server.kill()


if __name__ == "__main__":
    main()
