import numpy as np
import pytest

from sgf_pipeline.domain.events import AUTHENTICATIONS, CHANNELS, COLUMNS, ENTRY_MODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population import filling
from sgf_pipeline.population.customers import Population, population
from sgf_pipeline.population.world import world

N = 4000
START_DAY = 20_089


@pytest.fixture(scope="module")
def people() -> Population:
    return population(3, "phishing", 800, world(3, ("FR",), "EUR"), START_DAY)


def filled(people: Population, kind: str, channel: str) -> EventBlock:
    """``N`` rows of one kind on one channel, through the public functions."""
    random = np.random.default_rng(1)
    customers = random.integers(0, people.size, N)
    times = START_DAY * 86_400_000_000 + random.integers(0, 10**12, N)
    shops = people.world.pick_in_city(random, people.city[customers])
    amounts = people.world.amounts(random, shops)
    if kind in ("purchase", "verification"):
        columns = filling.card_payments(
            people, random, customers, shops, times, amounts, channel, transaction_type=kind
        )
    elif kind in ("refund", "chargeback"):
        bought = filling.card_payments(people, random, customers, shops, times, amounts, channel)
        reason = np.zeros(N, dtype=np.int8) if kind == "chargeback" else None
        columns = filling.returns(
            people, random, bought, np.arange(N), times + 1, amounts, transaction_type=kind, dispute_reason=reason
        )
    elif channel in ("atm", "branch"):
        columns = filling.cash(people, random, customers, times, amounts, channel, kind)
    else:
        accounts = filling.external_accounts(customers, 4)
        columns = filling.transfers(
            people, random, customers, times, amounts, channel, "credit", accounts, people.country[customers],
            transaction_type=kind,
        )  # fmt: skip
    return EventBlock.of(N, columns)


@pytest.mark.parametrize(("kind", "channel"), filling.NULL_PATTERN)
def test_nulls_follow_the_pattern(people: Population, kind: str, channel: str) -> None:
    """Guards: a filling function that leaves out, or adds, a column the pattern promises for its kind."""
    block = filled(people, kind, channel)
    assert np.all(block["transaction_type"] == TRANSACTION_TYPES.index(kind))
    assert np.all(block["channel"] == CHANNELS.index(channel))
    pattern = filling.NULL_PATTERN[kind, channel]
    for column in filling.NULLABLE:
        values = block[column]
        is_set = ~np.isnan(values) if column in filling.PLACE else values != COLUMNS[column].null
        assert np.mean(is_set) == pytest.approx(pattern.get(column, 0.0), abs=0.03), column
    for group in (filling.SESSION, filling.PLACE, filling.OTHER_SIDE):
        present = [np.isnan(block[c]) if c in filling.PLACE else block[c] < 0 for c in group]
        assert all(np.array_equal(present[0], other) for other in present), group


def test_impossible_kinds_are_refused(people: Population) -> None:
    """Guards: a scenario that invents a purchase in a branch, whose nulls no honest row shares."""
    with pytest.raises(KeyError, match="purchase is made on channel branch"):
        filled(people, "purchase", "branch")


def test_a_card_is_read_and_checked_as_the_channel_allows(people: Population) -> None:
    """Guards: a chip read online, or 3-D Secure at a till."""
    till, shop = filled(people, "purchase", "pos"), filled(people, "purchase", "ecommerce")
    assert {ENTRY_MODES[code] for code in np.unique(till["entry_mode"])} == {"chip", "contactless", "magstripe"}
    assert {AUTHENTICATIONS[code] for code in np.unique(till["authentication"])} == {"pin", "none"}
    assert {ENTRY_MODES[code] for code in np.unique(shop["entry_mode"])} == {"manual", "stored_credential"}
    assert "pin" not in {AUTHENTICATIONS[code] for code in np.unique(shop["authentication"])}


def test_positions_have_two_decimals(people: Population) -> None:
    """Guards: a number of decimals that tells who filled a row."""
    for channel in ("pos", "mobile"):
        latitude = filled(people, "purchase", channel)["latitude"]
        latitude = latitude[~np.isnan(latitude)]
        assert np.array_equal(latitude, np.round(latitude, 2))


def test_accounts_elsewhere_do_not_collide(people: Population) -> None:
    """Guards: a landlord who is also an employer, or an offender."""
    own = filling.external_accounts(np.array([0, 20_000_000]), 63)
    firms = filling.company_accounts(np.array([0, 242]), np.array([0, (1 << 20) - 1]))
    assert own.max() < firms.min()
    assert firms.max() < filling.OFFENDER_ACCOUNTS


def test_companies_of_different_trades_are_different() -> None:
    """Guards: a landlord who is also a power company, or an employer whom nobody shares."""
    luck, here = np.random.default_rng(1).random(5000), np.zeros(5000, dtype=np.int64)
    found = {trade: filling.companies(trade, here, luck) for trade in filling.COMPANIES}
    assert len(np.unique(np.concatenate([np.unique(keys) for keys in found.values()]))) == sum(
        len(np.unique(keys)) for keys in found.values()
    )
    assert np.mean(found["employer"][:200, None] == found["employer"][None, 200:400], axis=1).astype(bool).mean() > 0.3
