"""The signature of card testing, on played incidents."""

import numpy as np
import pytest

from sgf_pipeline.domain.events import ACTOR_BASE, CHANNELS, RESPONSE_CODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

PLAY = SCENARIOS["card_testing"].play
CASE = cases.card_testing()
SPEND = 3  # the step of CASE that spends
HOUR_US = 3_600_000_000


def played(n: int = 60, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        PLAY(CASE, cases.incident("card_testing", number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def test_many_cards_are_tried_with_tiny_amounts_at_few_shops() -> None:
    """Guards the crime itself: without many cards, tiny sums and few shops it would be ordinary shopping."""
    unit = cases.people("card_testing").world.unit
    for block in played(difficulty=0.0):
        test = block["case_step"] != SPEND
        assert len(np.unique(block["card"][test])) == CASE.customers
        assert len(np.unique(block["customer"][test])) == CASE.customers
        assert block["amount"][test].max() <= 2 * unit
        assert 1 <= len(np.unique(block["merchant"][test])) <= CASE.outsiders
        assert len(set(block["device"][test].tolist()) - {-1}) <= CASE.devices
        assert len(set(block["ip"][test].tolist()) - {-1}) <= CASE.addresses
        assert test.sum() == 26


def tiny_rows(blocks: list[EventBlock], unit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Response codes, amounts and types of all rows that ask for two units or less."""
    columns = ("response_code", "amount", "transaction_type")
    codes, amounts, types = (np.concatenate([block[name] for block in blocks]) for name in columns)
    tiny = amounts <= 2 * unit
    return codes[tiny], amounts[tiny], types[tiny]


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_half_of_the_tests_pass_some_are_of_one_unit_and_few_of_nothing(difficulty: float) -> None:
    """Guards the mix that real testing shows, at any difficulty: neither approvals nor one amount tell it."""
    unit = cases.people("card_testing").world.unit
    blocks = played(difficulty=difficulty)
    codes, amounts, _ = tiny_rows(blocks, unit)
    assert 0.4 <= np.mean(codes == RESPONSE_CODES.index("00")) <= 0.6
    assert 0.25 <= np.mean(amounts == unit) <= 0.35
    assert 0.06 <= np.mean(amounts == 0) <= 0.11
    checked = np.concatenate([block["amount"][block["case_step"] == 0] for block in blocks])
    assert set(checked.tolist()) == {0, unit}


EVERY_TEST = {
    "nothing": ("verification", 0, 0),
    "verifications of one unit": ("verification", 1, 1),
    "unit tests": ("unit_test", 1, 1),
    "always the same": ("micro_purchase", 1, 1),
    "a range": ("micro_purchase", 0.05, 2),
}


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KRW"])
@pytest.mark.parametrize("what", EVERY_TEST)
def test_a_few_incidents_hold_the_mix_whatever_their_cases_ask(what: str, currency: str) -> None:
    """Guards a shard of few cases: how many tests are of nothing or one unit must not hang on what they happen to be.

    And what is neither is no verification, and only verifications are of nothing.
    """
    kind, low, high = EVERY_TEST[what]
    steps = [
        cases.step(kind, "ecommerce", "unit", low, high, 15, 0, 8),
        cases.step("spend", "ecommerce", "habit", 2, 8, 3, 600, 1200),
    ]
    case = cases.case("card_testing", "donation_probe", steps, customers=12)
    people = cases.people("card_testing", 500, currency)
    unit = people.world.unit
    verification = TRANSACTION_TYPES.index("verification")
    for difficulty in (0.0, 0.5, 1.0):
        blocks = [
            PLAY(case, cases.incident("card_testing", number, population=people, difficulty=difficulty))
            for number in range(15)
        ]
        codes, amounts, types = tiny_rows(blocks, unit)
        assert 0.4 <= np.mean(codes == RESPONSE_CODES.index("00")) <= 0.6
        assert 0.22 <= np.mean(amounts == unit) <= 0.38
        assert 0.05 <= np.mean(amounts == 0) <= 0.12
        assert (types[amounts == 0] == verification).all()
        assert np.isin(amounts[types == verification], [0, unit]).all()


def test_difficulty_brings_tests_nearer_to_shopping_and_keeps_to_the_holders_habits() -> None:
    """Guards the dial: dearer tests, and more rows on devices and in shops that the holders use themselves."""
    unit = cases.people("card_testing").world.unit
    dear, devices, shops = [], [], []
    for difficulty in (0.0, 0.5, 1.0):
        micro = np.concatenate([block["amount"][block["case_step"] == 2] for block in played(difficulty=difficulty)])
        assert micro.max() <= 20 * unit
        dear.append(float(np.mean(micro > 2 * unit)))
        devices.append(cases.kept_to_habit("card_testing", [CASE], difficulty, "device"))
        shops.append(cases.kept_to_habit("card_testing", [CASE], difficulty, "merchant"))
    for shares in (dear, devices, shops):
        assert shares[0] < 0.1
        assert shares[0] + 0.1 < shares[1] < shares[2] - 0.1, (dear, devices, shops)


def test_a_burst_runs_at_the_pace_of_a_machine() -> None:
    """Guards the tempo: tests of a burst come a second to a few minutes apart."""
    for block in played(20, 0.0):
        gaps = np.diff(block["time"][block["case_step"] == 2]) / 1e6
        assert gaps.min() >= 1
        assert gaps.max() <= 5 * 60


def test_spends_follow_hours_later_on_cards_that_passed_and_on_no_others() -> None:
    """Guards cause and effect: a declined card cannot be spent on."""
    for block in [*played(30, 0.0), *played(30, 1.0)]:
        ok = block["response_code"] == RESPONSE_CODES.index("00")
        for row in np.flatnonzero(block["case_step"] == SPEND):
            passed = (block["card"] == block["card"][row]) & ok & (block["case_step"] != SPEND)
            assert passed.any(), f"row {row} spends on a card that passed no test"
            assert block["time"][row] > block["time"][passed].min()
    for block in played(30, 0.0):
        spends = block["case_step"] == SPEND
        assert block["time"][spends].min() - block["time"][~spends].max() >= 10 * HOUR_US


def test_spends_are_sized_by_the_habit_of_the_victim_and_approach_it_with_difficulty() -> None:
    """Guards the victim's view: fraud is large relative to his own habit, and less so the harder the batch."""
    people = cases.people("card_testing")
    middles = {}
    for difficulty in (0.0, 1.0):
        ratios = []
        for block in played(40, difficulty):
            spend = block["case_step"] == SPEND
            customer, amount = block["customer"][spend], block["amount"][spend]
            capped = amount >= 0.99 * people.card_limit[customer]
            ratios.append((amount / people.habit[customer])[~capped])
        middles[difficulty] = float(np.median(np.concatenate(ratios)))
    assert 3.0 <= middles[0.0] <= 5.2
    assert 1.2 <= middles[1.0] <= 2.4


def test_most_spends_are_approved() -> None:
    """Guards against spends that a rule on declines alone would find."""
    blocks = played()
    ok = np.concatenate([block["response_code"][block["case_step"] == SPEND] == 0 for block in blocks])
    assert 0.75 <= ok.mean() <= 0.95


def test_a_gang_shares_devices_addresses_and_shops_and_strangers_do_not() -> None:
    """Guards the rings that graph features must find, and that campaigns stay apart."""
    blocks = [PLAY(CASE, cases.incident("card_testing", number, campaign=number % 2)) for number in range(16)]
    for column in ("device", "ip"):
        used = [[{k for k in b[column].tolist() if k >= ACTOR_BASE} for b in blocks[gang::2]] for gang in (0, 1)]
        assert any(one & two for i, one in enumerate(used[0]) for two in used[0][:i]), column
        assert not set.union(*used[0]) & set.union(*used[1]), column
    tested = [set(block["merchant"][block["case_step"] != SPEND].tolist()) for block in blocks]
    assert any(tested[0] & other for other in tested[2::2])


def test_alerts_come_within_hours_and_claims_within_days() -> None:
    """Guards the label's moment: a detector must not be trained on what nobody knew yet."""
    for block in played(10):
        spend = block["case_step"] == SPEND
        assert block["label_delay_s"].min() > 0
        assert block["label_delay_s"][~spend].max() <= 24 * 3600
        assert block["label_delay_s"][spend].max() <= 10 * 86_400


def test_terminals_see_no_device() -> None:
    """Guards the other half of the tables: cloned cards at terminals have a place and no device."""
    block = PLAY(cases.cloned_cards(), cases.incident("card_testing", 1))
    assert set(block["channel"].tolist()) == {CHANNELS.index("pos")}
    assert set(block["device"].tolist()) == {-1}


@pytest.mark.parametrize("size", [1, 2, 30])
def test_a_small_population_is_played_with_fewer_cards(size: int) -> None:
    """Guards tiny batches: fewer customers than the case wants must not stop the shard."""
    small = cases.people("card_testing", size)
    block = PLAY(CASE, cases.incident("card_testing", population=small))
    assert len(block) == 32
    assert len(np.unique(block["customer"])) <= size


def test_unit_of_another_currency() -> None:
    """Guards yen: a unit test is 100 JPY, which has no decimals."""
    yen = cases.people("card_testing", 200, "JPY")
    blocks = [PLAY(CASE, cases.incident("card_testing", i, population=yen, difficulty=0.0)) for i in range(20)]
    amounts = np.concatenate([block["amount"][block["case_step"] == 1] for block in blocks])
    assert 0.3 < np.mean(amounts == 100) < 0.6
    assert amounts.max() <= 200
