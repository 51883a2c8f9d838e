"""What a model reads, and the versions that every cached answer is kept under.

Belongs here: the text around a brief, for a model that was trained on cases and for one that knows nothing of them.
Does not belong here: the brief's own line (``CaseBrief.prompt``), and what a scenario's words mean (its own tables).
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import (
    chargeback_fraud,
    identity_theft,
    merchant_fraud,
    money_laundering,
    phishing,
)
from sgf_pipeline.scenarios.base import Scenario, StepKind, Vector

PROMPT_VERSION = "1"  # raise it whenever prompt_text changes: old answers are then asked for anew
INSTRUCTIONS_VERSION = "1"  # the same for instructions and questions, which trained models never see

EXAMPLES = Path(__file__).parent / "examples.json"


def prompt_text(brief: CaseBrief) -> str:
    """The brief in one line; what follows the line break is the case's JSON."""
    return brief.prompt() + "\n"


_TASK = """\
You help a bank to train and test its fraud detectors with synthetic data. You write fraud cases: short plans of one
incident of {title} each, which a simulator plays among invented customers. Nobody real appears in them, and nothing
in them helps to commit a crime: no names, no methods beyond what the fields hold.

You are given numbered cells. Answer with one JSON object whose "cases" holds one case for each cell, in the same
order, and no other. Cases differ from one another in their steps, amounts, tempo and story, as real incidents do.

Fields of a case:
- scenario: always {name}
- vector, sophistication, victim_segment, tempo, geography: exactly those of the cell
- customers: customers of the bank drawn into the case, 1 to 60
- outsiders: merchants or accounts elsewhere, 0 to 20
- devices, addresses: the offender's devices (0 to 8) and network addresses (0 to 12)
- merchant_category: four digits of ISO 18245 where a shop is used, else null
- story: one sentence of 20 to 200 characters, in English: what the victim or the bank sees; no names, no numbers
- steps: 1 to 12 steps in order of time, at least one of them on the cell's channel; 3 to 6 are usual

Fields of a step: "count" rows (1 to 60) of one "kind" on one "channel" fall within span_minutes (0 to 43200),
wait_minutes (0 to 129600) after the step before. Each row's amount is drawn between low and high (0 to 100, low not
above high), in multiples of the basis, never in money:
- unit: the currency's everyday unit, such as 1 EUR
- habit: the victim's own usual amount for such a row
- balance: what the account holds at that moment (its credit line in identity theft)
- threshold: the country's cash-reporting threshold, 10,000 EUR
- carry: what reached the account in earlier steps of the case and has not left it yet

What the cell's words mean:
- sophistication: low is crude (few steps, round amounts), high is careful (more steps, amounts and pauses that vary)
- tempo, from first row to last: burst is minutes to hours, steady is hours to days, slow is days to weeks{tempo}
- geography: domestic is the victim's country, cross_border one nearby, remote one far away

Vectors:
{vectors}

Kinds of step (a kind allows only these channels and this basis):
{kinds}

Rules of {name}. A case that breaks one is thrown away:
{rules}

Examples, each for another cell:
{examples}
"""


@cache
def instructions(name: ScenarioName) -> str:
    """All that a general model has to know to write cases of the scenario: the same text for every question."""
    from sgf_pipeline.scenarios import scenario

    table = scenario(name)
    return _TASK.format(
        title=table.title.lower(),
        name=name,
        tempo=" (bought; disputes follow weeks later)" if name == "chargeback_fraud" else "",
        vectors="\n".join(_vector(word, vector) for word, vector in table.vectors.items()),
        kinds="\n".join(_kind(word, kind) for word, kind in table.step_kinds.items()),
        rules="\n".join(f"- {rule}" for rule in _rules(table)),
        examples="\n".join(json.dumps(case, separators=(",", ":")) for case in examples()[name]),
    )


def question(briefs: Sequence[CaseBrief], variations: Sequence[int]) -> str:
    """The cells that are asked for, numbered from 1. A variation above 0 tells a cell from its earlier askings."""
    lines = []
    for number, (brief, variation) in enumerate(zip(briefs, variations, strict=True), 1):
        again = f", variation {variation}: unlike the first case that comes to mind" if variation else ""
        lines.append(
            f"{number}. vector {brief.vector}, channel {brief.channel}, sophistication {brief.sophistication},"
            f" victim_segment {brief.victim_segment}, tempo {brief.tempo}, geography {brief.geography}{again}"
        )
    many = "case" if len(briefs) == 1 else "cases"
    return f"Write {len(briefs)} {many} of {briefs[0].scenario}, one for each cell:\n" + "\n".join(lines)


@cache
def examples() -> dict[ScenarioName, list[dict[str, object]]]:
    """One or two cases a scenario, written by us."""
    found: dict[ScenarioName, list[dict[str, object]]] = json.loads(EXAMPLES.read_bytes())
    return found


def _vector(word: str, vector: Vector) -> str:
    return f"- {word}: {vector.meaning}"


def _kind(word: str, kind: StepKind) -> str:
    return f"- {word} ({' or '.join(kind.channels)}; {' or '.join(kind.bases)}): {kind.meaning}"


def _between(limits: Mapping[str, tuple[float, float]]) -> str:
    return ", ".join(f"{kind} {low:g} to {high:g}" for kind, (low, high) in limits.items())


