"""The signature of account takeover, on played incidents of every vector."""

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, DIRECTIONS, RESPONSE_CODES, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

NAME = "account_takeover"
SCENARIO = SCENARIOS[NAME]
VECTORS = tuple(SCENARIO.vectors)
CREDIT = DIRECTIONS.index("credit")
APPROVED, LIMIT, NO_FUNDS, FREQUENCY = (RESPONSE_CODES.index(word) for word in ("00", "61", "51", "65"))
DAY_S = 86_400


def played(case: FraudCase, n: int = 25, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        SCENARIO.play(case, cases.incident(NAME, number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def rows_of(block: EventBlock, case: FraudCase, *kinds: str) -> np.ndarray:
    """Positions of the rows of the given step kinds."""
    return np.flatnonzero(np.isin(block["case_step"], [i for i, s in enumerate(case.steps) if s.kind in kinds]))


def victim_of(block: EventBlock) -> int:
    """The one customer whose account is debited."""
    debited = np.unique(block["customer"][block["direction"] != CREDIT])
    assert len(debited) == 1
    return int(debited[0])


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_one_victim_never_loses_more_than_the_account_held(vector: str, difficulty: float) -> None:
    """Guards the crime itself: one account is drained, to its last cent at most, and no day above its limits."""
    people = cases.people(NAME)
    for block in played(cases.takeover(vector), difficulty=difficulty):
        victim = victim_of(block)
        gone = (block["direction"] != CREDIT) & (block["response_code"] == APPROVED)
        assert block["amount"][gone].sum() <= people.balance[victim]
        wired = block["transaction_type"] == TRANSACTION_TYPES.index("transfer")
        for kind, most in ((wired, 2), (~wired, 1)):
            per_day = np.bincount(
                (block["time"][gone & kind] - cases.START_US) // cases.DAY_US, block["amount"][gone & kind]
            )
            assert per_day.max(initial=0) <= most * people.card_limit[victim]


def test_a_blunt_takeover_takes_much_and_a_hidden_one_little() -> None:
    """Guards the drain and the difficulty: shares of what the account holds, smaller the harder the batch is."""
    people = cases.people(NAME)
    share = {}
    for difficulty in (0.0, 1.0):
        lost = []
        for block in played(cases.takeover("malware_remote_session"), 60, difficulty):
            gone = (block["direction"] != CREDIT) & (block["response_code"] == APPROVED)
            lost.append(block["amount"][gone].sum() / people.balance[victim_of(block)])
        share[difficulty] = float(np.median(lost))
    assert share[0.0] > 0.6
    assert 0.1 < share[1.0] < 0.5


def test_purchases_are_sized_by_the_habit_of_the_victim() -> None:
    """Guards the victim's view: purchases are several times his habit, and approach it with difficulty."""
    people = cases.people(NAME)
    case = cases.takeover("session_hijack")
    middle = {}
    for difficulty in (0.0, 1.0):
        ratios = []
        for block in played(case, 40, difficulty):
            rows = rows_of(block, case, "purchase")
            ratios.append(block["amount"][rows] / people.habit[block["customer"][rows]])
        middle[difficulty] = float(np.median(np.concatenate(ratios)))
    assert 2.6 <= middle[0.0] <= 4.8
    assert 1.0 <= middle[1.0] <= 2.4


def test_limits_stop_some_tries_and_a_smaller_one_follows() -> None:
    """Guards the declines: too large for the limit, the account or the day, and the offender learns from it."""
    codes, after = [], []
    for vector in VECTORS:
        for block in played(cases.takeover(vector, sophistication="low"), 30, 0.2):
            tries = np.flatnonzero(block["direction"] != CREDIT)
            code, amount, step = (block[name][tries] for name in ("response_code", "amount", "case_step"))
            codes.append(code)
            beyond = np.flatnonzero(np.isin(code[:-1], [LIMIT, NO_FUNDS]) & (step[1:] == step[:-1]))
            after.append(amount[beyond + 1] < amount[beyond])
    code = np.concatenate(codes)
    assert 0.05 <= np.mean(code != APPROVED) <= 0.25
    assert {LIMIT, NO_FUNDS, FREQUENCY} <= set(code.tolist())
    assert np.mean(np.concatenate(after)) > 0.8


def test_a_mule_of_this_bank_gets_both_legs_and_only_what_was_approved() -> None:
    """Guards the graph: the credit leg follows its debit leg at once, with its amount and the accounts swapped."""
    case, refused, mules = cases.takeover("malware_remote_session", sophistication="low"), 0, []
    for block in played(case, 40, 0.0):
        victim = victim_of(block)
        sent = rows_of(block, case, "own_mule_transfer")
        debits = sent[block["direction"][sent] != CREDIT]
        approved = debits[block["response_code"][debits] == APPROVED]
        refused += len(debits) - len(approved)
        credits = np.flatnonzero(block["direction"] == CREDIT)
        np.testing.assert_array_equal(credits, approved + 1)
        np.testing.assert_array_equal(block["link"][credits], approved)
        for one, other in (("amount", "amount"), ("account", "counterparty"), ("counterparty", "account")):
            np.testing.assert_array_equal(block[one][credits], block[other][approved])
        assert np.all((block["time"][credits] - block["time"][approved]) / 1e6 < 60)
        assert victim not in block["customer"][credits]
        mules.append(set(block["customer"][credits].tolist()))
    assert refused
    assert any(len(mule) for mule in mules)


def test_the_careful_send_to_many_accounts_and_the_blunt_to_few() -> None:
    """Guards the dial: payees that are paid time and again, which no care would hide."""
    often = []
    for difficulty in (0.0, 0.5, 1.0):
        numbers = []
        for vector in ("sim_swap", "call_centre_reset", "mailbox_takeover"):
            for block in played(cases.takeover(vector), 20, difficulty):
                sent = (block["direction"] != CREDIT) & (block["counterparty"] >= 0)
                _, place, number = np.unique(block["counterparty"][sent], return_inverse=True, return_counts=True)
                numbers.append(number[place])
        often.append(float(np.mean(np.concatenate(numbers) >= 3)))
    assert often[0] > 0.6
    assert often[0] > often[1] + 0.1
    assert often[1] > often[2] + 0.1
    assert often[2] < 0.25


def test_the_blunt_take_everything_at_once() -> None:
    """Guards the other end of the dial: a loud takeover as spread out as a quiet one, which no rule of speed finds."""
    hours = {}
    for difficulty in (0.0, 1.0):
        blocks = [block for vector in VECTORS for block in played(cases.takeover(vector), 8, difficulty)]
        hours[difficulty] = np.median([(block["time"][-1] - block["time"][0]) / 3_600_000_000 for block in blocks])
    assert hours[0.0] < 3
    assert hours[1.0] > 4 * hours[0.0]


def test_devices_are_the_offenders_except_where_the_victims_own_is_abused() -> None:
    """Guards the new device: strangers bring theirs, a trojan or a thief acts on the victim's own."""
    people = cases.people(NAME)
    foreign = {}
    for vector in VECTORS:
        seen = []
        for block in played(cases.takeover(vector, devices=2), 30, 0.0):
            shown = (block["device"] >= 0) & (block["direction"] != CREDIT)
            own = block["device"][shown] == people.device[victim_of(block)]
            assert np.all(own | (block["device"][shown] >= ACTOR_BASE))
            seen.append(~own)
        foreign[vector] = float(np.mean(np.concatenate(seen))) if np.concatenate(seen).size else 0.0
    for vector, share in foreign.items():
        if vector in ("malware_remote_session", "stolen_phone"):
            assert share < 0.3, vector
        else:
            assert share > 0.9, vector


def test_difficulty_keeps_to_the_victims_devices_and_shops() -> None:
    """Guards the dial: more rows on devices and in shops that the victim uses himself, yet never all of them."""
    mixed = [cases.takeover("credential_stuffing"), cases.takeover("session_hijack")]
    for column in ("device", "merchant"):
        easy, middle, hard = (cases.kept_to_habit(NAME, mixed, difficulty, column) for difficulty in (0.0, 0.5, 1.0))
        assert easy < 0.15, column
        assert easy + 0.1 < middle < hard - 0.1, column
        assert hard < 0.95, column


def test_an_address_stays_in_one_country() -> None:
    """Guards against addresses that tell fraud by being seen in several countries."""
    seen: dict[int, set[int]] = {}
    for difficulty in (0.0, 0.5, 1.0):
        for block in played(cases.takeover("credential_stuffing", geography="remote"), 20, difficulty):
            for ip, country in zip(block["ip"].tolist(), block["ip_country"].tolist(), strict=True):
                seen.setdefault(ip, set()).add(country)
    assert not [ip for ip, countries in seen.items() if ip >= ACTOR_BASE and len(countries) > 1]


def test_the_stealthy_come_from_the_victims_city() -> None:
    """Guards the proxies: skill and difficulty bring a far-away offender's address home, bluntness does not."""
    people = cases.people(NAME)
    home = {}
    for skill, difficulty in (("low", 0.0), ("high", 1.0)):
        case = cases.takeover("credential_stuffing", geography="remote", sophistication=skill)
        shares = []
        for block in played(case, 40, difficulty):
            seen = block["ip_country"][block["ip_country"] >= 0]
            shares.append(np.mean(seen == people.country[victim_of(block)]))
        home[skill] = float(np.mean(shares))
    assert home["low"] < 0.3
    assert home["high"] > 0.7


def test_a_stolen_phone_stays_in_one_town() -> None:
    """Guards the place: tills and machines of one incident lie in one city."""
    people = cases.people(NAME)
    for block in played(cases.takeover("stolen_phone"), 20):
        shops = people.world.position(block["merchant"])
        assert len(np.unique(people.world.merchant_city[shops])) == 1


def test_a_gang_shares_devices_addresses_mules_and_shops_and_strangers_do_not() -> None:
    """Guards the rings that graph features must find, and that campaigns stay apart."""
    case = cases.takeover("sim_swap")
    # Careless ones: others mostly act on what looks like the victim's own device.
    incidents = [cases.incident(NAME, number, campaign=number % 2, difficulty=0.0) for number in range(16)]
    blocks = [SCENARIO.play(case, incident) for incident in incidents]
    for column in ("device", "ip"):
        used = [
            [{key for key in block[column].tolist() if key >= ACTOR_BASE} for block in blocks[gang::2]]
            for gang in (0, 1)
        ]
        assert any(one & two for i, one in enumerate(used[0]) for two in used[0][:i]), column
        assert not set.union(*used[0]) & set.union(*used[1]), column
    outside = [set(block["counterparty"].tolist()) - set(block["account"].tolist()) - {-1} for block in blocks]
    assert any(one & two for i, one in enumerate(outside[::2]) for two in outside[::2][:i])
    mules = [set(block["customer"][block["direction"] == CREDIT].tolist()) for block in blocks[::2]]
    assert any(one & two for i, one in enumerate(mules) for two in mules[:i])
    shopping = cases.takeover("session_hijack")
    shops = [set(SCENARIO.play(shopping, cases.incident(NAME, number))["merchant"].tolist()) for number in range(6)]
    assert any(shops[0] & other for other in shops[1:])


def test_one_discovery_ends_the_incident_within_days() -> None:
    """Guards the label's moment: all rows become known together, by an alert within hours or a claim within days."""
    waits = []
    for block in played(cases.takeover("credential_stuffing"), 40):
        found = block["time"] // 1_000_000 + block["label_delay_s"]
        assert np.ptp(found) <= 1
        waits.append(int(block["label_delay_s"][-1]))
    assert min(waits) >= 600
    assert max(waits) <= 9 * DAY_S
    assert min(waits) < 8 * 3600 < DAY_S < max(waits)


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_small_population_is_played_without_mules(vector: str, size: int) -> None:
    """Guards tiny batches: where the bank has no other customer the money goes elsewhere, and rows remain."""
    small = cases.people(NAME, size)
    for number in range(4):
        block = SCENARIO.play(cases.takeover(vector), cases.incident(NAME, number, population=small))
        assert len(block) >= 2
        assert set(block["customer"].tolist()) <= set(range(size))
        assert np.all(block["account"] != block["counterparty"])


CASE = cases.takeover()
WRONG = [
    (cases.takeover("sim_swap", customers=1), "at least 2 customers"),
    (cases.takeover(customers=2), "it is the victim alone"),
    (cases.takeover(outsiders=0), "needs at least 1 outsider"),
    (cases.takeover(merchant_category=None), "merchant_category must be set"),
    (cases.takeover(devices=0), "at least 1 device"),
    (CASE.model_copy(update={"steps": CASE.steps[:1]}), "something must be taken"),
    *(
        (CASE.model_copy(update={"steps": [CASE.steps[i].model_copy(update=change)]}), sentence)
        for i, change, sentence in (
            (0, {"high": 30.0}, "a probe must lie between"),
            (1, {"low": 0.1}, "between 0.3 and 40 times the habit"),
            (2, {"high": 1.5}, "a share of the balance"),
        )
    ),
]


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the play: a case that the play cannot honour must be asked for again."""
    assert any(sentence in found for found in SCENARIO.violations(case))


def test_hand_written_cases_are_valid() -> None:
    """Guards the other tests: what they play must be what a model may write."""
    for vector in VECTORS:
        assert SCENARIO.violations(cases.takeover(vector)) == []
