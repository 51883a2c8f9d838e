"""Card testing: stolen card numbers are tried with tiny or zero amounts, and the live ones are then spent.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public descriptions by card
schemes and acquirers (enumeration attacks, account testing, donation-page probing).
"""

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector

ONLINE = ("ecommerce", "mobile")

VECTORS = {
    "bin_enumeration": Vector("a bot runs through card numbers of one issuer range", ONLINE, tempos=("burst", "steady")),
    "stolen_list_validation": Vector("a bought list of card numbers is checked before use", ONLINE),
    "donation_probe": Vector("a charity's payment page is misused as a checker", ONLINE),
    "zero_amount_probe": Vector("account verifications of zero find live cards without a charge", ONLINE),
    "digital_goods_trial": Vector("cheap downloads and credits prove that a card works", ONLINE),
    "wallet_enrolment_probe": Vector("cards are enrolled in a wallet, each with a small charge", ("mobile",)),
    "subscription_trial": Vector("free or one-unit trials are opened with each card", ONLINE),
    "merchant_gateway_takeover": Vector(
        "a small shop's stolen gateway key is used to send authorisations", ("ecommerce",),
        sophistications=("medium", "high"),
    ),
    "unattended_terminal_probe": Vector(
        "cloned cards are tried at unattended terminals before larger use", ("pos",),
        tempos=("steady", "slow"), geographies=("domestic", "cross_border"),
    ),
}  # fmt: skip

STEP_KINDS = {
    "verification": StepKind("zero or one-unit account verification", True, False, "verification", ONLINE, ("unit",)),
    "unit_test": StepKind("purchase of exactly one unit", True, False, "purchase", (*ONLINE, "pos"), ("unit",)),
    "micro_purchase": StepKind("purchase of 0.05 to 2 units", True, False, "purchase", (*ONLINE, "pos"), ("unit",)),
    "spend": StepKind(
        "real purchase on a card that passed", True, False, "purchase", (*ONLINE, "pos"), ("habit",)
    ),
}  # fmt: skip

TESTS = ("verification", "unit_test", "micro_purchase")


def check(case: FraudCase) -> list[str]:
    """Tests come first and are tiny; spending follows, at least as large as half the victim's habit."""
    found: list[str] = []
    if case.steps[0].kind not in TESTS:
        found.append("the first step must be a test")
    if case.customers < 3:
        found.append(f"customers is {case.customers}: at least 3 cards are tried")
    if not 1 <= case.devices <= 8 or not 1 <= case.addresses <= 12:
        found.append("devices must be 1 to 8 and addresses 1 to 12")
    if case.merchant_category is None:
        found.append("merchant_category must be set")
    seen_spend = False
    for number, step in enumerate(case.steps):
        if step.kind in TESTS:
            if seen_spend:
                found.append(f"step {number}: a test after spending")
            if step.high > 2:
                found.append(f"step {number}: a test of {step.high} units is no test: at most 2")
            if step.kind == "unit_test" and (step.low != 1 or step.high != 1):
                found.append(f"step {number}: unit_test must be exactly 1 unit")
            if step.kind == "micro_purchase" and step.low < 0.05:
                found.append(f"step {number}: micro_purchase starts at 0.05 units")
            if step.kind == "verification" and (step.low, step.high) not in ((0, 0), (1, 1), (0, 1)):
                found.append(f"step {number}: verification must be 0 or 1 unit")
        else:
            seen_spend = True
            if step.low < 0.5 or step.high > 30:
                found.append(f"step {number}: spend must lie between 0.5 and 30 times the habit")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    raise NotImplementedError


SCENARIO = Scenario(
    name="card_testing",
    title="Card testing",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=14.0,
)