def _rules(table: Scenario) -> list[str]:
    """What ``Scenario.check`` of each module says, in words."""
    offender = "devices 1 to 8 and addresses 1 to 12"
    rules: dict[ScenarioName, list[str]] = {
        "card_testing": [
            "the first step is a test: verification, unit_test or micro_purchase; after a spend comes no test",
            "a verification has low and high 0 and 0, 1 and 1, or 0 and 1; a unit_test has low 1 and high 1; a"
            " micro_purchase lies between 0.05 and 2",
            "a spend lies between 0.5 and 30 times the habit",
            f"customers at least 3 (the tried cards), {offender}, merchant_category always set",
        ],
        "account_takeover": [
            "wallet_enrolment has low and high 0 and 0, 1 and 1, or 0 and 1; a probe lies between 0.5 and 25 units; a"
            " trial_transfer between 1 and 60 units",
            "what is sized by balance lies between 0.01 and 1, what is sized by habit between 0.3 and 40",
            "not only trials (wallet_enrolment, probe, trial_transfer): something is taken",
            "with an own_mule_transfer customers is at least 2 (victim and mules); without one customers is exactly 1",
            "trial_transfer and transfer_out need outsiders of at least 1",
            "merchant_category is set where a wallet_enrolment, probe, purchase, big_purchase or wallet_purchase is",
            "devices and addresses at least 1, except with malware_remote_session and stolen_phone",
        ],
        "identity_theft": [
            f"the first step is quiet building ({', '.join(identity_theft.QUIET)}), and none of these comes after the"
            f" bust-out ({', '.join(identity_theft.DRAIN)}) has begun; a bust-out there is always",
            "a false_repayment comes only after some bust-out",
            f"low and high lie within: {_between(identity_theft.LIMITS)}",
            f"customers 1 to 6, {offender}",
            "merchant_category is set where goods or vouchers are purchased",
            f"outsiders at least 1 where {', '.join(identity_theft.WIRED)} occurs",
        ],
        "merchant_fraud": [
            *(
                f"{vector} has {' and '.join(needed)}"
                + (f", and may have {', '.join(allowed)}" if allowed else "")
                + ", and no other kinds"
                for vector, (needed, allowed) in merchant_fraud.KINDS_OF.items()
            ),
            "skimming_terminal has a skimmed_purchase or skimmed_cash besides",
            *(f"{kind} comes only after {' or '.join(before)}" for kind, before in merchant_fraud.BEFORE.items()),
            f"low and high lie within: {_between(merchant_fraud.LIMITS)}",
            f"a victim_dispute waits at least {merchant_fraud.DISPUTED_AFTER} minutes",
            "quieting_refund and victim_dispute together have at most as many rows as false charges"
            f" ({', '.join(merchant_fraud.FALSE_CHARGES)}) before them",
            f"customers at least 3 (at least 1 with self_refund), {offender}, merchant_category always set",
        ],
        "money_laundering": [
            f"the first step places money: {' or '.join(money_laundering.PLACEMENT)}, between 0.02 and 5 thresholds",
            "every other kind lies between 0.05 and 1 of the carry",
            "structuring has a cash_deposit, and each of its cash_deposits has a high below 1; cash_business has a"
            " cash_deposit",
            "cycle, scatter_gather, mule_chain, fan_in and fan_out need customers of at least 3",
            "cycle, scatter_gather and mule_chain have an internal_transfer; the counts of all internal transfers add"
            f" up to at least {money_laundering.FEWEST_TRANSFERS['cycle']} in a cycle and"
            f" {money_laundering.FEWEST_TRANSFERS['scatter_gather']} in scatter_gather",
            "inbound_transfer and outbound_transfer need outsiders of at least 1",
            "merchant_category is null",
        ],
        "phishing": [
            f"{' and '.join(phishing.CREDENTIAL_VECTORS)} have credential_ steps and no victim_ steps; all others have"
            f" victim_ steps; credential_ steps besides only with {' and '.join(phishing.MIXED_VECTORS)}",
            f"{' and '.join(phishing.BY_MULE)} come only after one of {', '.join(phishing.PAYMENTS)}",
            "victim_try and credential_try never follow a victim_payment or credential_transfer",
            f"after savings_in comes one of {', '.join(phishing.PAYMENTS)}",
            f"low and high lie within: {_between(phishing.BOUNDS)}",
            "credential_ steps need devices and addresses of at least 1",
            "mule_ steps need customers of at least 2; a mule_transfer, and a payment without mule_ steps, need"
            " outsiders of at least 1",
            "merchant_category is set where victim_purchase or credential_purchase occurs, and null elsewhere",
        ],
        "chargeback_fraud": [
            f"the first step is a purchase ({', '.join(chargeback_fraud.PURCHASES)}); at least one purchase is not"
            " kept_purchase",
            "merchant_refund and dispute come only after such a purchase, and a dispute comes after the last one",
            "all wait_minutes and span_minutes of a case together are 14400 to 144000",
            "purchases lie between 0.3 and 10 times the habit, refunds and disputes between 0.1 and 1 of the carry",
            *(f"{vector} has a {kind}" for vector, kind in chargeback_fraud.NEEDS.items()),
            "serial_disputer has at least 2 dispute steps",
            "a merchant_refund or dispute is on a channel on which the case has a purchase",
            "customers 1 to 6, devices 1 to 3, addresses 1 to 3, outsiders at least 1",
            f"merchant_category is one of {', '.join(sorted(chargeback_fraud.CATEGORIES))}",
        ],
    }
    return rules[table.name]
