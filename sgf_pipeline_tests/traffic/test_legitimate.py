import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgf_pipeline.domain.events import CHANNELS, COLUMNS, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.calendars import weekday
from sgf_pipeline.population.customers import Population, population
from sgf_pipeline.population.filling import NULL_PATTERN, NULLABLE, PLACE
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.population.world import world
from sgf_pipeline.quality.realism import burstiness_and_memory
from sgf_pipeline.traffic import legitimate
from sgf_pipeline.traffic.legitimate import PIECE, largest_remainder

START_DAY = 20_089  # 2025-01-01
START = START_DAY * DAY_US
HOUR_US = 3_600_000_000


@lru_cache(maxsize=8)
def people(
    size: int, countries: tuple[str, ...] = ("FR", "DE", "IT"), currency: str = "EUR", seed: int = 3
) -> Population:
    return population(seed, "phishing", size, world(seed, countries, currency), START_DAY)


def blocks(
    who: Population,
    rows: int,
    period_us: int = 30 * DAY_US,
    start_us: int = START,
    seed: int = 5,
    scenario: str = "phishing",
    share: float = 0.015,
) -> Iterator[EventBlock]:
    return legitimate(
        who, seed=seed, scenario=scenario, rows=rows, start_us=start_us, end_us=start_us + period_us - 1,
        hard_negatives=round(share * rows),
    )  # fmt: skip


def traffic(who: Population, rows: int, period_us: int = 30 * DAY_US, seed: int = 5) -> EventBlock:
    return EventBlock.concat(list(blocks(who, rows, period_us, seed=seed)))


def digest(block: EventBlock) -> str:
    return hashlib.sha256(b"".join(block[name].tobytes() for name in COLUMNS)).hexdigest()


def of_kind(block: EventBlock, kind: str) -> np.ndarray:
    return np.flatnonzero(block["transaction_type"] == TRANSACTION_TYPES.index(kind))


@pytest.fixture(scope="module")
def month() -> EventBlock:
    return traffic(people(1500), 30_000)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 3000),
    size=st.sampled_from([1, 2, 3, 60, 1024, 1025, 5000]),
    period_us=st.one_of(st.integers(1_000_000, 40 * DAY_US), st.just(3 * 366 * DAY_US), st.just(HOUR_US)),
    offset_us=st.integers(0, 400 * DAY_US),
    share=st.sampled_from([0.0, 0.015, 0.2]),
)
def test_rows_are_exact_and_inside_the_period(
    rows: int, size: int, period_us: int, offset_us: int, share: float
) -> None:
    """Guards: a row too many or too few, or one outside the period, for any mix of rows, customers and period."""
    start = START + offset_us
    block = EventBlock.concat(list(blocks(people(size), rows, period_us, start, share=share)))
    assert len(block) == rows
    assert share or np.all(block["hard_negative"] < 0)
    assert not block["is_fraud"].any()
    assert np.all((block["time"] >= start) & (block["time"] < start + period_us))
    assert np.all((block["customer"] >= 0) & (block["customer"] < size))
    assert np.all(block["amount"] >= 0)
    linked = np.flatnonzero(block["link"] >= 0)
    assert np.all(block["time"][linked] > block["time"][block["link"][linked]])


def test_few_customers_with_many_rows_come_in_bounded_blocks() -> None:
    """Guards: memory that grows with the rows of one block of customers."""
    lengths = [len(block) for block in blocks(people(3), 3 * PIECE + 1)]
    assert sum(lengths) == 3 * PIECE + 1
    assert len(lengths) == 4
    assert max(lengths) <= PIECE


def test_no_customers_or_no_time_for_rows_is_an_error() -> None:
    """Guards: an endless loop or a division by zero on a call that cannot be met."""
    with pytest.raises(ValueError, match="need a customer and a period"):
        list(blocks(people(0), 1))
    with pytest.raises(ValueError, match="need a customer and a period"):
        list(blocks(people(3), 1, period_us=1))
    assert list(blocks(people(0), 0)) == []


@given(st.integers(0, 10**9), st.lists(st.floats(0.5, 1e4), min_size=1, max_size=50))
def test_largest_remainder_is_exact_and_fair(total: int, weights: list[float]) -> None:
    """Guards: quotas that do not sum to the rows, or are off by more than one."""
    parts = largest_remainder(total, np.array(weights))
    assert parts.sum() == total
    assert np.all(np.abs(parts - total * np.array(weights) / sum(weights)) <= 1 + 1e-6)


