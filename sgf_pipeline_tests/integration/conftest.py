"""Servers of the session, and labelled rows to send to them."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content
from sgf_pipeline_tests.integration.services import Noida, Postgres, SeaweedFS


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Noida]:
    server = Noida(tmp_path_factory.mktemp("kafka"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweed"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def labelled() -> pa.Table:
    """3,000 labelled rows of one shard."""
    asked = content(count=3000, scenarios=["phishing"])
    identifiers = Identifiers("salt", content_sha=asked.content_sha, seed=1, population_seed=1, scenario="phishing")
    rows = clean(simulate(asked, "phishing", CASES["phishing"]), asked, identifiers)
    batches = list(label(rows, CASES["phishing"], asked, "phishing", identifiers).rows)
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()


def breaking_off(table: pa.Table) -> RowStream:
    """Half of the rows, and then a run that dies."""

    def read() -> Iterator[pa.RecordBatch]:
        yield from table.slice(0, table.num_rows // 2).to_batches()
        raise RuntimeError("the run dies here")

    return RowStream(table.schema, read)


def streamed(table: pa.Table) -> RowStream:
    """The table in small batches."""
    return table_stream(pa.Table.from_batches(table.to_batches(max_chunksize=777)))
