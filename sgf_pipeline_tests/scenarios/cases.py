"""Hand-written cases, incidents and exported rows of them, for the tests of scenarios and explanations.

``exported`` is a small stand-in for the formatting stage: the columns that explanations read, under other names for
the entities, in the order of the block.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from sgf_pipeline.domain import events
from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import EventBlock
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.population.customers import Population, population
from sgf_pipeline.population.places import COUNTRY_CODES
from sgf_pipeline.population.world import world
from sgf_pipeline.scenarios.base import Incident

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
