"""The signature of merchant fraud, on played incidents of every vector."""

from typing import Any

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, CHANNELS, ENTRY_MODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.population.customers import DEVICES_PER_CUSTOMER
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.scenarios import cases

NAME = "merchant_fraud"
SCENARIO = SCENARIOS[NAME]
VECTORS = tuple(SCENARIO.vectors)
PURCHASE, REFUND, CHARGEBACK = (TRANSACTION_TYPES.index(word) for word in ("purchase", "refund", "chargeback"))
DAY_S = 86_400


def played(case: FraudCase, n: int = 20, difficulty: float = 0.5, size: int = 1500) -> list[EventBlock]:
    people = cases.people(NAME, size)
    return [
        SCENARIO.play(case, cases.incident(NAME, i, campaign=i // 4, difficulty=difficulty, population=people))
        for i in range(n)
    ]


def of(case: FraudCase, block: EventBlock, *kinds: str) -> np.ndarray:
    """Positions of the rows of the given step kinds."""
    return np.flatnonzero(np.isin([case.steps[step].kind for step in block["case_step"]], kinds))


def by_card(block: EventBlock, rows: np.ndarray, column: str) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(int(block["card"][row]), []).append(int(block[column][row]))
    return found


def test_hand_written_cases_are_valid() -> None:
    """Guards the other tests: what they play must be what a model may write."""
    for vector in VECTORS:
        assert SCENARIO.violations(cases.merchant_fraud(vector)) == []


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
@pytest.mark.parametrize("vector", VECTORS)
def test_returns_follow_their_purchase_and_never_exceed_it(vector: str, difficulty: float) -> None:
    """Guards the books: a refund or a dispute gives back what its own card paid at that shop, and no more."""
    for block in played(cases.merchant_fraud(vector), difficulty=difficulty):
        back = np.flatnonzero(np.isin(block["transaction_type"], (REFUND, CHARGEBACK)))
        paid = block["link"][back]
        np.testing.assert_array_equal(np.flatnonzero(block["link"] >= 0), back)
        assert np.all(block["time"][paid] < block["time"][back])
        assert np.all(block["transaction_type"][paid] == PURCHASE)
        assert np.all(block["response_code"][paid] == 0)
        assert np.all(block["amount"][back] <= block["amount"][paid])
        for column in ("customer", "card", "merchant", "channel", "entry_mode"):
            np.testing.assert_array_equal(block[column][back], block[column][paid], err_msg=column)
        kind = np.array([cases.merchant_fraud(vector).steps[step].kind for step in block["case_step"][back]])
        outside = kind != "self_refund"
        assert len(set(paid[outside].tolist())) == outside.sum(), "a victim is paid back twice"
        assert np.all(block["is_fraud"][paid])
        assert block["amount"].min() > 0


def test_captured_cards_are_used_elsewhere_later_and_no_others() -> None:
    """Guards the point of compromise: it is what the victims have in common, and their genuine visit is no fraud."""
    case = cases.merchant_fraud("skimming_terminal")
    for block in played(case, difficulty=0.0):
        captured = of(case, block, "captured_purchase")
        used = of(case, block, "skimmed_purchase", "skimmed_cash")
        assert not block["is_fraud"][captured].any()
        assert block["is_fraud"][used].all()
        assert len(set(block["merchant"][captured].tolist())) == 1
        assert set(block["card"][used].tolist()) <= set(block["card"][captured].tolist())
        assert len(set(block["card"][used].tolist())) >= 3
        assert block["merchant"][captured[0]] not in block["merchant"][used]
        assert block["time"][used].min() - block["time"][captured].max() > 3_600_000_000
        online = used[block["channel"][used] == CHANNELS.index("ecommerce")]
        assert np.all((block["device"][online] == -1) | (block["device"][online] >= ACTOR_BASE))
        assert set(block["entry_mode"][online].tolist()) == {ENTRY_MODES.index("manual")}


def test_the_shop_is_little_known_of_its_category_and_has_many_victims() -> None:
    """Guards against a famous shop as the thief, and against shops that nobody honest visits."""
    world = cases.people(NAME).world
    for vector in VECTORS:
        case = cases.merchant_fraud(vector)
        at_the_shop = [kind for kind in SCENARIO.step_kinds if not kind.startswith("skimmed")]
        for block in played(case, 6, 0.0):
            rows = of(case, block, *at_the_shop)
            shops = np.unique(world.position(block["merchant"][rows]))
            assert len(shops) <= 4
            assert set(world.merchant_mcc[shops]) == {case.merchant_category}
            pool, _ = world.pool(mcc=case.merchant_category, country=int(world.merchant_country[shops[0]]))
            rank = np.searchsorted(np.sort(world.merchant_popularity[pool]), world.merchant_popularity[shops])
            assert rank.max() < len(pool) - 1
            assert len(np.unique(block["customer"][rows])) >= min(case.customers, 3)


def test_the_careful_run_shops_of_trades_that_everybody_visits() -> None:
    """Guards the dial: the trade alone must not tell the shop; only a travel agency remains what it pretends to be."""
    people = cases.people(NAME)
    busy = {mcc: people.world.merchant_popularity[people.world.merchant_mcc == mcc].sum() for mcc in ("5732", "4722")}
    for vector in ("bust_out_shop", "fake_travel_agency"):
        case, trades = cases.merchant_fraud(vector), []
        for block in played(case, 30, 1.0):
            shops = people.world.position(block["merchant"][of(case, block, "undelivered_order")])
            trades += people.world.merchant_mcc[shops].tolist()
        if vector == "fake_travel_agency":
            assert set(trades) == {"4722"}
        else:
            visits = [people.world.merchant_popularity[people.world.merchant_mcc == mcc].sum() for mcc in trades]
            assert np.median(visits) > busy["5732"]
            assert trades.count("5732") < 0.4 * len(trades)


def test_difficulty_keeps_to_the_devices_and_shops_of_the_holders() -> None:
    """Guards the dial: captured cards are used ever more where their holders are known."""
    case = cases.merchant_fraud("skimming_terminal")
    for column in ("device", "merchant"):
        shares = [cases.kept_to_habit(NAME, [case], difficulty, column) for difficulty in (0.0, 0.5, 1.0)]
        assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1, column


def test_undelivered_orders_follow_honest_ones_and_come_near_them_with_difficulty() -> None:
    """Guards the bust-out: honest sales first, then dearer orders that the victims themselves place."""
    case = cases.merchant_fraud("bust_out_shop")
    middles = {}
    for difficulty in (0.0, 1.0):
        ratios = []
        for block in played(case, 40, difficulty):
            honest, taken = of(case, block, "honest_sale"), of(case, block, "undelivered_order")
            assert not block["is_fraud"][honest].any()
            assert block["is_fraud"][taken].all()
            assert block["time"][honest].max() < block["time"][taken].min()
            own = block["device"][taken] // DEVICES_PER_CUSTOMER
            near = np.abs(own - block["customer"][taken]) < 20  # families share a device
            assert np.all((block["device"][taken] == -1) | near)
            ratios.append(np.median(block["amount"][taken]) / np.median(block["amount"][honest]))
        middles[difficulty] = float(np.median(ratios))
    assert 3.0 <= middles[0.0] <= 9.0
    assert 1.0 <= middles[1.0] <= 1.9


def test_the_loud_are_quick_and_keep_to_one_name_and_the_careful_spread() -> None:
    """Guards both ends of the dial: a rush at one shop that rules see, and no shop on which a month's fraud rests."""
    for vector in ("bust_out_shop", "subscription_trap"):
        case = cases.merchant_fraud(vector)
        hours, shops = {}, {}
        for difficulty in (0.0, 1.0):
            blocks = [block.take(np.flatnonzero(block["is_fraud"])) for block in played(case, 30, difficulty)]
            hours[difficulty] = np.median([np.ptp(block["time"]) / 3600e6 for block in blocks])
            shops[difficulty] = [len(set(block["merchant"].tolist())) for block in blocks]
        assert hours[0.0] < hours[1.0] / 3
        assert set(shops[0.0]) == {1}
        assert np.mean(shops[1.0]) > 1.5


def test_the_circle_gets_more_back_than_it_paid() -> None:
    """Guards the self-refund: one receipt is refunded more than once, on a few cards of the shop's own circle."""
    case = cases.merchant_fraud("self_refund")
    for block in played(case):
        sold, back = (by_card(block, of(case, block, kind), "amount") for kind in ("sham_sale", "self_refund"))
        assert set(back) <= set(sold)
        assert len(sold) == 2
        assert sum(map(sum, back.values())) > 1.5 * sum(map(sum, sold.values()))
        assert block["is_fraud"].all()


def test_what_is_charged_again_is_the_genuine_sum_and_what_is_inflated_is_more() -> None:
    """Guards the two sisters: a duplicate equals a genuine sale of that card to the cent, an overcharge exceeds one."""
    for vector, kind in (("duplicate_charges", "repeated_charge"), ("overcharging", "inflated_charge")):
        case = cases.merchant_fraud(vector)
        for block in played(case):
            genuine = by_card(block, of(case, block, "honest_sale"), "amount")
            shops = by_card(block, of(case, block, "honest_sale"), "merchant")
            for row in of(case, block, kind):
                card, amount = int(block["card"][row]), int(block["amount"][row])
                assert block["merchant"][row] in shops[card]
                if vector == "duplicate_charges":
                    assert amount in genuine[card]
                elif amount != cases.people(NAME).card_limit[block["customer"][row]]:
                    assert amount > min(genuine[card])


def test_a_trial_becomes_one_fee_for_all_that_returns() -> None:
    """Guards the trap: the trial's cards, and only those, pay the same fee again and again from the file."""
    case = cases.merchant_fraud("subscription_trap")
    for block in played(case):
        trials, fees = of(case, block, "trial_charge"), of(case, block, "hidden_renewal")
        assert not block["is_fraud"][trials].any()
        assert set(block["card"][fees].tolist()) <= set(block["card"][trials].tolist())
        assert len(set(block["amount"][fees].tolist())) == 1
        assert block["amount"][fees].min() > 5 * block["amount"][trials].max()
        assert max(len(paid) for paid in by_card(block, fees, "time").values()) >= 2
        assert set(block["entry_mode"][fees].tolist()) == {ENTRY_MODES.index("stored_credential")}


def test_a_counter_is_visited_by_its_neighbours() -> None:
    """Guards geography: at a domestic counter most victims live in the shop's city."""
    people = cases.people(NAME, 6000)
    case = cases.merchant_fraud("skimming_terminal", customers=5)
    near = []
    for block in played(case, 20, size=6000):
        rows = of(case, block, "captured_purchase")
        shop = people.world.position(block["merchant"][rows])
        near.append(np.mean(people.city[block["customer"][rows]] == people.world.merchant_city[shop]))
    assert np.mean(near) > 0.5


def test_a_counter_keeps_its_hours() -> None:
    """Guards against a restaurant that overcharges its guests before dawn, in one rush as by a machine."""
    people = cases.people(NAME)
    steps = [cases.step("inflated_charge", "pos", "habit", 2, 6, 12, 0, 1400)]
    for block in played(cases.case(NAME, "overcharging", steps, merchant_category="5812", tempo="burst")):
        minutes = people.local_minutes(block["customer"], block["time"])
        assert minutes.min() >= 7 * 60
        assert minutes.max() < 23 * 60


def test_a_gang_shares_devices_and_shops_and_strangers_do_not() -> None:
    """Guards the rings that graph features must find, and that campaigns stay apart."""
    case = cases.merchant_fraud("subscription_trap")
    blocks = [SCENARIO.play(case, cases.incident(NAME, i, campaign=i % 2, difficulty=0.0)) for i in range(16)]
    for column in ("device", "ip"):
        used = [[{k for k in b[column].tolist() if k >= ACTOR_BASE} for b in blocks[gang::2]] for gang in (0, 1)]
        assert any(one & two for i, one in enumerate(used[0]) for two in used[0][:i]), column
        assert not set.union(*used[0]) & set.union(*used[1]), column
    shops = [set(block["merchant"].tolist()) for block in blocks]
    assert any(one & two for i, one in enumerate(shops[::2]) for two in shops[: 2 * i : 2])


def test_each_kind_becomes_known_in_its_own_time() -> None:
    """Guards the label's moment: alerts in hours, claims in days, disputes in weeks, and none for honest rows."""
    latest = {"skimmed_purchase": 5, "repeated_charge": 14, "undelivered_order": 42, "hidden_renewal": 45}
    earliest = {"undelivered_order": 6, "hidden_renewal": 2, "sham_sale": 20, "self_refund": 20, "laundered_sale": 20}
    for vector in VECTORS:
        case = cases.merchant_fraud(vector)
        for block in played(case, 5):
            assert np.all((block["label_delay_s"] > 0) == block["is_fraud"])
            for kind, days in latest.items():
                assert block["label_delay_s"][of(case, block, kind)].max(initial=0) <= days * DAY_S
            for kind, days in earliest.items():
                assert block["label_delay_s"][of(case, block, kind)].min(initial=10**9) >= days * DAY_S


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_small_population_is_played_with_fewer_victims(vector: str, size: int) -> None:
    """Guards tiny batches: fewer customers than the case wants must not stop the shard."""
    for block in played(cases.merchant_fraud(vector), 4, size=size):
        assert block["is_fraud"].any()
        assert set(block["customer"].tolist()) <= set(range(size))


def test_an_incident_without_room_for_honest_rows_keeps_its_links() -> None:
    """Guards a batch of nothing but fraud in a few days: no refund may lose the sale that it gives back."""
    content = RequestContent.model_validate(
        {
            "count": 400, "fraud_ratio": 1.0, "scenarios": (NAME,), "currency": "EUR", "countries": ("FR",), "seed": 3,
            "start_date": "2025-01-01T00:00:00Z", "end_date": "2025-01-05T23:59:59Z",
        }
    )  # fmt: skip
    played_cases = [cases.merchant_fraud(vector) for vector in VECTORS]
    batches = list(simulate(content, NAME, played_cases))
    kinds = np.concatenate([batch.column("transaction_type").to_numpy(zero_copy_only=False) for batch in batches])
    links = np.concatenate([batch.column("linked_row").is_valid().to_numpy(zero_copy_only=False) for batch in batches])
    assert len(kinds) == 400
    assert (kinds == "refund").any()
    np.testing.assert_array_equal(np.isin(kinds, ("refund", "chargeback")), links)


def _changed(case: FraudCase, number: int, **change: Any) -> FraudCase:
    steps = [step.model_copy(update=change if i == number else {}) for i, step in enumerate(case.steps)]
    return case.model_copy(update={"steps": steps})


MAKE = cases.merchant_fraud
WRONG = [
    (MAKE("bust_out_shop", customers=2), "a shop has at least 3"),
    (MAKE("bust_out_shop", devices=0), "devices must be 1 to 8"),
    (MAKE("bust_out_shop", addresses=0), "addresses 1 to 12"),
    (MAKE("bust_out_shop", merchant_category=None), "merchant_category must be set"),
    (_changed(MAKE("bust_out_shop"), 2, count=30), "more is given back than was falsely charged"),
    (_changed(MAKE("bust_out_shop"), 4, wait_minutes=60), "a dispute takes at least 2880 minutes"),
    (_changed(MAKE("bust_out_shop"), 1, high=20.0), "undelivered_order must lie between 0.3 and 12.0"),
    (MAKE("bust_out_shop").model_copy(update={"vector": "overcharging"}), "order is no part of overcharging"),
    (MAKE("bust_out_shop").model_copy(update={"steps": MAKE("bust_out_shop").steps[:1]}), "needs a undelivered_order"),
    (MAKE("skimming_terminal").model_copy(update={"steps": MAKE("skimming_terminal").steps[:1]}), "skimmed_cash"),
    (MAKE("skimming_terminal").model_copy(update={"steps": MAKE("skimming_terminal").steps[::-1]}), "must follow"),
    (_changed(MAKE("self_refund"), 1, high=1.5), "self_refund must lie between 0.2 and 1.0"),
    (_changed(MAKE("duplicate_charges"), 1, high=1.2), "repeated_charge must lie between 1.0 and 1.0"),
    (_changed(MAKE("self_refund"), 0, channel="branch"), "sham_sale cannot happen on channel branch"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the play: a case that it cannot honour must be asked for again."""
    assert any(sentence in found for found in SCENARIO.violations(case)), SCENARIO.violations(case)
