"""The suite must be met by our batches and not by distorted ones; its pages must open and call nobody."""

import re
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.formatting import clean
from sgf_pipeline.quality import expectations, realism
from sgf_pipeline.quality.expectations import SUITE, Expected, expect, gather
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

ASKED = content(count=8_000, fraud_ratio=0.04)


def batches_of(asked: RequestContent) -> dict[str, list[pa.RecordBatch]]:
    shards = {}
    for name in asked.scenarios:
        ids = Identifiers("s", content_sha="c", seed=asked.seed, population_seed=asked.population_seed, scenario=name)
        shards[name] = list(clean(simulate(asked, name, CASES[name]), asked, ids))
    return shards


@pytest.fixture(scope="module")
def shards() -> dict[str, list[pa.RecordBatch]]:
    return batches_of(ASKED)


@pytest.fixture(scope="module")
def statistics(shards) -> list[realism.Statistic]:
    return realism.measure(realism.collect(shards.items(), ASKED), ASKED, replicates=20)


@pytest.fixture(scope="module")
def rows(shards) -> pd.DataFrame:
    return gather((batch for batches in shards.values() for batch in batches), ASKED)


@pytest.fixture(scope="module")
def ours(rows, statistics, tmp_path_factory) -> Expected:
    """The suite run without a network: whoever calls home fails here."""

    def refuse(*_: object) -> None:
        raise AssertionError("the suite called somebody")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        return expect(rows, ASKED, statistics, tmp_path_factory.mktemp("docs"))


def unmet(found: Expected) -> set[str]:
    return {f"{outcome.column}: {outcome.expectation}" for outcome in found.failed}


def test_a_batch_of_ours_meets_the_suite(ours):
    """Guards against a suite that nothing can meet, or that has nothing to say about distributions."""
    assert unmet(ours) == set()
    spoken_of = {outcome.column for outcome in ours.outcomes}
    assert {
        "ln_purchase", "purchase_in_euros", "purchase_first_digit", "purchase_is_whole", "purchase_ends_99",
        "legit_local_hour", "legit_is_declined", "legit_is_refund", "legit_is_tiny", "card_id", "day_of_period",
    } <= spoken_of  # fmt: skip


def test_the_numbers_are_numbers(ours):
    """Guards the record: what was observed is there, as JSON knows it, beside what was expected."""
    by_column = {(o.column, o.expectation): o for o in ours.outcomes}
    fraud = by_column["is_fraud", "column_mean_to_be_between"]
    assert fraud.observed == pytest.approx(0.04)
    hours = by_column["legit_local_hour", "column_kl_divergence_to_be_less_than"]
    assert 0 < hours.observed < hours.expected["threshold"] < 1


def _night(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(event_time=rows["event_time"].dt.floor("D") + pd.Timedelta(2, "h"))


@pytest.mark.parametrize(
    ("columns", "distort"),
    [
        (
            {"purchase_is_whole", "legit_is_hard_negative", "channel", "entry_mode", "card_id", "table"},
            lambda f: f.assign(
                amount=f["amount"].round(), hard_negative="travel", channel="pos", entry_mode="thought", card_id=None
            ).iloc[1:],
        ),
        ({"purchase_ends_99", "legit_local_hour"}, lambda f: _night(f.assign(amount=np.floor(f["amount"]) + 0.99))),
        (
            {"purchase_in_euros", "day_of_period"},
            lambda f: f.assign(amount=f["amount"] * 30, event_time=f["event_time"].min()),
        ),
        (  # the median stays where it was
            {"purchase_in_euros"},
            lambda f: f.assign(amount=f["amount"].where(np.arange(len(f)) % 5 > 0, f["amount"] * 1e6)),
        ),
        ({"ln_purchase"}, lambda f: f.assign(amount=(f["amount"] ** 3).round(2))),
        ({"purchase_first_digit"}, lambda f: f.assign(amount=500 + f["amount"] % 300)),
        ({"amount"}, lambda f: f.assign(amount=-f["amount"])),
        ({"legit_is_declined"}, lambda f: f.assign(response_code="51")),
        ({"legit_is_refund", "is_fraud"}, lambda f: f.assign(transaction_type="refund", is_fraud=False)),
    ],
)
def test_a_distorted_batch_is_told_by_its_columns(rows, statistics, columns, distort):
    """Guards each expectation: distort what it looks at, and it is among those that are not met."""
    words = [name for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)]
    distorted = distort(rows.astype(dict.fromkeys(words, object)))
    distorted = distorted.assign(**{name: distorted[name].astype("category") for name in words})
    assert columns <= {outcome.column for outcome in expect(distorted, ASKED, statistics).failed}


def test_a_legal_batch_that_no_bank_has_ever_seen_is_not_judged():
    """Guards requests of a hundred rows with nine frauds in ten: their words are looked at, their shape is not."""
    asked = content(count=100, fraud_ratio=0.9)
    shards = batches_of(asked)
    statistics = realism.measure(realism.collect(shards.items(), asked), asked)
    found = expect(gather((batch for own in shards.values() for batch in own), asked), asked, statistics)
    assert unmet(found) == set()
    assert {outcome.column for outcome in found.outcomes} >= {"channel", "amount", "table"}
    assert "ln_purchase" not in {outcome.column for outcome in found.outcomes}


def test_the_same_rows_give_the_same_numbers(rows, statistics, ours):
    """Guards the manifest, which is compared byte by byte: no clock and no chance in what it records."""
    again = expect(rows, ASKED, statistics)
    assert again.outcomes == ours.outcomes
    assert again.pages == {}


def test_data_docs_open_and_lead_to_the_numbers(ours):
    """Guards the pages: an index that names the suite, links that lead to every column, no foreign pictures."""
    index = ours.pages["index.html"].decode()
    assert SUITE in index
    links = {link for link in re.findall(r'href="([^"#]+\.html)"', index) if "://" not in link}
    assert links
    assert {link.removeprefix("./") for link in links} <= set(ours.pages)
    (validation,) = (page for name, page in ours.pages.items() if name.startswith("validations/"))
    for outcome in ours.outcomes:
        assert outcome.column == "table" or outcome.column in validation.decode()
    for name, page in ours.pages.items():
        if name.endswith(".html"):
            assert b"great-expectations-web-assets" not in page
            logos = re.findall(r"(?:\.\./)*static/images/logo-long\.png", page.decode())
            assert all((Path(name).parent / logo).resolve() == Path("static/images/logo-long.png").resolve()
                       for logo in logos)  # fmt: skip
    assert "static/images/logo-long.png" in ours.pages


def test_a_sample_of_a_large_batch_is_of_whole_customers(shards, rows, monkeypatch):
    """Guards the sample: what a customer does is looked at whole, and the sample is no larger than it should be."""
    monkeypatch.setattr(expectations, "MOST_ROWS", ASKED.count // 10)
    sample = gather((batch for batches in shards.values() for batch in batches), ASKED)
    assert 0.03 < len(sample) / len(rows) < 0.3
    kept = sample["customer_id"].value_counts()
    assert (kept[kept > 0] == rows["customer_id"].value_counts()[kept[kept > 0].index]).all()
    assert set(CLEAN_SCHEMA.names) >= set(sample.columns)
