"""The signature of phishing, on played incidents of every vector."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import ACTOR_BASE, DIRECTIONS, EXTERNAL_BASE, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.filling import OFFENDER_ACCOUNTS
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.scenarios.phishing import BY_CREDENTIALS, BY_MULE, BY_VICTIM
from sgf_pipeline_tests.scenarios import cases

SCENARIO = SCENARIOS["phishing"]
VECTORS = tuple(SCENARIO.vectors)
CREDIT = DIRECTIONS.index("credit")
TRANSFER = TRANSACTION_TYPES.index("transfer")
WITH_MULE = [v for v in VECTORS if any(step.kind in BY_MULE for step in cases.phishing(v).steps)]


def played(case: FraudCase, n: int = 25, difficulty: float = 0.5) -> list[EventBlock]:
    return [
        SCENARIO.play(case, cases.incident("phishing", number, campaign=number // 4, difficulty=difficulty))
        for number in range(n)
    ]


def kinds(case: FraudCase, block: EventBlock) -> np.ndarray:
    return np.array([case.steps[step].kind for step in block["case_step"]])


def is_receipt(block: EventBlock) -> np.ndarray:
    return np.asarray((block["direction"] == CREDIT) & block["is_fraud"])


@pytest.mark.parametrize("vector", ["romance_scam", "smishing_credentials", "family_emergency"])
def test_a_small_try_comes_before_large_transfers(vector: str) -> None:
    """Guards the crime itself: a payment like any other first, and only then what hurts."""
    case = cases.phishing(vector)
    smaller = []
    for block in played(case):
        kind = kinds(case, block)
        tried = np.isin(kind, ("victim_try", "credential_try"))
        large = np.isin(kind, ("victim_payment", "credential_transfer"))
        for account in set(block["account"][tried & ~is_receipt(block)].tolist()):
            own = (block["account"] == account) & ~is_receipt(block)
            if (own & large).any():
                assert block["time"][own & tried].max() < block["time"][own & large].min()
                smaller.append(5 * block["amount"][own & tried].mean() < block["amount"][own & large].max())
    assert np.mean(smaller) > 0.85


@pytest.mark.parametrize("vector", WITH_MULE)
def test_money_reaches_a_mule_of_this_bank_and_leaves_again(vector: str) -> None:
    """Guards the second half: legs that mirror each other, and a mule who takes out no more than reached him."""
    case = cases.phishing(vector)
    for block in played(case):
        kind = kinds(case, block)
        receipts = np.flatnonzero(is_receipt(block))
        assert len(receipts)
        np.testing.assert_array_equal(block["link"][receipts], receipts - 1)
        for one, other in (("amount", "amount"), ("account", "counterparty"), ("counterparty", "account")):
            np.testing.assert_array_equal(block[one][receipts], block[other][receipts - 1])
        lag = (block["time"][receipts] - block["time"][receipts - 1]) / 1e6
        assert 0 <= lag.min() <= lag.max() < 120
        held: dict[int, int] = defaultdict(int)
        for row in range(len(block)):
            account = int(block["account"][row])
            if is_receipt(block)[row]:
                held[account] += int(block["amount"][row])
            elif kind[row] in BY_MULE:
                held[account] -= int(block["amount"][row])
                assert held[account] >= 0
        mules = set(block["account"][np.isin(kind, BY_MULE)].tolist())
        assert mules
        assert mules <= set(block["account"][receipts].tolist())
        assert not mules & set(block["account"][np.isin(kind, (*BY_VICTIM, *BY_CREDENTIALS)) & ~is_receipt(block)])


def test_without_mules_here_all_goes_to_accounts_of_the_offender_elsewhere() -> None:
    """Guards the other side: money must not land at the victim's landlord or at a chance customer."""
    for block in played(cases.phishing("family_emergency")):
        assert (block["counterparty"] >= OFFENDER_ACCOUNTS).all()
        assert len(set(block["counterparty"].tolist())) <= 3


@pytest.mark.parametrize("vector", VECTORS)
def test_the_victims_own_payments_come_from_his_own_device_and_only_those_of_thieves_from_others(vector: str) -> None:
    """Guards against a structural hint: a victim who pays himself sits at home with his own phone, as ever."""
    case, people = cases.phishing(vector), cases.people("phishing")
    strange = []
    for block in played(case):
        own = np.isin(kinds(case, block), BY_VICTIM) & ~is_receipt(block)
        stolen = np.isin(kinds(case, block), BY_CREDENTIALS) & ~is_receipt(block) & (block["device"] >= 0)
        seen = own & (block["device"] >= 0)
        np.testing.assert_array_equal(block["device"][seen], people.device[block["customer"][seen]])
        assert (block["ip"][own] < ACTOR_BASE).all()
        np.testing.assert_array_equal(block["ip_country"][seen], people.country[block["customer"][seen]])
        strange += (block["device"][stolen] >= ACTOR_BASE).tolist()
    if strange:
        assert 0.6 < np.mean(strange) < 1.0  # the rest is remote control


