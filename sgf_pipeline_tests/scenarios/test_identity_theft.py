"""The signature of identity theft, on played incidents."""

from typing import Any

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, CHANNELS, COLUMNS, DIRECTIONS, RESPONSE_CODES, EventBlock
from sgf_pipeline.domain.events import TRANSACTION_TYPES as TYPES
from sgf_pipeline.population.filling import NULL_PATTERN, NULLABLE
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["identity_theft"]
VECTORS = tuple(SCENARIO.vectors)
CASE = cases.identity_theft()
DEBIT = DIRECTIONS.index("debit")
DAY_US = cases.DAY_US


def step(kind: str, count: int, low: float, high: float, span: int, *, at: str = "ecommerce", wait: int = 0) -> Any:
    basis = "habit" if kind == "build_purchase" else "balance"
    return cases.step(kind, at, basis, low, high, count, wait, span)


def planned(*steps: dict[str, Any]) -> FraudCase:
    return FraudCase.model_validate({**CASE.model_dump(), "steps": list(steps)})


def played(case: FraudCase = CASE, n: int = 40, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        SCENARIO.play(case, cases.incident("identity_theft", number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def of_kind(block: EventBlock, kind: str, case: FraudCase = CASE) -> np.ndarray:
    return np.array([case.steps[step].kind == kind for step in block["case_step"]])


def taken(block: EventBlock) -> int:
    """What left the account in the bust-out, less what a false repayment brought back."""
    moved = block["is_fraud"] & (block["response_code"] == 0)
    return int(np.where(block["direction"] == DEBIT, block["amount"], -block["amount"])[moved].sum())


def test_quiet_building_is_no_fraud_and_comes_before_everything_that_is() -> None:
    """Guards the labels: weeks of an honest-looking life must not teach a detector that honest people are thieves."""
    for block in played():
        fraud = block["is_fraud"]
        assert fraud.tolist() == [SCENARIO.step_kinds[CASE.steps[step].kind].is_fraud for step in block["case_step"]]
        assert fraud.sum() == 12
        assert block["time"][~fraud].max() < block["time"][fraud].min()
        assert np.all(block["label_delay_s"][~fraud] == -1)
        assert block["time"][fraud].min() - block["time"][~fraud].min() > 5 * DAY_US
        assert block["time"][fraud].max() - block["time"][fraud].min() < 8 * DAY_US


def test_the_bust_out_is_larger_and_faster_than_the_quiet_life() -> None:
    """Guards the crime itself: without a turn from small and slow to large and fast nothing could be found."""
    larger, faster = [], []
    for block in played():
        fraud, debit = block["is_fraud"], block["direction"] == DEBIT
        shop = of_kind(block, "build_purchase")
        larger.append(np.median(block["amount"][fraud & debit]) / np.median(block["amount"][shop]))
        quiet_days, bust_days = (np.ptp(block["time"][rows]) / DAY_US for rows in (~fraud, fraud))
        faster.append((fraud.sum() / bust_days) / ((~fraud).sum() / quiet_days))
    assert 3 < np.median(larger) < 15
    assert np.median(faster) > 3


@pytest.mark.parametrize(("difficulty", "least"), [(0.0, 0.6), (0.5, 0.1), (1.0, 0.02)])
def test_the_line_is_never_exceeded_and_the_hasty_take_it_near_to_its_end(difficulty: float, least: float) -> None:
    """Guards the limit: the sum that leaves is what the bank granted, however the plan's shares add up."""
    people = cases.people("identity_theft")
    shares = []
    for block in played(difficulty=difficulty, n=60):
        customer = block["customer"][0]
        limit = people.card_limit[customer]
        line = limit + min(people.balance[customer], limit) / 2
        shares.append(taken(block) / max(line, 100 * people.world.unit))
    assert max(shares) < 1.1  # price endings round a little up
    assert np.median(shares) > least


def test_what_is_beyond_the_line_or_the_card_is_refused_with_its_own_code() -> None:
    """Guards the tries: refusals must come from an empty line or a day's limit, and not from chance alone."""
    once = planned(*(s.model_dump() for s in CASE.steps if s.kind != "false_repayment"))
    codes = np.concatenate([block["response_code"][block["is_fraud"]] for block in played(once, n=120)])
    share = {word: float((codes == RESPONSE_CODES.index(word)).mean()) for word in ("00", "51", "61", "05", "59", "65")}
    assert sum(share.values()) == pytest.approx(1)
    assert 0.75 < share["00"] < 0.95
    assert share["51"] > 0.04
    assert share["51"] + share["61"] > share["05"] + share["59"] + share["65"]
    over = [step("build_purchase", 3, 0.5, 1.5, 9000), step("goods_purchase", 6, 0.9, 1.2, 60, wait=400)]
    eager = played(planned(*over), n=40)
    assert any(RESPONSE_CODES.index("61") in block["response_code"] for block in eager)


def test_the_hasty_sit_on_young_accounts_and_the_patient_on_older_ones() -> None:
    """Guards both sides: thieves sit on young accounts, among more honest ones of that age than there are thieves, and
    age tells the less the more difficult the batch is.
    """
    people = cases.people("identity_theft")
    age = people.age_days(np.arange(people.size), np.full(people.size, cases.START_US))
    middles = []
    for difficulty in (0.0, 1.0):
        used = {int(customer) for block in played(n=40, difficulty=difficulty) for customer in block["customer"]}
        assert len(used) >= 30  # incidents seldom meet on one account
        honest = np.flatnonzero(age <= max(age[list(used)]))
        assert len(set(honest.tolist()) - used) > 3 * len(used)
        middles.append(float(np.mean(age <= np.median(age[list(used)]))))
    assert 0.08 < middles[0] < 0.2
    assert 0.25 < middles[1] < 0.5


def test_difficulty_keeps_to_the_devices_and_shops_of_the_account() -> None:
    """Guards the dial: more of the bust-out on devices and in shops that the account has used quietly."""
    for column in ("device", "merchant"):
        shares = [cases.kept_to_habit("identity_theft", [CASE], difficulty, column) for difficulty in (0.0, 0.5, 1.0)]
        assert shares[0] < shares[1] < shares[2], column
        assert shares[0] + 0.1 < shares[2], column
        assert shares[2] < 0.99, column


def test_difficulty_hides_the_bust_out_in_the_habits_of_the_account() -> None:
    """Guards the dial: at difficulty 1 single amounts come near to what the customer usually pays."""
    people = cases.people("identity_theft")
    middles = []
    for difficulty in (0.0, 1.0):
        blocks = played(n=40, difficulty=difficulty)
        ratios = [block["amount"] / people.habit[block["customer"]] for block in blocks]
        bought = [of_kind(block, "goods_purchase") for block in blocks]
        middles.append(float(np.median(np.concatenate([r[b] for r, b in zip(ratios, bought, strict=True)]))))
    assert middles[0] > 1.7 * middles[1]
    assert middles[1] > 1.2


def test_a_gang_shares_devices_addresses_accounts_and_shops_and_strangers_do_not() -> None:
    """Guards the rings that graph features must find, and that campaigns stay apart."""
    blocks = [
        SCENARIO.play(CASE, cases.incident("identity_theft", number, campaign=number % 2)) for number in range(16)
    ]
    for column in ("device", "ip", "counterparty"):
        used = [[{key for key in block[column].tolist() if key >= ACTOR_BASE} for block in blocks[gang::2]]
                for gang in (0, 1)]  # fmt: skip
        assert any(one & two for i, one in enumerate(used[0]) for two in used[0][:i]), column
        assert not set.union(*used[0]) & set.union(*used[1]), column
    shops = [set(block["merchant"][of_kind(block, "goods_purchase")].tolist()) for block in blocks]
    assert any(shops[0] & other for other in shops[2::2])


def test_a_false_repayment_is_credited_and_frees_the_line() -> None:
    """Guards the second round: more leaves the account than its line, because a payment came that will be recalled."""
    for block in played(n=20):
        back = of_kind(block, "false_repayment")
        before = block["is_fraud"] & (np.cumsum(back) == 0) & (block["response_code"] == 0)
        assert np.all(block["direction"][back] == DIRECTIONS.index("credit"))
        assert 0 < block["amount"][back].sum() <= block["amount"][before].sum() * 1.01


def test_nobody_knows_before_the_last_row_and_everybody_within_months() -> None:
    """Guards the label's moment: it is learnt once for the account, late for those whom nobody misses."""
    delays = {}
    for vector in ("mail_interception", "synthetic_identity"):
        blocks = played(cases.identity_theft(vector), n=30, difficulty=1.0)
        for block in blocks:
            fraud = block["is_fraud"]
            known = block["time"][fraud] + block["label_delay_s"][fraud] * 1_000_000
            assert np.ptp(known) < 2_000_000
            assert known.min() > block["time"].max()
        delays[vector] = np.median([block["label_delay_s"].max() for block in blocks]) / 86_400
    assert 2 < delays["mail_interception"] < 40 < delays["synthetic_identity"] < 130


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("geography", ["domestic", "cross_border"])
def test_structure_gives_nothing_away(vector: str, geography: str) -> None:
    """Guards against fraud that is told by a missing value, by the order of its rows or by whole seconds."""
    case = cases.identity_theft(vector, geography=geography, tempo="burst", customers=3)
    assert SCENARIO.violations(case) == []
    fractions = []
    for block in played(case, 6):
        assert np.all(np.diff(block["time"]) >= 0)
        assert np.all(np.diff(block["case_step"]) >= 0)
        assert len(np.unique(block["customer"])) == 3
        assert block["amount"].min() > 0
        fractions.append(block["time"] % 1_000_000)
        for row in range(len(block)):
            pattern = NULL_PATTERN[TYPES[block["transaction_type"][row]], CHANNELS[block["channel"][row]]]
            for column in NULLABLE:
                value, null = block[column][row], COLUMNS[column].null
                is_null = np.isnan(value) if isinstance(null, float) else value == null
                assert is_null or pattern.get(column, 0.0) > 0, column
                assert not is_null or pattern.get(column, 0.0) < 1, column
    assert 0.4 < np.mean(np.concatenate(fractions)) / 1e6 < 0.6


def test_the_same_incident_gives_the_same_block() -> None:
    """Guards equal bytes: a play may draw from its incident alone; another incident plays differently."""
    one, two, other = (SCENARIO.play(CASE, cases.incident("identity_theft", number)) for number in (4, 4, 5))
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert not np.array_equal(one["amount"], other["amount"])


@pytest.mark.parametrize("size", [1, 2, 30])
@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_a_small_population_is_played_on_fewer_accounts(size: int, currency: str) -> None:
    """Guards tiny batches and yen: fewer customers than the case wants must not stop the shard."""
    small = cases.people("identity_theft", size, currency)
    block = SCENARIO.play(cases.identity_theft(customers=4), cases.incident("identity_theft", population=small))
    assert len(block) == 25
    assert block["is_fraud"].sum() == 12
    assert len(np.unique(block["customer"])) <= size


WRONG: list[tuple[FraudCase, str]] = [
    (planned(step("goods_purchase", 2, 0.1, 0.3, 60)), "the first step must be quiet"),
    (planned(step("build_purchase", 2, 0.5, 1, 60)), "a bust-out needs"),
    (cases.identity_theft(customers=7), "at most 6 accounts"),
    (cases.identity_theft(devices=0), "devices must be 1 to 8"),
    (cases.identity_theft(merchant_category=None), "merchant_category must be set"),
    (cases.identity_theft(outsiders=0), "a transfer needs at least 1 outsider"),
    (
        planned(
            step("build_purchase", 2, 0.5, 1, 60),
            step("goods_purchase", 2, 0.1, 0.3, 60),
            step("build_purchase", 2, 0.5, 1, 60),
        ),
        "step 2: quiet building after the bust-out began",
    ),
    (
        planned(
            step("build_purchase", 2, 0.5, 1, 60),
            step("false_repayment", 1, 0.5, 1, 0, at="mobile"),
            step("goods_purchase", 2, 0.1, 0.3, 60),
        ),
        "step 1: nothing has been taken",
    ),
    (
        planned(step("build_purchase", 2, 0.5, 9, 60), step("goods_purchase", 2, 0.1, 0.3, 60)),
        "step 0: build_purchase must lie between 0.1 and 3.0",
    ),
]


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the plays: a case that a play cannot honour must be asked for again."""
    assert any(sentence in found for found in SCENARIO.violations(case))


@pytest.mark.parametrize("category", ["5732", "5944", "0742", "9999"])
def test_online_rows_are_sold_by_online_shops_and_counters_by_counters(category: str) -> None:
    """Guards against counters that seem to sell online, as in no honest row, where a category has no online shop."""
    world = cases.people("identity_theft").world
    for block in played(cases.identity_theft(merchant_category=category, geography="cross_border"), 20):
        bought = block["merchant"] >= 0
        online = world.merchant_online[world.position(block["merchant"][bought])]
        channel = block["channel"][bought]
        assert online[channel == CHANNELS.index("ecommerce")].all()
        assert not online[channel == CHANNELS.index("pos")].any()
