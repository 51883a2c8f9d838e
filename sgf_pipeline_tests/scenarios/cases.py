"""Hand-written cases, incidents and exported rows of them, for the tests of scenarios and explanations.

``exported`` is a small stand-in for the formatting stage: the columns that explanations read, under other names for
the entities, in the order of the block.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sgf_pipeline.domain import events
from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.population.customers import Population, population
from sgf_pipeline.population.places import COUNTRY_CODES
from sgf_pipeline.population.world import world
from sgf_pipeline.scenarios.base import Incident
from sgf_pipeline.simulation import simulate

DAY_US = 86_400_000_000
START_DAY = 20_089  # 2025-01-01
START_US = START_DAY * DAY_US
THRESHOLD = 1_000_000  # minor units of EUR


@cache
def people(scenario: ScenarioName, size: int = 1500, currency: str = "EUR") -> Population:
    """A real population of France and Germany."""
    return population(11, scenario, size, world(11, ("FR", "DE"), currency), START_DAY)


def step(
    kind: str, channel: str, basis: str, low: float, high: float, count: int, wait: int, span: int
) -> dict[str, Any]:
    return {
        "kind": kind, "channel": channel, "basis": basis, "low": low, "high": high, "count": count,
        "wait_minutes": wait, "span_minutes": span,
    }  # fmt: skip


def case(scenario: ScenarioName, vector: str, steps: list[dict[str, Any]], **other: Any) -> FraudCase:
    laundering = scenario == "money_laundering"
    values: dict[str, Any] = {
        "scenario": scenario,
        "vector": vector,
        "sophistication": "medium",
        "victim_segment": "student" if laundering else "family",
        "tempo": "steady" if laundering else "burst",
        "geography": "domestic",
        "customers": 8,
        "outsiders": 3,
        "devices": 2,
        "addresses": 3,
        "merchant_category": None if laundering else "8398",
        "story": "A plan that a test wrote by hand to see it played.",
        "steps": steps,
    }
    return FraudCase.model_validate({**values, **other})


def card_testing(**other: Any) -> FraudCase:
    """Twenty cards tried at a charity, then spent on."""
    steps = [
        step("verification", "ecommerce", "unit", 0, 0, 4, 0, 3),
        step("unit_test", "ecommerce", "unit", 1, 1, 10, 1, 8),
        step("micro_purchase", "ecommerce", "unit", 0.05, 2, 12, 2, 12),
        step("spend", "ecommerce", "habit", 2, 8, 6, 600, 1200),
    ]
    return case("card_testing", "donation_probe", steps, **{"customers": 20, **other})


def cloned_cards(**other: Any) -> FraudCase:
    """Cloned cards at terminals, slowly, without devices to be seen."""
    steps = [
        step("micro_purchase", "pos", "unit", 0.2, 2, 9, 0, 600),
        step("spend", "pos", "habit", 1.5, 4, 4, 2000, 3000),
    ]
    settings = {"customers": 7, "tempo": "slow", "geography": "cross_border", "merchant_category": "7523"}
    return case("card_testing", "unattended_terminal_probe", steps, **{**settings, **other})


def laundering(vector: str, **other: Any) -> FraudCase:
    """One case of each vector of money laundering."""
    bank = "online_banking"
    cash_in = step("cash_deposit", "branch", "threshold", 0.6, 0.98, 10, 0, 9000)
    wire_in = step("inbound_transfer", bank, "threshold", 0.3, 0.9, 3, 0, 900)
    inner = step("internal_transfer", bank, "carry", 0.9, 0.96, 7, 30, 400)
    spread = step("internal_transfer", bank, "carry", 0.12, 0.16, 7, 30, 400)
    wire_out = step("outbound_transfer", bank, "carry", 0.4, 0.6, 3, 60, 700)
    cash_out = step("cash_withdrawal", "atm", "carry", 0.1, 0.3, 4, 60, 3000)
    steps = {
        "structuring": [cash_in, inner, wire_out],
        "fan_in": [{**wire_in, "count": 9}, inner, wire_out],
        "fan_out": [wire_in, spread, cash_out],
        "cycle": [{**wire_in, "count": 1}, {**inner, "count": 6}],
        "scatter_gather": [wire_in, {**spread, "low": 0.15, "count": 5}, inner, wire_out],
        "mule_chain": [{**wire_in, "count": 1}, {**inner, "count": 5}, wire_out],
        "cash_business": [{**cash_in, "low": 0.1}, spread, wire_out],
        "crypto_off_ramp": [wire_in, {**inner, "count": 4}, wire_out],
    }
    return case("money_laundering", vector, steps[vector], **other)


def identity_theft(vector: str = "data_breach_application", **other: Any) -> FraudCase:
    """An account that lives quietly for two weeks and is then drained by every way there is."""
    steps = [
        step("build_wages", "online_banking", "habit", 0.8, 1.1, 1, 0, 0),
        step("build_purchase", "pos", "habit", 0.4, 1.6, 7, 600, 9000),
        step("build_subscription", "mobile", "unit", 5, 15, 2, 300, 2000),
        step("build_deposit", "atm", "balance", 0.05, 0.15, 1, 300, 0),
        step("repayment", "online_banking", "balance", 0.03, 0.1, 2, 900, 3000),
        step("goods_purchase", "ecommerce", "balance", 0.1, 0.3, 4, 2000, 300),
        step("voucher_purchase", "mobile", "balance", 0.04, 0.12, 3, 30, 120),
        step("false_repayment", "online_banking", "balance", 0.4, 0.8, 1, 700, 0),
        step("transfer_out", "mobile", "balance", 0.2, 0.5, 2, 200, 200),
        step("cash_withdrawal", "atm", "balance", 0.05, 0.2, 2, 60, 200),
    ]
    settings = {"customers": 1, "tempo": "steady", "merchant_category": "5732", "victim_segment": "professional"}
    return case("identity_theft", vector, steps, **{**settings, **other})


def merchant_fraud(vector: str, **other: Any) -> FraudCase:
    """One case of each vector of merchant fraud."""
    sale = step("honest_sale", "ecommerce", "habit", 0.8, 1.2, 5, 0, 300)
    order = step("undelivered_order", "ecommerce", "habit", 1.5, 4, 10, 400, 1200)
    charge = step("inflated_charge", "mobile", "habit", 2, 5, 7, 900, 600)
    swipe = step("captured_purchase", "pos", "habit", 0.8, 1.2, 8, 0, 500)
    sham = step("sham_sale", "pos", "habit", 0.2, 0.6, 4, 0, 300)
    back = step("self_refund", "pos", "carry", 0.9, 1, 9, 700, 900)
    trial = step("trial_charge", "ecommerce", "unit", 0.5, 1, 6, 0, 500)
    renewal = step("hidden_renewal", "ecommerce", "unit", 30, 60, 8, 4000, 6000)
    steps = {
        "bust_out_shop": [
            sale, order, step("quieting_refund", "ecommerce", "carry", 1, 1, 2, 600, 300),
            {**order, "channel": "mobile", "count": 6},
            step("victim_dispute", "ecommerce", "carry", 1, 1, 3, 4000, 900),
        ],
        "skimming_terminal": [
            swipe, step("skimmed_purchase", "ecommerce", "habit", 2, 7, 6, 2000, 900),
            step("skimmed_cash", "atm", "habit", 4, 10, 4, 100, 300),
            step("skimmed_purchase", "pos", "habit", 1.5, 4, 4, 100, 300),
        ],
        "self_refund": [sham, back],
        "overcharging": [sale, charge],
        "duplicate_charges": [sale, step("repeated_charge", "ecommerce", "habit", 1, 1, 7, 600, 400)],
        "subscription_trap": [trial, renewal, {**renewal, "count": 5}],
        "transaction_laundering": [
            {**sale, "count": 2}, step("laundered_sale", "ecommerce", "habit", 2, 8, 14, 100, 1500)
        ],
        "fake_travel_agency": [order, {**charge, "channel": "ecommerce"}],
    }  # fmt: skip
    category = {
        "skimming_terminal": "5812", "self_refund": "5661", "subscription_trap": "5815", "fake_travel_agency": "4722",
    }.get(vector, "5732")  # fmt: skip
    settings = {"tempo": "steady", "merchant_category": category, "customers": 2 if vector == "self_refund" else 10}
    return case("merchant_fraud", vector, steps[vector], **{**settings, **other})


def takeover(vector: str = "credential_stuffing", **other: Any) -> FraudCase:
    """One case of each vector of account takeover."""
    probe = step("probe", "ecommerce", "unit", 1, 9, 2, 0, 10)
    buy = step("purchase", "mobile", "habit", 2, 6, 5, 30, 150)
    splurge = step("big_purchase", "ecommerce", "balance", 0.1, 0.3, 2, 30, 60)
    tap = step("wallet_purchase", "pos", "habit", 1, 4, 5, 0, 150)
    trial = step("trial_transfer", "online_banking", "unit", 1, 10, 1, 0, 0)
    send = step("transfer_out", "mobile", "balance", 0.1, 0.35, 4, 20, 120)
    mule = step("own_mule_transfer", "online_banking", "balance", 0.1, 0.35, 3, 20, 90)
    cash = step("cash_withdrawal", "atm", "balance", 0.05, 0.2, 4, 30, 120)
    steps = {
        "credential_stuffing": [probe, buy, splurge, send],
        "sim_swap": [step("wallet_enrolment", "mobile", "unit", 0, 1, 1, 0, 0), tap, send, mule],
        "malware_remote_session": [trial, send, mule],
        "session_hijack": [{**buy, "channel": "ecommerce", "count": 8}, splurge],
        "call_centre_reset": [send, mule, {**cash, "channel": "branch", "count": 1}, cash],
        "stolen_phone": [tap, cash],
        "data_breach_reuse": [probe, buy, splurge],
        "mailbox_takeover": [buy, trial, send, splurge],
    }[vector]
    kinds = {one["kind"] for one in steps}
    settings = {
        "customers": 3 if "own_mule_transfer" in kinds else 1,
        "merchant_category": "5732" if kinds & {"purchase", "wallet_purchase"} else None,
        "devices": 0 if vector == "stolen_phone" else 2,
    }
    return case("account_takeover", vector, steps, **{**settings, **other})


def phishing(vector: str, **other: Any) -> FraudCase:
    """One case of each vector of phishing."""
    bank, app, card = "online_banking", "mobile", "ecommerce"
    bill = step("victim_try", bank, "habit", 2, 5, 1, 0, 0)
    cash_out = step("mule_withdrawal", "atm", "carry", 0.2, 0.4, 3, 60, 300)
    send_on = step("mule_transfer", app, "carry", 0.3, 0.6, 2, 30, 100)
    pay = step("victim_payment", bank, "balance", 0.3, 0.6, 2, 300, 600)
    steps = {
        "invoice_redirection": [{**pay, "count": 4}, cash_out, send_on],
        "romance_scam": [bill, pay, {**pay, "channel": app, "count": 4}, cash_out],
        "investment_scam": [
            bill, step("savings_in", bank, "balance", 1.5, 3, 1, 900, 0), {**pay, "low": 0.2, "high": 0.5, "count": 5}
        ],
        "bank_impersonation": [
            bill, {**pay, "count": 3}, step("credential_transfer", app, "balance", 0.3, 0.8, 3, 30, 90)
        ],
        "police_impersonation": [bill, {**pay, "count": 3}, send_on, cash_out],
        "purchase_scam": [step("victim_purchase", card, "habit", 2, 6, 6, 0, 900), pay],
        "smishing_credentials": [
            step("credential_try", app, "habit", 0.05, 0.3, 3, 0, 10),
            step("credential_transfer", app, "balance", 0.4, 0.9, 6, 20, 90),
            step("credential_purchase", card, "habit", 1, 8, 7, 60, 300),
        ],
        "fake_login_page": [
            step("credential_try", bank, "habit", 0.05, 0.3, 2, 0, 10),
            step("credential_transfer", bank, "balance", 0.4, 0.9, 6, 20, 90), cash_out, send_on,
        ],
        "family_emergency": [{**bill, "channel": app}, {**pay, "channel": app, "count": 3}],
    }[vector]  # fmt: skip
    category = "5732" if any(s["kind"].endswith("_purchase") for s in steps) else None
    settings = {"customers": 4, "tempo": "steady", "victim_segment": "senior", "merchant_category": category}
    return case("phishing", vector, steps, **{**settings, **other})


def disputing(vector: str, **other: Any) -> FraudCase:
    """One case of each vector of chargeback fraud."""
    day = 1440
    goods = step("goods_purchase", "ecommerce", "habit", 1.2, 2.5, 6, 0, 4 * day)
    digital = step("digital_purchase", "mobile", "habit", 1.5, 4, 9, 0, 2 * day)
    fee = step("subscription_charge", "ecommerce", "habit", 0.8, 1.4, 5, 0, 9 * day)
    counter = step("family_purchase", "pos", "habit", 0.9, 2, 4, day, 3 * day)
    trip = step("travel_purchase", "mobile", "habit", 1, 2.4, 4, 0, 3 * day)
    kept = step("kept_purchase", "ecommerce", "habit", 0.7, 1.3, 3, 0, 3 * day)
    dispute = step("dispute", "ecommerce", "carry", 1, 1, 6, 14 * day, 3 * day)
    refund = step("merchant_refund", "ecommerce", "carry", 0.8, 1, 3, 3 * day, 2 * day)
    steps = {
        "not_received_claim": [kept, goods, dispute],
        "digital_goods_denial": [digital, {**dispute, "channel": "mobile"}],
        "cancelled_subscription_claim": [fee, dispute],
        "family_purchase_denial": [{**counter, "channel": "mobile"}, counter, {**dispute, "channel": "pos"}],
        "serial_disputer": [goods, {**dispute, "count": 4}, goods, {**dispute, "low": 0.6}, {**dispute, "count": 1}],
        "quality_pretext": [goods, {**dispute, "low": 0.3, "high": 0.8}],
        "double_dip": [goods, refund, {**goods, "wait_minutes": day}, dispute],
        "travel_no_show": [trip, {**trip, "channel": "pos"}, {**dispute, "channel": "mobile"}],
        "resale_of_disputed_goods": [goods, {**goods, "channel": "pos"}, dispute],
    }[vector]
    category = {
        "digital_goods_denial": "5816", "cancelled_subscription_claim": "4899", "travel_no_show": "7011",
    }.get(vector, "5399")  # fmt: skip
    people_ = {"family_purchase_denial": 3, "resale_of_disputed_goods": 4}.get(vector, 1)
    settings = {"tempo": "steady", "merchant_category": category, "customers": people_}
    return case("chargeback_fraud", vector, steps, **{**settings, **other})


def incident(
    scenario: ScenarioName, number: int = 0, *, campaign: int = 0, difficulty: float = 0.5, **other: Any
) -> Incident:
    """An incident in January 2025 against the population of ``people``."""
    return Incident(
        number=number,
        campaign=campaign,
        population=other.get("population") or people(scenario),
        rng=rng(5, "incident", number),
        campaign_rng=lambda: rng(5, "campaign", campaign),
        start_us=START_US + number % 20 * DAY_US + 9 * 3_600_000_000,
        period_start_us=START_US,
        period_end_us=START_US + 31 * DAY_US,
        difficulty=difficulty,
    )


def kept_to_habit(name: ScenarioName, played: list[FraudCase], difficulty: float, column: str) -> float:
    """The share of fraud rows whose customer also has honest rows with the same value of ``column``.

    Of whole shards, with their traffic; rows without a value do not count.
    """
    content = RequestContent.model_validate(
        {
            "count": 8_000, "fraud_ratio": 0.1, "scenarios": (name,), "currency": "EUR", "countries": ("FR",),
            "seed": 4, "start_date": "2025-01-01T00:00:00Z", "end_date": "2025-01-31T23:59:59Z",
            "difficulty": difficulty,
        }
    )  # fmt: skip
    table = pa.Table.from_batches(list(simulate(content, name, played))).select(["customer", column, "is_fraud"])
    frame = table.to_pandas().dropna(subset=[column])
    pairs = pd.Series(list(zip(frame["customer"], frame[column], strict=True)))
    fraud = frame["is_fraud"].to_numpy()
    return float(pairs[fraud].isin(set(pairs[~fraud])).mean())


def exported(blocks: list[tuple[FraudCase, EventBlock]], population: Population | None = None) -> pd.DataFrame:
    """The rows of played incidents as explanations read them, all incidents in one time order."""
    frames = []
    for case_, block in blocks:
        world_ = (population or people(case_.scenario)).world
        named = block["merchant"] >= 0
        shop = np.full(len(block), None, dtype=object)
        shop[named] = world_.merchant_name[world_.position(block["merchant"][named])]
        number = block["incident"]
        frame = pd.DataFrame(
            {
                "transaction_id": [f"tx_{i}_{row}" for row, i in enumerate(number)],
                "event_time": pd.to_datetime(block["time"], unit="us", utc=True),
                "customer_id": _named("cust", block["customer"]),
                "account_id": _named("acc", block["account"]),
                "card_id": _named("card", block["card"]),
                "transaction_type": np.array(events.TRANSACTION_TYPES, dtype=object)[block["transaction_type"]],
                "direction": np.array(events.DIRECTIONS, dtype=object)[block["direction"]],
                "amount": block["amount"] / 10**world_.digits,
                "currency": world_.currency,
                "channel": np.array(events.CHANNELS, dtype=object)[block["channel"]],
                "response_code": np.array(events.RESPONSE_CODES, dtype=object)[block["response_code"]],
                "merchant_id": _named("shop", block["merchant"]),
                "merchant_name": shop,
                "counterparty_account_id": _named("acc", block["counterparty"]),
                "counterparty_country": [COUNTRY_CODES[c] if c >= 0 else None for c in block["counterparty_country"]],
                "device_id": _named("dev", block["device"]),
                "ip_address": _named("ip", block["ip"]),
                "is_fraud": block["is_fraud"],
                "case_step": block["case_step"],
                "incident_id": [f"inc_{i}" for i in number],
                "vector": case_.vector,
                "step_kind": [case_.steps[s].kind for s in block["case_step"]],
            }
        )
        frames.append(frame)
    rows = pd.concat(frames, ignore_index=True)
    return rows.sort_values("event_time", kind="stable", ignore_index=True)


def _named(kind: str, keys: Any) -> list[str | None]:
    return [f"{kind}_{key}" if key >= 0 else None for key in keys]
