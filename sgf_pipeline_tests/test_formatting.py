"""Simulated rows become transactions."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.formatting import clean
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content


def identifiers(name: str, salt: str = "salt") -> Identifiers:
    asked = content()
    return Identifiers(
        salt, content_sha=asked.content_sha, seed=asked.seed, population_seed=asked.population_seed, scenario=name
    )


@pytest.fixture(scope="module", params=["card_testing", "money_laundering"])
def simulated(request) -> tuple[str, RowStream]:
    stream = simulate(content(), request.param, CASES[request.param])
    batches = list(stream)
    return request.param, RowStream(stream.schema, lambda: iter(batches), stream.facts)


def table(stream: RowStream) -> pa.Table:
    return pa.Table.from_batches(list(stream), stream.schema)


def test_sorting_in_parts_gives_the_same_rows_as_sorting_at_once(simulated):
    """Guards the streaming path: a shard too large for memory must not come out in another order."""
    name, raw = simulated
    at_once = table(clean(raw, content(), identifiers(name)))
    in_parts = table(clean(raw, content(), identifiers(name), sort_rows=300))
    assert at_once.to_pandas().equals(in_parts.to_pandas())
    times = at_once.column("event_time").to_pandas()
    assert times.is_monotonic_increasing


def test_nothing_is_lost_or_changed_on_the_way(simulated):
    """Guards against formatting that drops natural repeats, rounds money or mixes up rows."""
    name, raw = simulated
    before = table(raw).to_pandas().sort_values(["time", "row"])
    after = table(clean(raw, content(), identifiers(name))).to_pandas()
    assert len(after) == len(before)
    assert np.array_equal(np.rint(after["amount"] * 100).astype(int), before["amount"])
    assert np.array_equal(after["is_fraud"], before["is_fraud"])
    assert list(after["channel"].astype(str)) == list(before["channel"].astype(str))
    by_key = before.groupby("customer").size().sort_values().to_list()
    assert by_key == after.groupby("customer_id", observed=True).size().sort_values().to_list()


def test_links_and_counterparties_name_rows_and_accounts_of_the_shard(simulated):
    """Guards against a link that points nowhere, or an own account that is called differently as counterparty."""
    name, raw = simulated
    rows = table(clean(raw, content(), identifiers(name))).to_pandas().set_index("transaction_id")
    linked = rows["linked_transaction_id"].dropna()
    assert len(linked) > 50
    assert linked.isin(rows.index).all()
    assert (
        rows.loc[linked.to_list(), "event_time"].to_numpy() <= rows.loc[linked.index, "event_time"].to_numpy()
    ).all()
    legs = rows[rows["linked_transaction_id"].notna() & (rows["transaction_type"] == "transfer")]
    assert len(legs) > 20
    debits = rows.loc[legs["linked_transaction_id"]]
    assert list(legs["counterparty_account_id"].astype(str)) == list(debits["account_id"].astype(str))
    assert list(legs["account_id"].astype(str)) == list(debits["counterparty_account_id"].astype(str))
    assert np.array_equal(legs["amount"], debits["amount"])


def test_another_salt_changes_every_identifier_and_nothing_else(simulated):
    """Guards against an identifier that escapes the salt."""
    name, raw = simulated
    one = table(clean(raw, content(), identifiers(name))).to_pandas()
    other = table(clean(raw, content(), identifiers(name, "another"))).to_pandas()
    ids = [column for column in one if column.endswith("_id")] + ["ip_address"]
    for column in ids:
        assert not set(one[column].dropna()) & set(other[column].dropna()), column
    pd.testing.assert_frame_equal(one.drop(columns=ids), other.drop(columns=ids))


def test_no_internal_key_is_shown(simulated):
    """Guards against a public id that contains the simulation's number."""
    name, raw = simulated
    rows = table(clean(raw, content(), identifiers(name)))
    text = json.dumps(rows.slice(0, 50).to_pylist(), default=str)
    assert "salt" not in text
    assert rows.column("customer_id").to_pylist()[0].startswith("cus_")
