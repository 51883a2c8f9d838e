"""The seven scenario names, in the canonical order that every tie and every listing follows.

Belongs here: names only. What a scenario does lives in ``sgf_pipeline.scenarios``.
"""

from typing import Literal, get_args

ScenarioName = Literal[
    "card_testing",
    "account_takeover",
    "identity_theft",
    "merchant_fraud",
    "money_laundering",
    "phishing",
    "chargeback_fraud",
]

SCENARIO_NAMES: tuple[ScenarioName, ...] = get_args(ScenarioName)
