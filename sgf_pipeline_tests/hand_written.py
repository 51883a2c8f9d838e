"""Cases written by hand for the tests, so that what they play never depends on a trained model."""

from typing import Any

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.request import RequestContent, parse_request


def step(kind: str, channel: str, basis: str, low: float, high: float, count: int, wait: int, span: int) -> dict:
    return {
        "kind": kind,
        "channel": channel,
        "basis": basis,
        "low": float(low),
        "high": float(high),
        "count": count,
        "wait_minutes": wait,
        "span_minutes": span,
    }


CARD_TESTING = FraudCase.model_validate(
    {
        "scenario": "card_testing",
        "vector": "donation_probe",
        "sophistication": "medium",
        "victim_segment": "family",
        "tempo": "steady",
        "geography": "domestic",
        "customers": 8,
        "outsiders": 1,
        "devices": 2,
        "addresses": 2,
        "merchant_category": "8398",
        "story": "A charity's page takes many small gifts from one browser.",
        "steps": [
            step("unit_test", "ecommerce", "unit", 1, 1, 6, 0, 10),
            step("micro_purchase", "ecommerce", "unit", 0.3, 1.8, 6, 1, 10),
            step("spend", "ecommerce", "habit", 1, 4, 3, 300, 600),
        ],
    }
)
MULE_CHAIN = FraudCase.model_validate(
    {
        "scenario": "money_laundering",
        "vector": "mule_chain",
        "sophistication": "medium",
        "victim_segment": "student",
        "tempo": "steady",
        "geography": "cross_border",
        "customers": 4,
        "outsiders": 2,
        "devices": 1,
        "addresses": 1,
        "merchant_category": None,
        "story": "A sum arrives from abroad and is passed along by students.",
        "steps": [
            step("inbound_transfer", "online_banking", "threshold", 0.3, 0.7, 1, 0, 10),
            step("internal_transfer", "mobile", "carry", 0.9, 0.97, 3, 100, 3000),
            step("outbound_transfer", "mobile", "carry", 0.9, 0.97, 2, 60, 600),
        ],
    }
)
CASES = {"card_testing": [CARD_TESTING], "money_laundering": [MULE_CHAIN]}


def content(**changes: Any) -> RequestContent:
    """A month of a small bank in three countries: 4,000 rows, 320 of them fraud, both scenarios."""
    values = {
        "count": 4_000,
        "fraud_ratio": 0.08,
        "scenarios": ["card_testing", "money_laundering"],
        "countries": ["FR", "DE", "IT"],
        "start_date": "2025-01-01T00:00:00Z",
        "end_date": "2025-01-31T23:59:59Z",
        "seed": 12345,
        **changes,
    }
    return parse_request("gen_1", values, {}).content
