"""The signature of money laundering, on played incidents of every vector."""

from collections import defaultdict

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, DIRECTIONS, EXTERNAL_BASE, EventBlock
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["money_laundering"]
VECTORS = tuple(SCENARIO.vectors)
CREDIT = DIRECTIONS.index("credit")


def played(case: FraudCase, n: int = 25, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        SCENARIO.play(case, cases.incident("money_laundering", number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def inner_edges(block: EventBlock) -> list[tuple[int, int]]:
    """(from, to) account keys of the transfers inside the bank, in time order."""
    credits = np.flatnonzero(block["link"] >= 0)
    return [(int(block["counterparty"][row]), int(block["account"][row])) for row in credits]


def arrivals(block: EventBlock) -> np.ndarray:
    """Rows that bring money into the bank."""
    return np.flatnonzero((block["direction"] == CREDIT) & (block["link"] < 0))


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_no_account_ever_passes_on_more_than_reached_it(vector: str, difficulty: float) -> None:
    """Guards the conservation of money: over time, account by account, to the last cent."""
    for block in played(cases.laundering(vector), difficulty=difficulty):
        held: dict[int, int] = defaultdict(int)
        for account, direction, amount in zip(
            block["account"].tolist(), block["direction"].tolist(), block["amount"].tolist(), strict=True
        ):
            held[account] += amount if direction == CREDIT else -amount
            assert held[account] >= 0, f"{vector}: account {account} passes on {-held[account]} more than it received"
        assert np.all(np.diff(block["time"]) >= 0)
        assert block["amount"].min() > 0


@pytest.mark.parametrize("vector", VECTORS)
def test_the_two_legs_of_a_transfer_mirror_each_other(vector: str) -> None:
    """Guards the graph: a credit leg follows its debit leg at once, with its amount and the accounts swapped."""
    for block in played(cases.laundering(vector), 10):
        credits = np.flatnonzero(block["link"] >= 0)
        debits = block["link"][credits]
        assert len(credits)
        np.testing.assert_array_equal(debits, credits - 1)
        for one, other in (("amount", "amount"), ("account", "counterparty"), ("counterparty", "account")):
            np.testing.assert_array_equal(block[one][credits], block[other][debits])
        assert np.all(block["direction"][debits] != CREDIT)
        assert np.all(block["account"][credits] != block["account"][debits])
        lag = (block["time"][credits] - block["time"][debits]) / 1e6
        assert lag.min() >= 0
        assert lag.max() < 120
        inside = set(block["account"].tolist())
        outside = set(block["counterparty"].tolist()) - inside - {-1}
        assert all(account >= EXTERNAL_BASE for account in outside)


def test_structuring_stays_under_the_threshold_and_is_gathered() -> None:
    """Guards structuring: many deposits, every one of them below what must be reported, ending on one account."""
    for difficulty in (0.0, 0.5, 1.0):
        for block in played(cases.laundering("structuring"), difficulty=difficulty):
            deposits = block["amount"][arrivals(block)]
            assert len(deposits) == 10
            assert deposits.max() < cases.THRESHOLD
            # Care looks like presents: then little may come together.
            assert difficulty or deposits.sum() > cases.THRESHOLD
            assert len({target for _, target in inner_edges(block)}) == 1


def test_deposits_are_sums_that_people_choose() -> None:
    """Guards against random cents: most sums are round, and some are not."""
    amounts = np.concatenate([block["amount"][arrivals(block)] for block in played(cases.laundering("structuring"))])
    assert 0.5 <= np.mean(amounts % 1000 == 0) <= 0.95


def test_fan_in_has_many_payers_and_one_collector() -> None:
    """Guards the in-degree that makes a fan-in."""
    for block in played(cases.laundering("fan_in")):
        edges = inner_edges(block)
        assert len({target for _, target in edges}) == 1
        assert len({source for source, _ in edges}) >= 5


def test_fan_out_has_one_payer_and_many_receivers() -> None:
    """Guards the out-degree that makes a fan-out."""
    for block in played(cases.laundering("fan_out")):
        edges = inner_edges(block)
        assert len({source for source, _ in edges}) == 1
        assert len({target for _, target in edges}) >= 5
        assert set(block["account"][arrivals(block)].tolist()) == {edges[0][0]}


def test_a_cycle_returns_to_its_origin() -> None:
    """Guards the circle: each transfer starts where the last one ended, and the last ends where the first began."""
    for block in played(cases.laundering("cycle")):
        edges = inner_edges(block)
        assert [target for _, target in edges[:-1]] == [source for source, _ in edges[1:]]
        assert edges[-1][1] == edges[0][0] == block["account"][0]
        assert len({source for source, _ in edges}) == len(edges) == 6


def test_scatter_gather_meets_again_on_one_account() -> None:
    """Guards the two halves: one account pays several, and those pay one."""
    for block in played(cases.laundering("scatter_gather")):
        edges = inner_edges(block)
        head = block["account"][0]
        middle = {target for source, target in edges if source == head}
        gathered = [(source, target) for source, target in edges if source != head]
        assert len(middle) >= 4
        assert {source for source, _ in gathered} <= middle
        assert len({source for source, _ in gathered}) >= 3
        assert len({target for _, target in gathered}) == 1


def test_a_mule_chain_hands_on_and_each_link_keeps_some() -> None:
    """Guards the chain: mule after mule, each sum a little smaller than the one before."""
    for block in played(cases.laundering("mule_chain"), difficulty=0.0):
        edges = inner_edges(block)
        assert [target for _, target in edges[:-1]] == [source for source, _ in edges[1:]]
        assert len({account for edge in edges for account in edge}) == len(edges) + 1
        moved = block["amount"][block["link"] >= 0].astype(float)
        kept = 1 - moved[1:] / moved[:-1]
        assert kept.min() > 0.02
        assert kept.max() < 0.16


def test_a_cash_business_pays_in_at_one_account_and_an_exchange_pays_out_from_one() -> None:
    """Guards the two vectors that are known by where money comes from."""
    for block in played(cases.laundering("cash_business"), 10):
        assert len(set(block["account"][arrivals(block)].tolist())) == 1
    for block in played(cases.laundering("crypto_off_ramp"), 10):
        assert len(set(block["counterparty"][arrivals(block)].tolist())) == 1


def test_who_sends_from_elsewhere_does_not_receive_there() -> None:
    """Guards against money that goes straight back to the account outside from which it came."""
    for block in played(cases.laundering("fan_in"), 10):
        outside = block["counterparty"] >= EXTERNAL_BASE
        credit = block["direction"] == CREDIT
        senders, receivers = (set(block["counterparty"][outside & side].tolist()) for side in (credit, ~credit))
        assert senders
        assert receivers
        assert not senders & receivers


def test_counter_hours() -> None:
    """Guards against cash paid in at a counter by night or on a Sunday."""
    people = cases.people("money_laundering")
    for block in played(cases.laundering("structuring", tempo="slow")):
        rows = arrivals(block)
        minutes = people.local_minutes(block["customer"][rows], block["time"][rows])
        assert minutes.min() >= 8 * 60 + 30
        assert minutes.max() < 17 * 60 + 30
        assert np.all((block["time"][rows] // cases.DAY_US + 3) % 7 != 6)


def test_investigations_take_weeks_to_months() -> None:
    """Guards the label's moment: one investigation ends the whole scheme, long after its rows."""
    for block in played(cases.laundering("fan_in"), 10):
        found = block["time"] // 1_000_000 + block["label_delay_s"]
        assert np.ptp(found) <= 1
        assert block["label_delay_s"].min() >= 14 * 86_400
        assert block["label_delay_s"].max() <= 200 * 86_400


def test_geography_and_difficulty_move_the_other_side_abroad() -> None:
    """Guards the countries: a domestic scheme stays at home, a remote one does not, unless it hides."""
    home = set(np.unique(cases.people("money_laundering").country).tolist())
    shares = {}
    for geography, difficulty in (("domestic", 0.0), ("remote", 0.0), ("remote", 1.0)):
        blocks = played(cases.laundering("fan_in", geography=geography), 20, difficulty)
        seen = np.concatenate(
            [block["counterparty_country"][block["counterparty"] >= EXTERNAL_BASE] for block in blocks]
        )
        shares[geography, difficulty] = np.mean([country in home for country in seen.tolist()])
    assert shares["domestic", 0.0] == 1
    assert shares["remote", 0.0] < 0.5
    assert shares["remote", 1.0] > 0.8


def test_the_more_difficult_the_more_a_scheme_looks_like_ordinary_money() -> None:
    """Guards the dial: blunt schemes move thousands at once from strange devices, hidden ones what everybody moves."""
    people = cases.people("money_laundering")
    amounts, strange = [], []
    for difficulty in (0.0, 0.5, 1.0):
        blocks = [
            block for vector in ("fan_in", "mule_chain") for block in played(cases.laundering(vector), 25, difficulty)
        ]
        sent = [block["amount"][block["counterparty"] >= 0] / people.world.eur for block in blocks]
        devices = np.concatenate([block["device"][block["device"] >= 0] for block in blocks])
        amounts.append(float(np.median(np.concatenate(sent))))
        strange.append(float(np.mean(devices >= ACTOR_BASE)))
    assert amounts[0] > 1500 > amounts[1] > 2 * amounts[2]
    assert 30 < amounts[2] < 400
    assert strange[0] > 0.5 > 0.3 > strange[2]
    assert strange == sorted(strange, reverse=True)


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_small_population_is_played_with_fewer_accounts(vector: str, size: int) -> None:
    """Guards tiny batches: fewer customers than the case wants must not stop the shard."""
    small = cases.people("money_laundering", size)
    block = SCENARIO.play(cases.laundering(vector), cases.incident("money_laundering", population=small))
    assert len(block) > 3
    assert set(block["customer"].tolist()) <= set(range(size))
