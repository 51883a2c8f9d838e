"""The door of every batch: what a request accepts, refuses and counts."""

import hashlib
import json
import math
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.money import round_half_up, split_largest_remainder, unit_amount
from sgf_pipeline.domain.request import (
    GenerationRequest,
    RequestContent,
    RequestDelivery,
    canonical_json,
    parse_request,
)
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES

CONTENT = {
    "count": 50_000,
    "fraud_ratio": 0.08,
    "scenarios": ["money_laundering", "card_testing"],
    "start_date": "2025-01-01T00:00:00Z",
    "end_date": "2025-01-31T23:59:59Z",
    "seed": 12345,
}


def parse(**changes: object) -> GenerationRequest:
    return parse_request("gen_1", {**CONTENT, **changes}, {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fraud_ratio": 1.01}, ["fraud_ratio", "1.01"]),
        ({"fraud_ratio": -0.1}, ["fraud_ratio", "-0.1"]),
        ({"fraud_ratio": float("nan")}, ["fraud_ratio"]),
        ({"count": 0}, ["count", "0"]),
        ({"count": 2.5}, ["count", "2.5"]),
        ({"hard_negative_share": 0.21}, ["hard_negative_share", "0.21"]),
        ({"hard_negative_share": -0.01}, ["hard_negative_share", "-0.01"]),
        ({"scenarios": ["shoplifting"]}, ["shoplifting", "card_testing"]),
        ({"scenarios": []}, ["scenarios"]),
        ({"currency": "XYZ"}, ["XYZ", "EUR"]),
        ({"countries": ["FR", "Germany"]}, ["Germany", "alpha-2"]),
        ({"countries": []}, ["countries"]),
        ({"end_date": "2024-12-31T00:00:00Z"}, ["end_date", "2024-12-31", "later than"]),
        ({"end_date": "2045-12-31T00:00:00Z"}, ["end_date", "days"]),
        ({"start_date": "yesterday"}, ["start_date", "yesterday"]),
        ({"tenant": "a/b"}, ["tenant", "a/b"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"weights": {"phishing": 1}}, ["weights", "phishing"]),
        ({"weights": {"card_testing": 0}}, ["weights"]),
        ({"weights": {"card_testing": -1, "money_laundering": 2}}, ["weights", "-1", "≥ 0"]),
        ({"colour": "blue"}, ["colour"]),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence_that_names_field_and_value(changes, words):
    """Guards against a request that fails deep in the simulation, or with a traceback, instead of at the door."""
    with pytest.raises(InvalidRequestError) as refused:
        parse(**changes)
    message = str(refused.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def _of_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _doubled(times: int) -> list[Any]:
    """What nine aliases of aliases make of a line of YAML: small here, endless where it is written out."""
    value: list[Any] = ["x"]
    for _ in range(times):
        value = [value] * 9
    return value


ODD: dict[str, Any] = {
    "nothing": None, "list": [], "dict": {}, "nested list": [[]], "list of dicts": [{"a": "b"}],
    "list of nothing": [None], "dict of lists": {"phishing": []}, "key that is a number": {1: 2}, "set": {"FR"},
    "known and unknown": ["phishing", 5], "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "text nan": "nan",
    "text inf": "inf", "nan weight": {"card_testing": math.nan}, "inf weight": {"card_testing": math.inf},
    "huge weight": {"card_testing": 10**5000}, "huge": 10**5000, "-huge": -(10**5000), "5,000 digits": "9" * 5000,
    "long text": "x" * 5000, "half a character": "\ud800", "bytes": b"\xff", "of itself": _of_itself(),
    "bomb": _doubled(30), "line break": {"a\nb": 1}, "year 1": "0001-01-01T00:00:00+14:00",
    "year 9999": "9999-12-31T23:59:59-12:00", "object": object(),
}  # fmt: skip


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("field", [*RequestContent.model_fields, *RequestDelivery.model_fields])
def test_no_value_of_any_field_is_a_traceback_or_a_request_without_a_record(field, value):
    """Guards the doors that take anything (YAML, JSON): refused by field and in one short sentence, or recorded whole.

    An accepted value that cannot be written down or counted would fail later, at night.
    """
    content, delivery = dict(CONTENT), {}
    (content if field in RequestContent.model_fields else delivery)[field] = value
    try:
        request = parse_request("gen_1", content, delivery)
    except InvalidRequestError as error:
        message = str(error)
        assert re.match({"countries": "countr(y|ies)", "scenarios": "scenarios?"}.get(field, field), message)
        assert "\n" not in message
        assert len(message) < 400
    else:
        assert GenerationRequest.from_record(request.record().encode()) == request
        assert sum(counts.rows for counts in request.content.shard_counts().values()) == 50_000


def test_what_a_list_holds_is_looked_at_whole():
    """Guards against what is not understood being left out in silence, and against sets, which have no order."""
    for refused in ({"scenarios": ["phishing", 5]}, {"countries": {"FR", "DE"}}, {"scenarios": "phishing"}):
        with pytest.raises(InvalidRequestError, match="use a list of texts"):
            parse(**refused)


@pytest.mark.parametrize("batch_id", ["", "ab", "A_batch", "a|b", "a/../b", "a,b", "_x1", "x" * 64, "é_batch"])
def test_a_malformed_batch_id_is_refused(batch_id):
    """Guards against keys that Dagster accepts and that break partitions, paths or Hive folders."""
    with pytest.raises(InvalidRequestError, match="batch_id"):
        parse_request(batch_id, CONTENT, {})


def test_scenarios_come_out_in_canonical_order_and_hash_alike_in_any_order():
    """Guards against two spellings of one request building two different datasets."""
    one, other = parse(), parse(scenarios=["card_testing", "money_laundering"])
    assert one.content.scenarios == ("card_testing", "money_laundering")
    assert one.content.content_sha == other.content.content_sha


def test_delivery_never_changes_the_content_hash():
    """Guards against a sink switched off giving other data."""
    quiet = parse_request("gen_1", CONTENT, {"s3": False, "requested_by": "somebody"})
    assert quiet.content.content_sha == parse().content.content_sha


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"count": 50_001}, {"difficulty": 0.6}, {"tenant": "other"}, {"hard_negative_share": 0.0}],
)
def test_every_field_of_the_content_changes_the_hash(change):
    """Guards against a field that is left out of the hash: two datasets would then claim to be one."""
    assert parse(**change).content.content_sha != parse().content.content_sha


