"""Money laundering: criminal money is placed, moved over a graph of accounts, and taken out.

Belongs here: the scenario's tables, its constraints and its play. Typologies follow public reports of financial
intelligence units (structuring, fan-in, fan-out, cycles, scatter-gather, mule chains, cash businesses).
"""

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.scenarios.base import Incident, Scenario, StepKind, Vector

REMOTE = ("online_banking", "mobile")

VECTORS = {
    "structuring": Vector("cash is paid in, in amounts under the reporting threshold", ("branch", "atm")),
    "fan_in": Vector("many accounts pay into one collector", REMOTE),
    "fan_out": Vector("one account spreads a sum over many", REMOTE),
    "cycle": Vector("money returns to where it began over several accounts", REMOTE),
    "scatter_gather": Vector("a sum is scattered over mules and gathered again", REMOTE),
    "mule_chain": Vector("mules pass a sum on, one after the other, each keeping a commission", REMOTE),
    "cash_business": Vector(
        "takings of a cash business are mixed with criminal cash", ("branch",), tempos=("steady", "slow"),
        geographies=("domestic", "cross_border"),
    ),
    "crypto_off_ramp": Vector(
        "payouts of an exchange are pulled in and passed on", REMOTE, sophistications=("medium", "high"),
        geographies=("cross_border", "remote"),
    ),
}  # fmt: skip

STEP_KINDS = {
    "cash_deposit": StepKind("cash is paid in", True, False, "deposit", ("branch", "atm"), ("threshold",)),
    "inbound_transfer": StepKind(
        "money arrives from an account elsewhere", True, False, "transfer", REMOTE, ("threshold",)
    ),
    "internal_transfer": StepKind(
        "money moves between accounts of this bank (two rows)", True, False, "transfer", REMOTE, ("carry",)
    ),
    "outbound_transfer": StepKind("money leaves to an account elsewhere", True, False, "transfer", REMOTE, ("carry",)),
    "cash_withdrawal": StepKind("money is taken out in cash", True, False, "withdrawal", ("atm", "branch"), ("carry",)),
}

PLACEMENT = ("cash_deposit", "inbound_transfer")


def check(case: FraudCase) -> list[str]:
    """Money is placed first; what is carried on is never more than what arrived; graphs need their accounts."""
    found: list[str] = []
    if case.steps[0].kind not in PLACEMENT:
        found.append("the first step must place money")
    for number, step in enumerate(case.steps):
        if step.kind in PLACEMENT:
            if step.low < 0.02 or step.high > 5:
                found.append(f"step {number}: a placement must lie between 0.02 and 5 thresholds")
        elif not 0.05 <= step.low <= step.high <= 1:
            found.append(f"step {number}: at most what arrived can be carried on (0.05 to 1)")
    kinds = [step.kind for step in case.steps]
    if case.vector == "structuring" and any(s.high >= 1 for s in case.steps if s.kind == "cash_deposit"):
        found.append("structuring stays under the threshold")
    if case.vector in ("structuring", "cash_business") and "cash_deposit" not in kinds:
        found.append(f"{case.vector} needs a cash_deposit")
    if case.vector in ("cycle", "scatter_gather", "mule_chain", "fan_in", "fan_out") and case.customers < 3:
        found.append(f"{case.vector} needs at least 3 accounts of the bank, not {case.customers}")
    if case.vector in ("cycle", "scatter_gather", "mule_chain") and "internal_transfer" not in kinds:
        found.append(f"{case.vector} needs an internal_transfer")
    if case.outsiders < 1 and any(kind in ("inbound_transfer", "outbound_transfer") for kind in kinds):
        found.append("a transfer from or to elsewhere needs at least 1 outsider")
    if case.merchant_category is not None:
        found.append("merchant_category must be null: no shop is involved")
    return found


def play(case: FraudCase, incident: Incident) -> EventBlock:
    raise NotImplementedError


SCENARIO = Scenario(
    name="money_laundering",
    title="Money laundering",
    vectors=VECTORS,
    step_kinds=STEP_KINDS,
    check=check,
    play=play,
    rows_per_incident=16.0,
)
