"""Requests and cases written by hand for the tests, so that what they play never depends on a trained model."""

from typing import Any

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.request import RequestContent, parse_request
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases

_ONE_A_VECTOR = {
    "account_takeover": cases.takeover,
    "merchant_fraud": cases.merchant_fraud,
    "money_laundering": cases.laundering,
    "phishing": cases.phishing,
    "chargeback_fraud": cases.disputing,
}


def _in_haste(case: FraudCase) -> FraudCase:
    """The same plan in a tenth of the time."""
    steps = [
        step.model_copy(update={"wait_minutes": step.wait_minutes // 10, "span_minutes": step.span_minutes // 10})
        for step in case.steps
    ]
    return case.model_copy(update={"steps": steps, "tempo": "burst"})


CASES: dict[ScenarioName, list[FraudCase]] = {
    "card_testing": [cases.card_testing(), cases.cloned_cards()],
    "identity_theft": [cases.identity_theft(), _in_haste(cases.identity_theft())],
    **{name: [one(vector) for vector in SCENARIOS[name].vectors] for name, one in _ONE_A_VECTOR.items()},
}
MULE_CHAIN = cases.laundering("mule_chain")


def content(**changes: Any) -> RequestContent:
    """A month of a small bank in three countries: 4,000 rows, 320 of them fraud, two scenarios."""
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