def test_a_record_reads_back_and_an_edited_one_is_refused():
    """Guards against a request file changed by hand building something that its hash denies."""
    request = parse()
    assert GenerationRequest.from_record(request.record()) == request
    edited = json.loads(request.record())
    edited["content"]["count"] = 10
    with pytest.raises(InvalidRequestError, match="content_sha"):
        GenerationRequest.from_record(json.dumps(edited))


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"5", b'"x"', b"\xff", b"{}", b"[" * 100_000])
def test_a_damaged_record_is_one_sentence(text):
    """Guards against a traceback, which would stop a schedule or a sensor for every other batch."""
    with pytest.raises(
        InvalidRequestError, match=r"^a recorded request cannot be read \(.*\): register it under"
    ) as told:
        GenerationRequest.from_record(text)
    assert "\n" not in str(told.value)


def test_a_record_from_before_a_field_existed_reads_back_as_its_default():
    """Guards against batches that can no longer be resumed because the request has learnt a new field."""
    record = json.loads(parse().record())
    del record["content"]["hard_negative_share"]
    record["content_sha"] = hashlib.sha256(canonical_json(record["content"]).encode()).hexdigest()
    assert GenerationRequest.from_record(json.dumps(record)) == parse()
    assert parse(hard_negative_share=0.015).content.content_sha == parse().content.content_sha


def test_population_seed_follows_the_seed():
    """Guards against customers that stay the same although the user asked for another seed."""
    assert parse(seed=7).content.population_seed == 7
    assert parse(seed=7, population_seed=3).content.population_seed == 3


def test_the_demonstration_request_splits_as_promised():
    """Guards the counts that the README shows."""
    counts = parse().content.shard_counts()
    assert {name: (c.rows, c.fraudulent) for name, c in counts.items()} == {
        "card_testing": (25_000, 2_000),
        "money_laundering": (25_000, 2_000),
    }
    odd = parse(count=50_001).content.shard_counts()
    assert sum(c.rows for c in odd.values()) == 50_001
    assert sum(c.fraudulent for c in odd.values()) == 4_000


@given(
    count=st.integers(1, 10**7),
    ratio=st.decimals(0, 1, places=4).map(float),
    scenarios=st.lists(st.sampled_from(SCENARIO_NAMES), min_size=1, unique=True),
)
def test_counts_are_exact_for_any_request(count, ratio, scenarios):
    """Guards against rounding that loses or invents a row somewhere between request and shards."""
    content = parse(count=count, fraud_ratio=ratio, scenarios=scenarios).content
    counts = content.shard_counts()
    assert sum(c.rows for c in counts.values()) == count
    assert sum(c.fraudulent for c in counts.values()) == round_half_up(Decimal(count) * Decimal(str(ratio)))
    for part in ("fraudulent", "legit"):
        sizes = [getattr(c, part) for c in counts.values()]
        assert max(sizes) - min(sizes) <= 1


def test_largest_remainder_follows_weights_and_gives_ties_to_the_first():
    """Guards against ties that depend on hashing or on the order of a set."""
    assert split_largest_remainder(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert split_largest_remainder(7, {"a": 0.1, "b": 0.2, "c": 0}) == {"a": 2, "b": 5, "c": 0}
    with pytest.raises(ValueError, match="positive sum"):
        split_largest_remainder(1, {"a": 0})


def test_half_a_fraud_rounds_up():
    """Guards against banker's rounding, which would round 0.5 down and 1.5 up."""
    assert [parse(count=n, fraud_ratio=0.5).content.fraudulent for n in (1, 3, 5)] == [1, 2, 3]


def test_unit_amounts_follow_the_currency():
    """Guards against testing cards with 1 yen."""
    assert [unit_amount(code) for code in ("EUR", "USD", "JPY", "KRW")] == [1, 1, 100, 1000]