def test_same_seed_same_bytes_other_seed_other_rows(month: EventBlock) -> None:
    """Guards: hidden state between two runs, or a seed that is not used."""
    assert digest(month) == digest(traffic(people(1500), 30_000))
    other = traffic(people(1500), 30_000, seed=6)
    assert digest(month) != digest(other)
    assert len(np.intersect1d(month["time"], other["time"])) < 5


def test_blocks_do_not_depend_on_each_other() -> None:
    """Guards: a block whose bytes change with how many blocks were drawn before it."""
    iterator = blocks(people(3000), 60_000)
    first = next(iterator)
    again = list(blocks(people(3000), 60_000))
    assert digest(first) == digest(again[0])
    assert len(again) > 1


def test_nulls_follow_the_pattern(month: EventBlock) -> None:
    """Guards: honest rows whose nulls differ from the table that criminal rows are filled by."""
    seen = set()
    pairs = month["transaction_type"].astype(int) * len(CHANNELS) + month["channel"]
    for pair in np.unique(pairs):
        rows = np.flatnonzero(pairs == pair)
        words = TRANSACTION_TYPES[pair // len(CHANNELS)], CHANNELS[pair % len(CHANNELS)]
        seen.add(words)
        pattern = NULL_PATTERN[words]
        for column in NULLABLE:
            if column == "link" and words[0] == "transfer":
                continue  # on credit legs of two rows only: see the test of links
            values = month[column][rows]
            share = np.mean(~np.isnan(values) if column in PLACE else values != COLUMNS[column].null)
            expected = pattern.get(column, 0.0)
            assert abs(share - expected) <= 6 * np.sqrt(expected * (1 - expected) / len(rows)), (words, column)
    assert seen == set(NULL_PATTERN), "a kind that no honest row has would give away the criminal ones"


def test_refunds_and_disputes_follow_their_purchase(month: EventBlock) -> None:
    """Guards: money back that was never paid, to another card, or more than was paid."""
    for kind, at_least in (("refund", 400), ("chargeback", 10)):
        rows = of_kind(month, kind)
        purchase = month["link"][rows]
        assert len(rows) >= at_least
        assert len(np.unique(purchase)) == len(rows)
        assert np.all(month["transaction_type"][purchase] == TRANSACTION_TYPES.index("purchase"))
        assert np.all(month["response_code"][purchase] == 0)
        for column in ("customer", "account", "card", "merchant", "channel"):
            assert np.array_equal(month[column][rows], month[column][purchase]), column
        assert np.all(month["amount"][rows] <= month["amount"][purchase])
        assert np.all(month["amount"][rows] > 0)
        assert np.all(month["time"][rows] > month["time"][purchase])
        assert np.all(month["direction"][rows] == 1)
    assert np.all(month["dispute_reason"][of_kind(month, "chargeback")] >= 0)


def test_transfers_between_customers_are_mirrored(month: EventBlock) -> None:
    """Guards: money that is lost or made between two customers of the bank."""
    transfers = of_kind(month, "transfer")
    credit = transfers[month["link"][transfers] >= 0]
    debit = month["link"][credit]
    assert len(credit) > 300
    assert len(np.unique(debit)) == len(credit)
    assert np.all(month["direction"][debit] == 0)
    assert np.all(month["direction"][credit] == 1)
    assert np.array_equal(month["amount"][credit], month["amount"][debit])
    assert np.array_equal(month["counterparty"][credit], month["account"][debit])
    assert np.array_equal(month["counterparty"][debit], month["account"][credit])
    assert np.all(month["customer"][debit] != month["customer"][credit])
    wait = month["time"][credit] - month["time"][debit]
    assert np.all((wait > 0) & (wait < 120_000_000))
    inside = month["counterparty"][transfers] < 1 << 40
    assert set(transfers[inside]) == set(credit) | set(debit)


def test_some_payees_are_paid_again_and_again(month: EventBlock) -> None:
    """Guards: honest customers who never pay anybody three times in a month, so that a payee paid often is an
    offender's: child care and the like every week, and friends with whom expenses are shared.
    """
    sent = of_kind(month, "transfer")
    sent = sent[month["direction"][sent] == 0]
    pair, place, number = np.unique(
        month["customer"][sent] << 45 | month["counterparty"][sent], return_inverse=True, return_counts=True
    )
    assert 0.15 < np.mean(number[place] >= 3) < 0.45
    assert 0.03 < np.mean(number >= 3) < 0.2
    weekly = pair[number >= 3]
    times = [np.sort(month["time"][sent[place == np.searchsorted(pair, one)]]) for one in weekly]
    even = [np.all(np.abs(np.diff(when) / DAY_US - 7) < 4) for when in times]
    assert 0.2 < np.mean(even) < 0.95


@pytest.mark.parametrize("scenario", ["money_laundering", "card_testing", "phishing"])
def test_customers_live_as_those_whom_the_scenario_is_about(scenario: str) -> None:
    """Guards: transfers, cash paid in or payments online that hardly anybody but the offenders of a shard makes."""
    who = population(3, scenario, 1500, world(3, ("FR", "DE", "IT"), "EUR"), START_DAY)
    block = EventBlock.concat(list(blocks(who, 30_000, scenario=scenario)))
    kinds, channels = block["transaction_type"], block["channel"]
    by_account = np.isin(kinds, [TRANSACTION_TYPES.index("transfer"), TRANSACTION_TYPES.index("deposit")])
    paid_in = (kinds == TRANSACTION_TYPES.index("deposit")) & (channels != CHANNELS.index("online_banking"))
    bought = np.isin(kinds, [TRANSACTION_TYPES.index("purchase"), TRANSACTION_TYPES.index("verification")])
    remote = channels[bought] != CHANNELS.index("pos")
    traders, shoppers = scenario == "money_laundering", scenario == "card_testing"
    assert (0.33 if traders else 0.2) < by_account.mean() < (0.5 if traders else 0.33)
    assert (0.009 if traders else 0.004) < paid_in.mean() < (0.03 if traders else 0.012)
    assert (0.58 if shoppers else 0.38) < remote.mean() < (0.75 if shoppers else 0.56)
    # Traders pay in what a shop takes, others what they sold or were given.
    takings = np.mean(block["amount"][paid_in] > 100_000)
    assert (0.4 if traders else 0.1) < takings < (0.75 if traders else 0.4)


def test_salaries_come_once_a_month() -> None:
    """Guards: salaries drawn like purchases instead of standing on their day."""
    quarter = traffic(people(200), 12_000, period_us=90 * DAY_US)
    rows = of_kind(quarter, "deposit")
    rows = rows[(quarter["channel"][rows] == CHANNELS.index("online_banking")) & (quarter["hard_negative"][rows] < 0)]
    # Some are paid in two parts, by two employers.
    payee, number = np.unique(quarter["customer"][rows] << 41 | quarter["counterparty"][rows], return_counts=True)
    assert len(payee) > 60
    assert np.all(number <= 4)
    assert np.mean((number == 3) | (number == 2)) > 0.9
    for customer in payee[:20] >> 41:
        mine = rows[quarter["customer"][rows] == customer]
        assert len(np.unique(quarter["amount"][mine])) == len(np.unique(quarter["counterparty"][mine])) <= 2


@pytest.mark.parametrize(("country", "currency"), [("FR", "EUR"), ("JP", "JPY"), ("SA", "SAR")])
def test_banks_pay_wages_on_working_days(country: str, currency: str) -> None:
    """Guards: wages booked on a Sunday, on Christmas Day, or on a Friday where that is the weekend."""
    who = people(300, (country,), currency)
    quarter = traffic(who, 18_000, period_us=90 * DAY_US)
    rows = of_kind(quarter, "deposit")
    rows = rows[(quarter["channel"][rows] == CHANNELS.index("online_banking")) & (quarter["hard_negative"][rows] < 0)]
    minutes = who.local_minutes(quarter["customer"][rows], quarter["time"][rows])
    # The local day: that of the moment whose local time is noon of the same day.
    noon = quarter["time"][rows] + (720 - minutes) * 60_000_000
    assert len(rows) > 100
    assert np.all(weekday(country, noon // DAY_US) < 5)


def test_holidays_are_quiet() -> None:
    """Guards: a Christmas Day with the queues of the Thursday it falls on."""
    who = people(900, ("FR",))
    day = (traffic(who, 30_000, period_us=365 * DAY_US)["time"] - START) // DAY_US
    christmas = (np.datetime64("2025-12-25") - np.datetime64("2025-01-01")).astype(int)
    usual = np.mean([np.count_nonzero(day == christmas - 7 * weeks) for weeks in range(2, 8)])
    assert np.count_nonzero(day == christmas) < 0.9 * usual


def test_a_long_period_or_a_small_quota_does_not_drown_in_standing_payments() -> None:
    """Guards: batches of salaries and rents without purchases, where few rows are asked over three years."""
    block = traffic(people(300), 5000, period_us=3 * 365 * DAY_US)
    assert np.mean(block["transaction_type"] == TRANSACTION_TYPES.index("purchase")) > 0.55


def test_ages_follow_the_account_and_the_day(month: EventBlock) -> None:
    """Guards: an age that is stuck on the first day, or that a retried or refunded row forgot to renew."""
    opened = people(1500).account_opened_day[month["customer"]]
    assert np.array_equal(month["account_age_days"], month["time"] // DAY_US - opened)
    assert np.array_equal(month["account"], people(1500).account[month["customer"]])


@pytest.mark.parametrize("countries", [("JP",), ("US",), ("FR",)])
def test_people_sleep_at_night_where_they_live(countries: tuple[str, ...]) -> None:
    """Guards: a rhythm in UTC, which makes Tokyo shop at three in the morning."""
    who = people(900, countries)
    block = traffic(who, 20_000)
    minutes = who.local_minutes(block["customer"], block["time"])
    hours = np.bincount(minutes // 60, minlength=24)
    assert 5 <= hours.max() / hours.min() <= 16
    assert hours.argmin() in (1, 2, 3, 4, 5)
    assert hours[1:5].sum() < 0.06 * hours.sum()
    bought = of_kind(block, "purchase")
    shops = bought[block["channel"][bought] == CHANNELS.index("pos")]
    till = np.bincount(minutes[shops] // 60, minlength=24)
    assert till[12] > till[10]
    assert till[18] > till[15]


def test_yen_have_no_fraction_and_keep_their_habits() -> None:
    """Guards: amounts in a currency without minor unit that are a hundred times too small or never round."""
    block = traffic(people(600, ("JP",), "JPY"), 12_000)
    bought = block["amount"][of_kind(block, "purchase")]
    assert 1000 < np.median(bought) < 8000
    assert 0.1 < np.mean(bought % 100 == 0) < 0.4
    checks = block["amount"][of_kind(block, "verification")]
    assert set(np.unique(checks)) == {0, 100}
    assert np.all(block["amount"][of_kind(block, "withdrawal")] % 1000 == 0)


def test_honest_rows_cover_what_could_give_fraud_away(month: EventBlock) -> None:
    """Guards: a tiny amount, a decline, a shared device or a foreign shop that only offenders have."""
    bought = of_kind(month, "purchase")
    tiny = bought[month["amount"][bought] <= 200]
    declined = month["response_code"] > 0
    assert 0.03 < len(tiny) / len(bought) < 0.065
    assert 0.08 < declined[tiny].mean() < 0.22
    assert np.any(month["amount"][bought] == 100)
    assert 0.02 < declined.mean() < 0.08
    assert len(np.unique(month["response_code"])) == 9
    assert 0.02 < len(of_kind(month, "refund")) / len(month) < 0.03
    for column in ("device", "ip"):
        known = month[column] >= 0
        pairs = np.unique(np.stack([month[column][known], month["customer"][known]]), axis=1)
        _, customers = np.unique(pairs[0], return_counts=True)
        assert np.mean(customers > 1) > 0.02, column
    paid = month["counterparty"] >= 0
    pairs = np.unique(np.stack([month["counterparty"][paid], month["customer"][paid]]), axis=1)
    _, customers = np.unique(pairs[0], return_counts=True)
    assert np.mean(customers > 1) > 0.05


@pytest.mark.parametrize("days", [31, 365])
def test_gaps_come_in_bursts_and_remember(days: int) -> None:
    """Guards: payments at even or random distances, which no real card makes, over a month or over a year."""
    block = traffic(people(600), 400 * days, period_us=days * DAY_US)
    bought = of_kind(block, "purchase")
    bought = bought[np.argsort(block["time"][bought], kind="stable")]
    rhythm = burstiness_and_memory(block["card"][bought], block["time"][bought] // DAY_US)
    assert rhythm is not None
    assert 0.05 < rhythm[0] < 0.35
    assert rhythm[1] > -0.02


@pytest.mark.parametrize(
    ("country", "currency", "price"), [("GB", "GBP", 16), ("JP", "JPY", 2400), ("IN", "INR", 600), ("CH", "CHF", 25)]
)
def test_every_currency_has_its_prices_and_keeps_the_habits_of_prices(country: str, currency: str, price: int) -> None:
    """Guards: Indian prices at exchange rates, or a currency in which nothing is whole, ends on .99 or is tiny."""
    who = people(700, (country,), currency)
    block = traffic(who, 14_000)
    unit, digits = who.world.unit, who.world.digits
    bought = block["amount"][of_kind(block, "purchase")]
    assert 0.75 * price < np.median(bought) / 10**digits < 1.3 * price
    assert 0.15 < np.mean(bought % unit == 0) < 0.3
    assert 0.04 < np.mean(bought % unit == unit * 99 // 100) < 0.1
    assert 0.03 < np.mean(block["amount"] <= 2 * unit) < 0.06
