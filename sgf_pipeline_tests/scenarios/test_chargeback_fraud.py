"""The signature of chargeback fraud, on played incidents of every vector."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import (
    ACTOR_BASE,
    CARDS_PER_CUSTOMER,
    CHANNELS,
    COLUMNS,
    DIRECTIONS,
    DISPUTE_REASONS,
    RESPONSE_CODES,
    TRANSACTION_TYPES,
    EventBlock,
)
from sgf_pipeline.population.filling import NULL_PATTERN, NULLABLE
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["chargeback_fraud"]
VECTORS = tuple(SCENARIO.vectors)
DAY_US = cases.DAY_US


def played(case: FraudCase, n: int = 20, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        SCENARIO.play(case, cases.incident("chargeback_fraud", number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def of_type(block: EventBlock, name: str) -> Any:
    return np.flatnonzero(block["transaction_type"] == TRANSACTION_TYPES.index(name))


@pytest.mark.parametrize("vector", VECTORS)
def test_every_fraud_is_a_purchase_that_is_charged_back_once_within_ten_to_sixty_days(vector: str) -> None:
    """Guards the crime itself: without its false dispute a purchase would be an honest one."""
    for block in played(cases.disputing(vector)):
        back = of_type(block, "chargeback")
        bought = np.flatnonzero(block["is_fraud"])
        assert sorted(block["link"][back].tolist()) == bought.tolist()
        assert set(block["transaction_type"][bought].tolist()) == {TRANSACTION_TYPES.index("purchase")}
        days = (block["time"][back] - block["time"][block["link"][back]]) / DAY_US
        assert days.min() >= 10
        assert days.max() <= 60


@pytest.mark.parametrize(("span", "wait"), [(12, 0), (1, 85)])
def test_a_plan_that_disputes_too_soon_or_too_late_is_played_within_the_term(span: int, wait: int) -> None:
    """Guards the term against plans that only nearly keep it: a model's waits are no more than wishes."""
    case = cases.disputing("quality_pretext")
    steps = [
        case.steps[0].model_copy(update={"span_minutes": span * 1440}),
        case.steps[1].model_copy(update={"wait_minutes": wait * 1440, "span_minutes": 0}),
    ]
    case = case.model_copy(update={"steps": steps})
    assert SCENARIO.violations(case) == []
    for block in played(case):
        back = of_type(block, "chargeback")
        days = (block["time"][back] - block["time"][block["link"][back]]) / DAY_US
        assert 10 <= days.min() < days.max() <= 60