def test_authorised_by_victim_is_said_by_the_kind_of_step() -> None:
    """Guards the label: what the victim did himself is authorised, what thieves and mules do never is."""
    for name, kind in SCENARIO.step_kinds.items():
        assert kind.authorised_by_victim == (name.startswith("victim_") or name == "savings_in")
        assert kind.is_fraud == (name != "savings_in")


def test_the_average_transfer_is_above_2000_euros_and_shrinks_to_habit_with_difficulty() -> None:
    """Guards the size of authorised push payments: public averages exceed 2,000 EUR; hard batches hide in habits."""
    large: dict[float, Any] = {}
    for difficulty in (0.0, 0.5, 1.0):
        amounts = []
        for vector in ("invoice_redirection", "romance_scam", "investment_scam", "police_impersonation"):
            case = cases.phishing(vector)
            for block in played(case, 40, difficulty):
                chosen = (kinds(case, block) == "victim_payment") & ~is_receipt(block)
                amounts.append(block["amount"][chosen] / 100)
        large[difficulty] = float(np.mean(np.concatenate(amounts)))
    assert large[0.5] > 2000
    assert large[0.0] > 1.2 * large[0.5] > 1.2 * large[1.0]


def test_the_more_difficult_the_more_a_robbery_looks_like_the_victims_own_doing() -> None:
    """Guards the dial: blunt thieves send fortunes abroad on devices of theirs, hidden ones send as the victim does."""
    people = cases.people("phishing")
    case = cases.phishing("smishing_credentials", geography="remote")
    dear, strange, abroad = [], [], []
    for difficulty in (0.0, 0.5, 1.0):
        blocks = played(case, 60, difficulty)
        ratios, devices, countries = [], [], []
        for block in blocks:
            large = kinds(case, block) == "credential_transfer"
            ratios.append(block["amount"][large] / people.income[block["customer"][large]])
            seen = block["device"] >= 0
            devices.append(block["device"][seen] >= ACTOR_BASE)
            sent = block["counterparty"] >= 0
            countries.append(block["counterparty_country"][sent] != people.country[block["customer"][sent]])
        dear.append(float(np.median(np.concatenate(ratios))))
        strange.append(float(np.mean(np.concatenate(devices))))
        abroad.append(float(np.mean(np.concatenate(countries))))
    for figures, blunt, hidden in ((dear, 0.4, 0.12), (strange, 0.9, 0.6), (abroad, 0.6, 0.45)):
        assert figures == sorted(figures, reverse=True)
        assert figures[0] > blunt
        assert figures[-1] < hidden


def test_no_victim_sends_more_than_he_holds() -> None:
    """Guards the balance: payments come out of what the account held, savings that were moved in included."""
    people = cases.people("phishing")
    for vector in VECTORS:
        case = cases.phishing(vector)
        for block in played(case, 15):
            kind = kinds(case, block)
            for customer in set(block["customer"][np.isin(kind, (*BY_VICTIM, *BY_CREDENTIALS))].tolist()):
                own = (block["customer"] == customer) & (block["transaction_type"] == TRANSFER)
                sent = own & ~np.isin(kind, BY_MULE) & (block["direction"] != CREDIT) & (block["response_code"] == 0)
                brought = block["amount"][own & (kind == "savings_in")].sum()
                assert block["amount"][sent].sum() <= people.balance[customer] + brought + 1000


def test_savings_come_in_from_the_victims_own_account_and_are_no_fraud() -> None:
    """Guards the honest row of an incident: it is labelled as nothing, and known to nobody."""
    case = cases.phishing("investment_scam")
    for block in played(case, 10):
        saved = kinds(case, block) == "savings_in"
        assert saved.sum() == 1
        assert not block["is_fraud"][saved].any()
        assert (block["label_delay_s"][saved] == -1).all()
        assert (block["direction"][saved] == CREDIT).all()
        assert (
            (block["counterparty"][saved] >= EXTERNAL_BASE) & (block["counterparty"][saved] < OFFENDER_ACCOUNTS)
        ).all()


