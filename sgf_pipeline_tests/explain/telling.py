"""Played incidents of every scenario, and their explanations, for the tests of this folder."""

import json
from functools import cache
from typing import Any

import pandas as pd

from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.explain import explain
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.hand_written import CASES
from sgf_pipeline_tests.scenarios import cases

LANGUAGES = ("en", "fr")
PLAYED = {**CASES, "identity_theft": [cases.identity_theft(vector) for vector in SCENARIOS["identity_theft"].vectors]}
PLAYED["card_testing"] = [*PLAYED["card_testing"], cases.card_testing(customers=3, tempo="slow", geography="remote")]

# columns of which hand-written rows leave most null
NOTHING = dict.fromkeys(
    ("card_id", "merchant_id", "merchant_name", "counterparty_account_id", "counterparty_country", "device_id",
     "ip_address")
)  # fmt: skip


@cache
def rows_of(scenario: ScenarioName, each: int = 2, currency: str = "EUR") -> pd.DataFrame:
    """Played incidents of every hand-written case of the scenario, mixed in one time order."""
    people = cases.people(scenario, 600, currency)
    plan = [
        (case, cases.incident(scenario, number, campaign=number // 4, population=people))
        for number, case in enumerate(PLAYED[scenario] * each)
    ]
    rows = cases.exported([(case, SCENARIOS[scenario].play(case, incident)) for case, incident in plan], people)
    return rows.assign(account_age_days=400)


def by_hand(*rows: dict[str, Any], **always: Any) -> pd.DataFrame:
    """One incident, row by row: what is not said is approved debit fraud of account ``a`` on 5 January 2025, ten
    o'clock and ``minute``. Every step kind is a step of its own.
    """
    start = pd.Timestamp("2025-01-05T10:00:00Z")
    usual = {
        **NOTHING, "account_id": "a", "account_age_days": 400, "direction": "debit", "currency": "EUR",
        "response_code": "00", "is_fraud": True, "incident_id": "incident", **always,
    }  # fmt: skip
    frame = pd.DataFrame(
        [
            {**usual, **row, "transaction_id": f"t{i}", "event_time": start + pd.Timedelta(minutes=row["minute"])}
            for i, row in enumerate(rows)
        ]
    )
    return frame.assign(case_step=pd.factorize(frame["step_kind"])[0])


def smallest(rows: pd.DataFrame) -> pd.DataFrame:
    """The incident of fewest rows that has at least ten."""
    sizes = rows["incident_id"].value_counts(sort=False)
    return rows[rows["incident_id"] == sizes[sizes >= 10].idxmin()].reset_index(drop=True)


def told(rows: pd.DataFrame, scenario: str, language: str = "en", currency: str = "EUR") -> pd.DataFrame:
    return rows.join(explain(rows, scenario=scenario, currency=currency, language=language))


def proofs(explained: pd.DataFrame) -> list[dict[str, Any]]:
    """The evidence of each row, empty where there is none."""
    return [json.loads(text) if isinstance(text, str) else {} for text in explained["evidence"]]


def listed(proof: dict[str, Any]) -> set[str]:
    """The transactions that a row's evidence lists."""
    return {name for citation in proof["rows"].values() for name in citation["transactions"]}


def reworded(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The same rows under other ids, which draw other sentences."""
    return rows.assign(transaction_id=rows["transaction_id"] + f"_{number}")