@pytest.mark.parametrize("vector", VECTORS)
def test_what_comes_back_is_the_purchase_and_never_more(vector: str) -> None:
    """Guards links: a chargeback or refund is a later credit of its own purchase, on its card, at its shop."""
    for block in played(cases.disputing(vector)):
        back = np.concatenate([of_type(block, "chargeback"), of_type(block, "refund")])
        own = block["link"][back]
        assert not block["is_fraud"][back].any()
        assert np.all(block["is_fraud"][own])
        assert np.all(block["direction"][back] == DIRECTIONS.index("credit"))
        assert np.all(block["time"][back] > block["time"][own])
        assert np.all((block["amount"][back] > 0) & (block["amount"][back] <= block["amount"][own]))
        for column in ("customer", "account", "card", "merchant", "channel", "entry_mode"):
            np.testing.assert_array_equal(block[column][back], block[column][own], err_msg=column)
        assert np.all(block["dispute_reason"][of_type(block, "chargeback")] >= 0)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_purchases_are_the_customers_own(vector: str) -> None:
    """Guards against a thief in disguise: own cards, devices and addresses, approved, within the card's limit."""
    people = cases.people("chargeback_fraud")
    for block in played(cases.disputing(vector)):
        bought = of_type(block, "purchase")
        customer = block["customer"][bought]
        assert np.all(block["card"][bought] // CARDS_PER_CUSTOMER == customer)
        assert np.all(block["card"][bought] % CARDS_PER_CUSTOMER < people.cards[customer])
        assert block["device"].max() < ACTOR_BASE
        assert block["ip"].max() < ACTOR_BASE
        assert np.all(block["response_code"] == RESPONSE_CODES.index("00"))
        assert np.all(block["amount"][bought] <= people.card_limit[customer])


def test_a_kept_purchase_is_no_fraud_and_never_comes_back() -> None:
    """Guards the honest rows of an incident: what was never disputed must not be learned as fraud."""
    case = cases.disputing("not_received_claim")
    for block in played(case):
        kept = np.flatnonzero(block["case_step"] == 0)
        assert len(kept) == 3
        assert not block["is_fraud"][kept].any()
        assert not np.isin(block["link"], kept).any()
        assert block["label_delay_s"][kept].max() == -1


def test_double_dippers_are_refunded_and_charged_back_for_the_same_purchase() -> None:
    """Guards the vector: refund and chargeback of one purchase, each at most its amount."""
    for block in played(cases.disputing("double_dip")):
        refunded = block["link"][of_type(block, "refund")]
        assert len(refunded) == len(set(refunded.tolist())) == 3
        assert np.isin(refunded, block["link"][of_type(block, "chargeback")]).all()


def test_a_family_buys_on_its_own_devices() -> None:
    """Guards friendly fraud: some purchases are made on a device of the household that is not the payer's own."""
    people = cases.people("chargeback_fraud")
    foreign, several = 0, 0
    for block in played(cases.disputing("family_purchase_denial"), 60):
        bought = np.flatnonzero(block["is_fraud"] & (block["device"] >= 0))
        customer = block["customer"][bought]
        owner = block["device"][bought] // 8
        foreign += int(np.count_nonzero(owner != people.device[customer] // 8))
        np.testing.assert_array_equal(people.ip[owner], people.ip[customer])
        several += len(np.unique(people.ip[np.unique(customer)])) < len(np.unique(customer))
    assert foreign > 10
    assert several > 10


def test_repeat_disputers_have_a_past_more_often_and_not_always() -> None:
    """Guards prior_disputes: it weighs and does not decide, the more for those who dispute as a habit."""
    people = cases.people("chargeback_fraud")
    share = {}
    for vector in ("serial_disputer", "quality_pretext"):
        blocks = played(cases.disputing(vector), 200)
        share[vector] = float(np.mean([people.prior_disputes[block["customer"][0]] > 0 for block in blocks]))
    honest = float((people.prior_disputes > 0).mean())
    assert honest < 0.15
    assert honest + 0.15 < share["serial_disputer"] < 0.75
    assert share["quality_pretext"] < share["serial_disputer"]


def test_the_loud_dispute_as_a_habit_and_the_careful_do_not() -> None:
    """Guards the dial: at 0 many purchases are those of the few who disputed most, at 1 hardly any more than honest."""
    people = cases.people("chargeback_fraud")
    most = np.sort(people.prior_disputes)[-max(6, people.size // 50)]
    share = []
    for difficulty in (0.0, 0.5, 1.0):
        blocks = played(cases.disputing("quality_pretext"), 100, difficulty)
        share.append(float(np.mean([people.prior_disputes[block["customer"][0]] >= most for block in blocks])))
    assert share[0] > 0.35
    assert share[0] > share[1] > share[2]
    assert share[2] < 0.25


def test_false_and_honest_disputes_come_as_late() -> None:
    """Guards the lag: how long after its purchase a chargeback comes must not say whether it is false."""
    asked = content(count=40_000, fraud_ratio=0.04, scenarios=["chargeback_fraud"])
    table = pa.Table.from_batches(simulate(asked, "chargeback_fraud", CASES["chargeback_fraud"]))
    time, false = np.asarray(table["time"].cast(pa.int64())), np.asarray(table["is_fraud"])
    back = np.flatnonzero(np.asarray(pc.equal(table["transaction_type"], "chargeback")))
    of = np.searchsorted(np.asarray(table["row"]), np.asarray(table["linked_row"].fill_null(-1))[back])
    days = (time[back] - time[of]) / DAY_US
    assert min(np.count_nonzero(false[of]), np.count_nonzero(~false[of])) > 100
    assert 0.5 < roc_auc_score(false[of], days) < 0.75


def test_a_serial_disputer_comes_back_and_a_campaign_shares_shops() -> None:
    """Guards the campaign: some incidents of one are by the same customer, and some are at the same shops."""
    lone, together = 0, 0
    blocks = played(cases.disputing("serial_disputer"), 80)
    for first in range(0, 80, 4):
        who = [int(block["customer"][0]) for block in blocks[first : first + 4]]
        lone += len(set(who)) == 4
    assert lone <= 10
    blocks = played(cases.disputing("not_received_claim"), 80, difficulty=0.0)
    shops = [set(block["merchant"][block["is_fraud"]].tolist()) for block in blocks]
    for first in range(0, 80, 4):
        together += any(shops[first] & other for other in shops[first + 1 : first + 4])
    assert together >= 12


def test_amounts_approach_what_the_shop_usually_takes_with_difficulty() -> None:
    """Guards the dial: blunt claims are for dear things, hidden ones for what the customer buys anyway."""
    people = cases.people("chargeback_fraud")
    middle = {}
    for difficulty in (0.0, 1.0):
        ratios = []
        for block in played(cases.disputing("resale_of_disputed_goods"), 60, difficulty):
            bought = np.flatnonzero(block["is_fraud"])
            price = people.world.merchant_price[people.world.position(block["merchant"][bought])]
            usual = price * people.habit[block["customer"][bought]] / 1900
            ratios.append(block["amount"][bought] / usual)
        middle[difficulty] = float(np.median(np.concatenate(ratios)))
    assert middle[0.0] > 1.7
    assert 0.8 < middle[1.0] < 1.5


def test_the_more_difficult_the_more_is_bought_where_and_how_everybody_buys() -> None:
    """Guards the dial: blunt claims keep to the plan's channel and shops, hidden ones spread as honest purchases do."""
    at_a_counter, shops = [], []
    for difficulty in (0.0, 0.5, 1.0):
        blocks = played(cases.disputing("resale_of_disputed_goods", customers=1), 60, difficulty)
        bought = [block["is_fraud"] & (block["case_step"] == 0) for block in blocks]
        counter = [block["channel"][own] == CHANNELS.index("pos") for block, own in zip(blocks, bought, strict=True)]
        at_a_counter.append(float(np.mean(np.concatenate(counter))))
        shops.append(
            float(
                np.mean([len(set(block["merchant"][own].tolist())) for block, own in zip(blocks, bought, strict=True)])
            )
        )
    assert at_a_counter == sorted(at_a_counter)
    assert at_a_counter[0] == 0
    assert 0.3 < at_a_counter[-1] < 0.7
    assert shops == sorted(shops)


def test_a_subscription_costs_the_same_each_time() -> None:
    """Guards the contract: one shop charges one customer one fee, from the card it has stored."""
    repeated = 0
    for block in played(cases.disputing("cancelled_subscription_claim")):
        bought = np.flatnonzero(block["is_fraud"])
        for shop in np.unique(block["merchant"][bought]):
            fees = block["amount"][bought][block["merchant"][bought] == shop]
            assert len(set(fees.tolist())) == 1
            repeated += len(fees) > 1
        assert len(set(block["entry_mode"][bought].tolist())) == 1
    assert repeated > 10


def test_the_pretext_follows_the_vector() -> None:
    """Guards dispute_reason: lost parcels are not received, subscriptions are cancelled."""
    for vector, word in (("not_received_claim", "not_received"), ("cancelled_subscription_claim", "cancelled")):
        blocks = played(cases.disputing(vector), 40)
        reasons = np.concatenate([block["dispute_reason"][of_type(block, "chargeback")] for block in blocks])
        shares = np.bincount(reasons, minlength=len(DISPUTE_REASONS)) / len(reasons)
        assert shares.argmax() == DISPUTE_REASONS.index(word)
        assert shares.max() < 0.95


def test_a_false_claim_is_recognised_weeks_after_the_dispute() -> None:
    """Guards the label's moment: while the claim is believed nobody knows of a fraud."""
    for block in played(cases.disputing("double_dip"), 10):
        back = of_type(block, "chargeback")
        bought = block["link"][back]
        known = block["time"][bought] + block["label_delay_s"][bought] * 1_000_000
        weeks = (known - block["time"][back]) / (7 * DAY_US)
        assert weeks.min() > 1.7
        assert weeks.max() < 12
        assert np.all(block["label_delay_s"][~block["is_fraud"]] == -1)


@pytest.mark.parametrize("vector", VECTORS)
def test_structure_tells_nothing(vector: str) -> None:
    """Guards against fraud told by nulls, whole seconds or file order, and plays that do not repeat themselves."""
    case = cases.disputing(vector)
    blocks = played(case, 12)
    for number, block in enumerate(blocks):
        assert np.all(np.diff(block["time"]) >= 0)
        assert set(block["incident"].tolist()) == {number}
        assert set(block["case_step"].tolist()) == set(range(len(case.steps)))
        assert block["time"].min() >= cases.incident("chargeback_fraud", number).start_us
        assert np.all(block["hard_negative"] == -1)
        for row in range(len(block)):
            pair = TRANSACTION_TYPES[block["transaction_type"][row]], CHANNELS[block["channel"][row]]
            for column in NULLABLE:
                value, null = block[column][row], COLUMNS[column].null
                is_null = np.isnan(value) if isinstance(null, float) else value == null
                share = NULL_PATTERN[pair].get(column, 0.0)
                assert not (share == 0.0 and not is_null), f"{pair} has a {column}"
                assert not (share == 1.0 and is_null), f"{pair} lacks {column}"
    fraction = np.concatenate([block["time"] for block in blocks]) % 1_000_000
    assert np.bincount(fraction // 100_000, minlength=10).max() < 0.3 * len(fraction)
    again = played(case, 1)[0]
    for name in COLUMNS:
        np.testing.assert_array_equal(again[name], blocks[0][name], err_msg=name)


@pytest.mark.parametrize("vector", VECTORS)
def test_counters_have_a_counter_and_web_shops_are_on_the_web(vector: str) -> None:
    """Guards against fraud told by its merchant: honest customers meet no web shop at a till, and the other way."""
    world = cases.people("chargeback_fraud").world
    for block in played(cases.disputing(vector, geography="cross_border")):
        online = world.merchant_online[world.position(block["merchant"])]
        np.testing.assert_array_equal(online, block["channel"] != CHANNELS.index("pos"))


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_small_population_is_played_with_fewer_customers(vector: str, size: int) -> None:
    """Guards tiny batches: fewer customers than the case wants must not stop the shard."""
    small = cases.people("chargeback_fraud", size)
    block = SCENARIO.play(cases.disputing(vector, customers=6), cases.incident("chargeback_fraud", population=small))
    assert block["is_fraud"].sum() >= 4
    assert len(np.unique(block["customer"])) <= size


def test_yen_have_no_decimals() -> None:
    """Guards a currency without minor units: whole amounts, never nothing."""
    yen = cases.people("chargeback_fraud", 200, "JPY")
    block = SCENARIO.play(cases.disputing("quality_pretext"), cases.incident("chargeback_fraud", population=yen))
    assert block["amount"].min() >= 1
    assert np.median(block["amount"]) > 300


DIP = cases.disputing("double_dip")


def _first(**change: Any) -> FraudCase:
    return DIP.model_copy(update={"steps": [DIP.steps[0].model_copy(update=change), *DIP.steps[1:]]})


def _steps(*order: int, **change: Any) -> FraudCase:
    return DIP.model_copy(update={"steps": [DIP.steps[i] for i in order], **change})


WRONG = [
    (_steps(3, 0), "the first step must buy something"),
    (_steps(0, 3, 1, 2), "the last purchase is never disputed"),
    (_steps(0, 1), "the last purchase is never disputed"),
    (_first(kind="kept_purchase"), "step 1: merchant_refund before anything was bought"),
    (_steps(0, 3).model_copy(update={"vector": "serial_disputer"}), "at least 2 dispute steps"),
    (_steps(0, 3), "double_dip needs a merchant_refund"),
    (_first(high=12.0), "between 0.3 and 10 times"),
    (_first(wait_minutes=129_600), "a case lasts 14400 to 144000 minutes"),
    (_first(channel="atm"), "goods_purchase cannot happen on channel atm"),
    (_steps(0, 1, 3).model_copy(update={"steps": [
        DIP.steps[0], DIP.steps[1].model_copy(update={"channel": "mobile"}), DIP.steps[3],
    ]}), "a channel on which something was bought"),
    (DIP.model_copy(update={"customers": 7}), "1 to 6 take part"),
    (DIP.model_copy(update={"devices": 4}), "1 to 3 of each"),
    (DIP.model_copy(update={"outsiders": 0}), "at least 1 outsider"),
    (DIP.model_copy(update={"merchant_category": None}), "merchant_category must be one of"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[f"{i}-{wrong[1]}" for i, wrong in enumerate(WRONG)])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the play: a case that cannot be played as written must be asked for again."""
    assert any(sentence in found for found in SCENARIO.violations(case))


@pytest.mark.parametrize("vector", VECTORS)
def test_hand_written_cases_are_valid(vector: str) -> None:
    """Guards the other tests: what they play must be what a model may write."""
    assert SCENARIO.violations(cases.disputing(vector)) == []
