"""The reference's profile must be made of aggregates only, from the months that were published whole."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.profile import read_profile
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.quality import reference
from sgf_pipeline.quality.realism import shipped_profile

DAYS = 91  # April to June 2014


def log(cards: int = 150, rows: int = 9_000) -> pd.DataFrame:
    """An invented log of three months in the reference's columns."""
    generator = rng(1, "log")
    card = generator.integers(0, cards, rows)
    return pd.DataFrame({
        "date": pd.Timestamp("2014-04-01") + pd.to_timedelta(np.sort(generator.integers(0, DAYS, rows)), unit="D"),
        "amount": np.round(np.exp(generator.normal(3.5, 1.2, rows) + (card % 5) / 4), 2),
        "merchant": [f"shop {number}" for number in generator.zipf(1.4, rows) % 3000],
        "card": card,
    })  # fmt: skip


def test_the_shipped_profile_names_its_source_and_is_what_the_goals_were_set_by():
    """Guards the attribution that the licence asks for, and a profile computed by code that has gone wrong."""
    profile = shipped_profile()
    assert profile.attribution == (
        "Contains public sector information licensed under the Open Government Licence v3.0."
    )
    assert "Birmingham City Council" in profile.source
    month, year = profile.spans["30 days"], profile.spans["1 year"]
    expected = {
        "benford_mad": (0.014, 0.014), "whole": (0.22, 0.21), "ending_99": (0.05, 0.05), "sigma_ln": (1.42, 1.41),
        "zipf_slope": (-0.82, -1.12), "top_merchants": (0.32, 0.45), "repeat_merchant": (0.40, 0.64),
        "burstiness": (0.32, 0.23), "refunds": (0.025, 0.025),
    }  # fmt: skip
    for name, figures in expected.items():
        measured = (getattr(month, name), getattr(year, name))
        assert measured == pytest.approx(figures, abs=0.05), name
    assert {span.days for span in profile.spans.values()} == {30, 365}
    assert profile.spans[f"30 days, {reference.SAME_CARDS} cards"].cards <= reference.SAME_CARDS


def test_the_page_shows_the_shipped_profile():
    """Guards docs/realism.md against figures of another day."""
    page = Path(__file__).parents[2] / "docs" / "realism.md"
    assert reference.markdown(shipped_profile()) in page.read_text(encoding="utf-8")
    assert shipped_profile().attribution.rstrip(".") in " ".join(page.read_text().split()).replace("[", "").replace(
        "]", ""
    )


def test_a_profile_holds_no_row_and_no_name(tmp_path: Path):
    """Guards the reference's rows: what leaves is figures and the words that are always there."""
    out = tmp_path / "profile.json"
    log().to_parquet(tmp_path / "log.parquet")
    reference.main([str(tmp_path / "log.parquet"), "--out", str(out)])
    assert read_profile(out) == reference.profile_of(log())
    assert "shop" not in out.read_text()
    span = json.loads(out.read_text())["spans"]["30 days"]
    assert all(value is None or isinstance(value, (int, float, dict)) for value in span.values())
    assert (span["pieces"], span["days"]) == (3, 30)
    assert span["rows"] == pytest.approx(9_000 * 30 / DAYS, rel=0.02)


def test_figures_of_fewer_than_ten_cards_are_withheld():
    """Guards people: a figure of nine cards is nearly one about each of them."""
    nine = log(cards=9).assign(card=lambda f: f["card"] + 1000)
    crowd = log(cards=150).assign(amount=-1.0)
    facts = reference.profile_of(pd.concat([crowd, nine.iloc[::12]])).spans["30 days"]
    assert facts.whole is None
    assert set(facts.amount_quantiles.values()) == {None}


def test_months_published_in_part_and_booking_accounts_are_left_out():
    """Guards against gaps of a month that no card ever made, and four hotel accounts that speak for all."""
    rows = log()
    may = pd.to_datetime(rows["date"]).dt.month == 5
    assert reference.profile_of(rows[~may | (rows.index % 10 == 0)]).spans["30 days"].pieces == 2
    hotel = rows.head(200).assign(card=9999, merchant="hotel", amount=960.0)
    assert reference.profile_of(pd.concat([rows, hotel])) == reference.profile_of(rows)


def test_a_file_that_holds_no_profile_is_refused_in_one_sentence(tmp_path: Path):
    """Guards the user's own profile against a traceback."""
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        read_profile(tmp_path / "absent.json")
    (tmp_path / "other.json").write_text('{"name": 1}')
    with pytest.raises(InvalidRequestError, match="is no profile"):
        read_profile(tmp_path / "other.json")
