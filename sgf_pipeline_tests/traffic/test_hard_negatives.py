"""Hard negatives: as many as asked for, of every kind, and each doing what its name says."""

import numpy as np
import pytest

from sgf_pipeline.domain.events import DIRECTIONS, HARD_NEGATIVES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.population.customers import population
from sgf_pipeline.population.filling import BOOKING_LEAST_US
from sgf_pipeline.population.places import DAY_US, country_index
from sgf_pipeline.traffic import legitimate
from sgf_pipeline.traffic.hard_negatives import NEW_DEVICE_US, SPREE_US, YOUNG_DAYS
from sgf_pipeline.traffic.scene import FURNISHING_DAYS
from sgf_pipeline_tests.traffic.test_legitimate import START, blocks, of_kind, people, traffic

LOOK_ALIKES = {
    "card_testing": ("card_verification", "gift_spree"),
    "account_takeover": ("new_device", "travel"),
    "identity_theft": ("young_account",),
    "merchant_fraud": ("sale_day", "subscription_burst"),
    "money_laundering": ("salary_split", "pass_through", "large_transfer"),
    "phishing": ("large_transfer", "new_device"),
    "chargeback_fraud": ("honest_dispute",),
}


def shard(scenario: str, rows: int, share: float = 0.015, size: int | None = None) -> EventBlock:
    who = population(3, scenario, size or max(60, rows // 20), people(10).world, START // DAY_US)
    return EventBlock.concat(list(blocks(who, rows, scenario=scenario, share=share)))


def marked(block: EventBlock, kind: str) -> np.ndarray:
    return np.flatnonzero(block["hard_negative"] == HARD_NEGATIVES.index(kind))


@pytest.fixture(scope="module")
def many() -> EventBlock:
    """A month of which a fifth are hard negatives, so that there is enough of every kind to look at."""
    return shard("phishing", 30_000, share=0.2)


@pytest.mark.parametrize("scenario", SCENARIO_NAMES)
def test_a_shard_has_its_share_of_every_kind_and_most_of_its_look_alikes(scenario: str) -> None:
    """Guards: a shard whose fraud has nothing honest beside it that looks like it."""
    block = shard(scenario, 7000)
    kinds = block["hard_negative"][block["hard_negative"] >= 0]
    counts = np.bincount(kinds, minlength=len(HARD_NEGATIVES))
    assert np.all(counts > 0), [HARD_NEGATIVES[number] for number in np.flatnonzero(counts == 0)]
    assert abs(counts.sum() / len(block) - 0.015) < 0.003
    expected = [counts[HARD_NEGATIVES.index(kind)] for kind in LOOK_ALIKES[scenario]]
    others = [counts[number] for number, kind in enumerate(HARD_NEGATIVES) if kind not in LOOK_ALIKES[scenario]]
    assert min(expected) > np.median(others)


def test_the_share_follows_the_setting() -> None:
    """Guards: a setting that does nothing beyond some point, and hard negatives where none are wanted."""
    found = [np.mean(shard("phishing", 6000, share=share)["hard_negative"] >= 0) for share in (0, 0.005, 0.05, 0.2)]
    assert found[0] == 0
    assert np.allclose(found[1:], [0.005, 0.05, 0.2], rtol=0.1)


def test_travellers_pay_abroad_for_some_days(many: EventBlock) -> None:
    """Guards: a journey of one row, or one made at home."""
    rows = marked(many, "travel")
    world = people(10).world
    at_till = rows[(many["merchant"][rows] >= 0) & (many["ip"][rows] < 0)]
    abroad = world.merchant_country[world.position(many["merchant"][at_till])]
    home = population(3, "phishing", 1500, world, START // DAY_US).country[many["customer"][at_till]]
    assert np.mean(abroad != home) > 0.9
    assert len(np.unique(abroad)) > 5
    reached = many["ip_country"][rows][many["ip"][rows] >= 0]
    assert np.mean(reached == country_index("FR")) < 0.6
    _, number = np.unique(many["customer"][rows], return_counts=True)
    assert number.mean() > 2


def test_a_new_phone_is_new_and_stays(many: EventBlock) -> None:
    """Guards: a phone that was used before, or is gone after a week."""
    rows = marked(many, "new_device")
    for device in np.unique(many["device"][rows])[:40]:
        seen = np.sort(many["time"][many["device"] == device])
        fresh = many["time"][rows[many["device"][rows] == device]]
        # A row that names no device, or one abroad, may be the very first.
        assert fresh.max() - seen[0] <= NEW_DEVICE_US
        owner = many["customer"][many["device"] == device][0]
        later = (many["customer"] == owner) & (many["time"] > fresh.max()) & (many["device"] == owner * 8)
        assert not later.any(), "the old phone is used again"


def test_a_relatives_tablet_belongs_to_the_household(many: EventBlock) -> None:
    """Guards: shared devices among strangers."""
    rows = marked(many, "shared_device")
    who = population(3, "phishing", 1500, people(10).world, START // DAY_US)
    assert len(rows) > 30
    assert np.all(many["device"][rows] // 8 != many["customer"][rows])
    owner = many["device"][rows] // 8
    assert np.array_equal(who.ip[owner], who.ip[many["customer"][rows]])


def test_sprees_and_sales_are_crowded(many: EventBlock) -> None:
    """Guards: a spree spread over the month, or a sale on every day."""
    spree = marked(many, "gift_spree")
    for customer in np.unique(many["customer"][spree]):
        mine = many["time"][spree[many["customer"][spree] == customer]]
        assert mine.max() - mine.min() <= SPREE_US
    sale = marked(many, "sale_day")
    day = many["time"][sale] // DAY_US
    assert len(np.unique(np.stack([many["merchant"][sale], day]), axis=1).T) <= 16
    assert len(np.unique(many["customer"][sale])) > 0.5 * len(sale)


def test_young_accounts_build_and_then_spend() -> None:
    """Guards: account age as a tell-tale: only thieves buy much on a young account."""
    block = shard("identity_theft", 14_000)
    rows = marked(block, "young_account")
    assert np.all(block["account_age_days"][rows] < YOUNG_DAYS)
    kinds = {TRANSACTION_TYPES[kind] for kind in np.unique(block["transaction_type"][rows])}
    assert kinds == {"purchase", "withdrawal", "transfer"}
    bought = of_kind(block, "purchase")
    spent = rows[np.isin(rows, bought)]
    assert np.median(block["amount"][spent]) > 4 * np.median(block["amount"][bought])
    for customer in np.unique(block["customer"][rows]):
        mine = block["time"][rows[block["customer"][rows] == customer]]
        assert mine.max() - mine.min() <= FURNISHING_DAYS * DAY_US
    before = [
        np.any((block["customer"] == block["customer"][row]) & (block["time"] < block["time"][row])) for row in spent
    ]
    assert np.mean(before) > 0.6


def test_large_payments_go_to_new_payees(many: EventBlock) -> None:
    """Guards: a large transfer as a tell-tale: honest people, too, pay for a house once."""
    rows = marked(many, "large_transfer")
    usual = of_kind(many, "transfer")
    usual = usual[many["hard_negative"][usual] < 0]
    assert np.median(many["amount"][rows]) > 8 * np.median(many["amount"][usual])
    assert np.mean(many["amount"][rows] > 300_000) > 0.25
    pairs = many["customer"] << 41 | np.maximum(many["counterparty"], 0)
    first = [many["time"][pairs == pairs[row]].min() == many["time"][row] for row in rows]
    assert np.mean(first) > 0.5
    assert {DIRECTIONS[code] for code in np.unique(many["direction"][rows])} == {"debit", "credit"}


def test_money_passes_through_within_a_day_or_so(many: EventBlock) -> None:
    """Guards: quick onward payment as a tell-tale of mules."""
    for kind in ("pass_through", "salary_split"):
        rows = marked(many, kind)
        credit = many["direction"][rows] == DIRECTIONS.index("credit")
        assert 0.1 < credit.mean() < 0.9, kind
        waits = []
        for customer in np.unique(many["customer"][rows]):
            mine = rows[many["customer"][rows] == customer]
            into = many["direction"][mine] == DIRECTIONS.index("credit")
            if into.any() and not into.all():
                waits.append(many["time"][mine[~into]].max() - many["time"][mine[into]].min())
        assert len(waits) > 10
        assert np.median(waits) < 1.5 * DAY_US, kind
        assert min(abs(wait) for wait in waits) > BOOKING_LEAST_US


def test_a_dispute_comes_with_its_purchase(many: EventBlock) -> None:
    """Guards: chargebacks as a tell-tale: honest people dispute what they bought, too."""
    rows = marked(many, "honest_dispute")
    disputes = np.intersect1d(rows, of_kind(many, "chargeback"))
    assert len(disputes) > 20
    assert np.mean(many["hard_negative"][many["link"][disputes]] == HARD_NEGATIVES.index("honest_dispute")) > 0.95
    assert np.array_equal(np.sort(of_kind(many, "chargeback")), disputes)


def test_cards_are_checked_and_subscriptions_renewed_in_a_row(many: EventBlock) -> None:
    """Guards: checks and renewals as lonely rows, beside which the runs of card testers stand out."""
    for kind in ("card_verification", "subscription_burst"):
        rows = marked(many, kind)
        mine = np.sort(many["customer"][rows].astype("int64") << 41 | (many["time"][rows] // (6 * 3_600_000_000)))
        _, together = np.unique(mine, return_counts=True)
        assert np.mean(np.repeat(together, together) > 1) > 0.7, kind
    tiny = marked(many, "card_verification")
    assert np.all(many["amount"][tiny] <= 200)
    assert {0, 100} <= set(many["amount"][tiny])


def test_hard_negatives_do_not_change_who_the_customers_are() -> None:
    """Guards: an account or a home that moves with the setting."""
    for share in (0.0, 0.2):
        block = traffic(people(300), 4000) if share else EventBlock.concat(
            list(legitimate(people(300), seed=5, scenario="phishing", rows=4000, start_us=START,
                            end_us=START + 30 * DAY_US))
        )  # fmt: skip
        assert np.array_equal(block["account"], people(300).account[block["customer"]])
