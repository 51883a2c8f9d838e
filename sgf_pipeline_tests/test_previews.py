"""A preview is its request and its cases: exact, repeatable, and made by the stages that make batches."""

import hashlib
import json

import pytest

from sgf_pipeline import previews
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.schema import TRANSACTION_SCHEMA
from sgf_pipeline.llm.mini_backend import MiniBackend


@pytest.fixture(scope="module")
def backend() -> MiniBackend:
    return MiniBackend()


@pytest.fixture(scope="module")
def made(backend) -> previews.Preview:
    return previews.make(previews.parse_preview({"seed": 7, "fraud_ratio": 0.3}, "default"), backend, "salt")


def test_counts_are_exact_and_rows_are_the_products(made):
    """Guards a preview from showing other columns, or another mix, than the batch that it is a preview of."""
    assert made.rows.num_rows == 100
    assert sum(made.rows["is_fraud"].to_pylist()) == 30
    assert made.rows.schema.equals(TRANSACTION_SCHEMA)
    times = made.rows["event_time"].to_pylist()
    assert times == sorted(times)
    for row in made.rows.to_pylist():
        assert bool(row["explanation"]) == row["is_fraud"] == bool(row["fraud_scenarios"])


def test_the_model_is_asked_once_for_all_scenarios(made):
    """Guards the latency: first answers that are not found again would all be asked for a second time."""
    assert set(made.written) == set(made.content.scenarios)
    assert made.usage.cache_hits == made.usage.cases == sum(map(len, made.written.values()))
    assert made.usage.calls == sum(made.usage.rejected.values())


def test_the_same_request_gives_the_same_rows(made, backend):
    """Guards "same request and seed, same rows", for what the answer says of the request as well."""
    assert previews.make(made.content, backend, "salt").transactions == made.transactions
    again = previews.parse_preview(made.request(), "default")
    assert again == made.content
    assert previews.make(previews.parse_preview({"seed": 8}, "default"), backend, "salt").sha256 != made.sha256


def test_rows_follow_from_recorded_cases(made):
    """Guards the replay: a preview can be made again without a model, from what was recorded."""
    cases = {name: [one.case for one in written] for name, written in made.written.items()}
    assert previews.rows_json(previews.play(made.content, cases, "salt")) == made.transactions
    assert previews.rows_json(previews.play(made.content, cases, "other salt")) != made.transactions


def test_the_hash_can_be_checked_by_a_client(made):
    """Guards the hash: it is of the rows as anybody writes them, keys sorted and no spaces."""
    rows = json.loads(made.transactions)
    plain = json.dumps(rows, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hashlib.sha256(plain).hexdigest() == made.sha256


def test_without_fraud_the_model_is_not_asked(backend):
    """Guards an honest preview from failing for want of cases."""
    asked = previews.parse_preview({"seed": 1, "fraud_ratio": 0, "count": 3, "scenarios": ["phishing"]}, "default")
    made = previews.make(asked, backend, "salt")
    assert (made.rows.num_rows, made.usage.calls, made.usage.cases) == (3, 0, 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 101}, "count 101"),
        ({"count": "1000000000"}, "count 1000000000"),
        ({"count": 0}, "count 0"),
        ({"population_size": 10_001}, "population_size 10001"),
        ({"provider": "openai"}, "provider 'openai'"),
        ({"model": "gpt-4o"}, "model 'gpt-4o'"),
        ({"countries": ["AQ"]}, "country 'AQ'"),
        ({"start_date": "soon"}, "start_date 'soon'"),
        ({"nonsense": 1}, "nonsense 1"),
    ],
)
def test_what_a_preview_may_not_ask_for(given, said):
    """Guards the server from a preview that takes minutes, or that needs what a preview does not have."""
    with pytest.raises(InvalidRequestError, match=said):
        previews.parse_preview(given, "default")


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ({}, "2025-01-01T00:00:00Z", "2025-01-30T23:59:59Z"),
        ({"start_date": "2024-02-01"}, "2024-02-01T00:00:00Z", "2024-03-01T23:59:59Z"),
        ({"end_date": "2024-03-01T23:59:59Z"}, "2024-02-01T00:00:00Z", "2024-03-01T23:59:59Z"),
        ({"start_date": "2024-02-01T02:00:00+02:00"}, "2024-02-01T00:00:00Z", "2024-03-01T23:59:59Z"),
    ],
)
def test_a_period_that_is_half_given_has_thirty_days(given, start, end):
    """Guards a period from depending on the day on which it is asked for, or from being no period at all."""
    content = previews.parse_preview(given, "default").model_dump(mode="json")
    assert (content["start_date"], content["end_date"]) == (start, end)
