"""What is exported for training has no label in it; what is served is what the next event would see."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.schema import FEATURES, LABELS, TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import table_stream
from sgf_pipeline.features import store
from sgf_pipeline.features.store import (
    FEATURE_SCHEMA,
    LOG_COLUMNS,
    NEEDS_THE_EVENT,
    VIEWS,
    feature_rows,
    history,
    states,
)
from sgf_pipeline.features.windows import ENTITIES, WINDOW_FEATURES, window_features
from sgf_pipeline_tests.features.test_windows import REFERENCE, Reference, log

LOG_SCHEMA = pa.schema([TRANSACTION_SCHEMA.field(name).with_nullable(True) for name in LOG_COLUMNS])


def table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, LOG_SCHEMA, preserve_index=False)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return log(400)


@pytest.fixture(scope="module")
def as_of(frame: pd.DataFrame) -> pd.Timestamp:
    return frame["event_time"].max() + pd.Timedelta(minutes=20)


@pytest.fixture(scope="module")
def now(frame: pd.DataFrame, as_of: pd.Timestamp) -> dict[str, pa.Table]:
    return states(table(frame), as_of.to_pydatetime())


SERVED = [(view, name) for view in VIEWS for name in view.feature_names if name in REFERENCE]


@pytest.mark.parametrize(("view", "name"), SERVED, ids=[name for _, name in SERVED])
def test_what_is_served_is_what_a_slow_reader_of_the_whole_log_finds(frame, as_of, now, view, name):
    """Guards against serving what the last row saw (one row too few), another key's features, or another moment's."""
    rows = frame.to_dict("records")
    nothing: dict[str, Any] = dict.fromkeys(frame.columns)
    served = now[view.name].to_pylist()
    assert {row["event_time"] for row in served} == {as_of}
    expected = []
    for row in served:
        asked = {**nothing, "event_time": as_of, **{key: row[key] for key in view.keys}}
        expected.append(float(REFERENCE[name](Reference(rows, asked))))
    found = np.array([np.nan if row[name] is None else row[name] for row in served])
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert len(found) == len(frame.dropna(subset=list(view.keys)).drop_duplicates(list(view.keys)))


def event(frame: pd.DataFrame, view: Any, key: dict[str, Any], as_of: pd.Timestamp, number: int) -> dict[str, Any]:
    """Another row's amount, place, link …, with the key, at the moment."""
    other = frame.iloc[int(rng(number, "event").integers(len(frame)))].to_dict()
    named = {("merchant_country" if name == "country" else name): key[name] for name in view.keys}
    return {**other, **named, "event_time": as_of, "transaction_id": f"event_{number}"}


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_an_event_that_names_the_key_sees_what_is_served_whatever_else_it_is(frame, as_of, now, view):
    """Guards against serving a feature that also depends on the event's amount, place, customer …: training and
    serving would differ."""
    served = now[view.name].to_pandas()
    events = [event(frame, view, key, as_of, number) for number in range(3) for key in served.to_dict("records")]
    for number, row in enumerate(events):
        row["transaction_id"] = f"event_{number}"
    seen = window_features(pd.concat([frame, pd.DataFrame(events)], ignore_index=True)).iloc[len(frame) :]
    expected = pd.concat([served] * 3, ignore_index=True)[view.feature_names].astype(float)
    pd.testing.assert_frame_equal(seen[view.feature_names].reset_index(drop=True), expected, check_exact=True)


def test_features_that_are_not_served_do_need_the_event(frame, as_of):
    """Guards against keeping back a feature that could be served: of two events with the same identifiers at the same
    moment one must see another value."""
    ids = [column for column in ENTITIES.values() if column != "customer_id"]
    events = frame.sample(120, random_state=1).assign(event_time=as_of, transaction_id=[f"a{n}" for n in range(120)])
    others = frame.sample(120, random_state=2).assign(event_time=as_of, transaction_id=[f"b{n}" for n in range(120)])
    others[ids] = events[ids].to_numpy()
    strangers = others.assign(transaction_id=[f"c{n}" for n in range(120)], customer_id="stranger")
    # the features of shared devices, shops … depend on who it is that is not counted; the customer's own on the rest
    others["customer_id"] = events["customer_id"].to_numpy()
    one, two, three = (
        window_features(pd.concat([frame, asked], ignore_index=True)).iloc[len(frame) :]
        for asked in (events, others, strangers)
    )
    differ = {
        name
        for name in NEEDS_THE_EVENT
        for another in ([two] if name.startswith("customer") else [two, three])
        if ((one[name] != another[name]) & one[name].notna() & another[name].notna()).any()
    }
    # of the hour the store would know only its own moment's
    assert set(NEEDS_THE_EVENT) - differ == {"customer_odd_hour"}


