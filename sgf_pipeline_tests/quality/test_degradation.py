"""The measure of behaviour must be 1 for real cards and grow as sequences lose their order."""

import numpy as np
import pandas as pd
import pytest

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.quality.degradation import degradation


def cards(seed: int, number: int = 400, bursts: int = 6) -> pd.DataFrame:
    """A year of cards that pay in bursts of a few days, some far more often than others."""
    generator = rng(seed, "cards")
    pieces = []
    for card in range(number):
        for start in generator.integers(0, 350, 1 + generator.poisson(bursts * generator.lognormal(0, 0.8))):
            rows = 1 + generator.geometric(0.4)
            pieces.append(pd.DataFrame({"card": card, "day": start + np.sort(generator.integers(0, 4, rows))}))
    log = pd.concat(pieces, ignore_index=True)
    return log.assign(amount=np.exp(generator.normal(3, 1, len(log))))


@pytest.fixture(scope="module")
def halves() -> tuple[pd.DataFrame, pd.DataFrame]:
    return cards(1), cards(2)


def test_one_half_against_the_other_is_one(halves):
    """Guards the unit: what real cards do among themselves."""
    a, b = halves
    found = degradation(a, b, a)
    assert (found.gaps, found.bursts, found.rules, found.overall) == (1, 1, 1, 1)
    assert 0.2 < degradation(a, b, cards(3)).overall < 5


def test_rows_dealt_out_without_regard_to_their_card_are_far_away(halves):
    """Guards against forgiving a generator of independent rows: it keeps every margin and loses every sequence."""
    a, b = halves
    dealt = a.assign(day=rng(4).permutation(a["day"]), card=rng(5).permutation(a["card"]))
    found = degradation(a, b, dealt)
    assert found.gaps > 5
    assert found.bursts > 5
    assert found.rules > 5


def test_order_of_rows_and_names_of_cards_mean_nothing(halves):
    """Guards against reading a file's order, or the first day of its log, as behaviour."""
    a, b = halves
    shuffled = a.sample(frac=1, random_state=1).assign(
        card=lambda f: "card " + f["card"].astype(str), day=lambda f: f["day"] + 900
    )
    assert degradation(a, b, shuffled).overall == pytest.approx(1, abs=1e-3)


def test_too_few_cards_are_refused(halves):
    """Guards against a ratio of noise to noise."""
    a, b = halves
    with pytest.raises(InvalidRequestError, match="synthetic has 29 cards"):
        degradation(a, b, a[a["card"] < 29])