def test_a_gang_shares_mules_accounts_devices_and_shops_and_strangers_do_not() -> None:
    """Guards the rings that graph features must find, and that campaigns stay apart."""

    def shared(vector: str, column: str, rows: Any) -> None:
        case = cases.phishing(vector, outsiders=3)
        blocks = [SCENARIO.play(case, cases.incident("phishing", number, campaign=number % 2)) for number in range(16)]
        used = [[set(block[column][rows(case, block)].tolist()) - {-1} for block in blocks[gang::2]] for gang in (0, 1)]
        assert any(one & two for i, one in enumerate(used[0]) for two in used[0][:i]), column
        if column != "merchant":  # two gangs may like one shop
            assert not set.union(*used[0]) & set.union(*used[1]), column

    shared("police_impersonation", "account", lambda case, block: is_receipt(block))
    shared("family_emergency", "counterparty", lambda case, block: kinds(case, block) == "victim_payment")
    shared("purchase_scam", "merchant", lambda case, block: kinds(case, block) == "victim_purchase")
    for column in ("device", "ip"):
        shared("smishing_credentials", column, lambda case, block: block[column] >= ACTOR_BASE)  # noqa: B023


def test_alerts_come_within_hours_and_claims_within_days() -> None:
    """Guards the label's moment: an alert stops some thefts, what the victim did himself waits for his claim."""
    for vector, quick in (("romance_scam", False), ("smishing_credentials", True)):
        case, alerted = cases.phishing(vector), []
        for block in played(case, 100):
            known = block["time"] + block["label_delay_s"] * 1_000_000
            assert np.ptp(known) <= 1_000_000
            assert 600 <= block["label_delay_s"][-1] <= 9 * 86_400
            alerted.append(block["label_delay_s"][-1] < 6 * 3600)
        assert (np.mean(alerted) > 0.2) == quick


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_small_population_is_played_with_fewer_people(vector: str, size: int) -> None:
    """Guards tiny batches: fewer customers than the case wants must not stop the shard, nor must one alone."""
    small = cases.people("phishing", size)
    block = SCENARIO.play(cases.phishing(vector, customers=9), cases.incident("phishing", population=small))
    assert block["is_fraud"].sum() >= 3
    assert set(block["customer"].tolist()) <= set(range(size))
    assert (is_receipt(block).any() and size > 1) == (vector in WITH_MULE and size > 1)


def _changed(case: FraudCase, number: int, **change: Any) -> FraudCase:
    steps = [step.model_copy(update=change if i == number else {}) for i, step in enumerate(case.steps)]
    return case.model_copy(update={"steps": steps})


ROMANCE, LOGIN = cases.phishing("romance_scam"), cases.phishing("fake_login_page")
WRONG = [
    (ROMANCE.model_copy(update={"steps": ROMANCE.steps[3:]}), "must pay before a mule"),
    (LOGIN.model_copy(update={"steps": ROMANCE.steps}), "the victim pays nothing himself"),
    (ROMANCE.model_copy(update={"steps": LOGIN.steps}), "makes the victim pay himself"),
    (
        ROMANCE.model_copy(update={"steps": [*ROMANCE.steps[:3], LOGIN.steps[1]]}),
        "romance_scam steals no credentials",
    ),
    (LOGIN.model_copy(update={"devices": 0}), "at least 1 device"),
    (_changed(ROMANCE, 1, high=1.5), "victim_payment must lie between"),
    (_changed(ROMANCE, 0, low=0.01), "victim_try must lie between"),
    (ROMANCE.model_copy(update={"steps": [*ROMANCE.steps[1:2], ROMANCE.steps[0]]}), "a try after the large"),
    (
        cases.phishing("investment_scam").model_copy(
            update={"steps": [ROMANCE.steps[0], cases.phishing("investment_scam").steps[1]]}
        ),
        "no payment follows",
    ),
    (
        ROMANCE.model_copy(update={"steps": [ROMANCE.steps[3], *ROMANCE.steps[:3]]}),
        "before any transfer can have reached the mule",
    ),
    (ROMANCE.model_copy(update={"customers": 1}), "at least 2 customers"),
    (cases.phishing("family_emergency", outsiders=0), "at least 1 outsider"),
    (cases.phishing("purchase_scam", merchant_category=None), "merchant_category must be set"),
    (cases.phishing("romance_scam", merchant_category="5732"), "merchant_category must be set"),
]


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[f"{i}-{sentence}" for i, (_, sentence) in enumerate(WRONG)])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the play: a case that it cannot honour must be asked for again."""
    assert any(sentence in found for found in SCENARIO.violations(case))