def test_every_key_that_the_log_names_is_served(frame, now):
    """Guards against keys that are lost, doubled or made up: the country is the merchant's or else the other's."""
    country = frame["merchant_country"].where(frame["merchant_country"].notna(), frame["counterparty_country"])
    named = frame.assign(country=country)
    for view in VIEWS:
        expected = named[list(view.keys)].dropna().drop_duplicates().sort_values(list(view.keys))
        assert now[view.name].select(list(view.keys)).to_pandas().to_numpy().tolist() == expected.to_numpy().tolist()


def test_every_feature_is_served_once_or_needs_the_event():
    """Guards against a new feature that nobody decided about, and against one that two views would serve."""
    served = [name for view in VIEWS for name in view.feature_names]
    assert sorted([*served, *NEEDS_THE_EVENT]) == sorted(feature.name for feature in WINDOW_FEATURES)
    assert len({view.name for view in VIEWS}) == len(VIEWS)


@pytest.mark.parametrize("hours", [50, 300])
def test_a_moment_in_the_middle_knows_nothing_of_what_comes(frame, hours):
    """Guards against a look ahead when an earlier moment is asked for, rows of that very microsecond among it."""
    moment = pd.Timestamp("2025-01-01", tz="UTC") + pd.Timedelta(hours=hours)
    assert (frame["event_time"] == moment).any() or hours == 300
    cut = states(table(frame[frame["event_time"] < moment]), moment.to_pydatetime())
    assert states(table(frame), moment.to_pydatetime()) == cut
    features = pa.Table.from_pandas(window_features(frame), preserve_index=False)
    past = history(table(frame), features, moment.to_pydatetime(), VIEWS[0])
    assert past.num_rows == int((frame["event_time"] < moment).sum())


def test_no_label_can_get_into_the_features(frame):
    """Guards the detectors of users: were a label read, other labels would give other features."""
    deal = rng(5, "labels")
    labelled = table(frame).append_column("is_fraud", pa.array(deal.random(len(frame)) < 0.5))
    other = table(frame).append_column("is_fraud", pa.array(deal.random(len(frame)) < 0.5))
    ours, theirs = (pa.Table.from_batches(feature_rows(table_stream(rows))) for rows in (labelled, other))
    assert ours == theirs
    assert not set(FEATURE_SCHEMA.names) & set(LABELS)
    assert set(LOG_COLUMNS) <= set(FEATURES)


@pytest.mark.parametrize("rows_at_once", [1, 7, 400])
def test_features_are_the_rows_own_in_their_order_whatever_the_batches(frame, rows_at_once):
    """Guards against features that are shifted against their rows, and against bytes that depend on batch lengths."""
    whole = table(frame)
    stream = table_stream(pa.Table.from_batches(whole.to_batches(max_chunksize=rows_at_once)))
    found = pa.Table.from_batches(feature_rows(stream), FEATURE_SCHEMA)
    assert found.column("transaction_id").to_pylist() == frame["transaction_id"].tolist()
    expected = window_features(frame)
    pd.testing.assert_frame_equal(
        found.select(list(expected.columns)).to_pandas(), expected.reset_index(drop=True), check_exact=True
    )


@pytest.mark.parametrize("part_rows", [1, 60, 399])
def test_features_are_the_same_however_many_rows_are_reckoned_at_a_time(frame, part_rows, monkeypatch):
    """Guards large shards: a customer, card … whose rows were torn apart would lose its past."""
    expected = pa.Table.from_batches(feature_rows(table_stream(table(frame))))
    monkeypatch.setattr(store, "PART_ROWS", part_rows)
    assert pa.Table.from_batches(feature_rows(table_stream(table(frame)))) == expected


def test_an_empty_shard_has_features_of_nothing(frame):
    """Guards against a scenario without rows breaking the export or the store."""
    empty = table(frame.iloc[:0])
    assert pa.Table.from_batches(feature_rows(table_stream(empty)), FEATURE_SCHEMA).num_rows == 0
    assert all(found.num_rows == 0 for found in states(empty, frame["event_time"].max().to_pydatetime()).values())
