"""One module a scenario. ``SCENARIOS`` lists the ones that are built, in the canonical order."""

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName
from sgf_pipeline.scenarios import (
    account_takeover,
    card_testing,
    chargeback_fraud,
    identity_theft,
    merchant_fraud,
    money_laundering,
    phishing,
)
from sgf_pipeline.scenarios.base import Scenario

_BUILT = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        account_takeover,
        card_testing,
        chargeback_fraud,
        money_laundering,
        identity_theft,
        phishing,
        merchant_fraud,
    )
}
SCENARIOS: dict[ScenarioName, Scenario] = {name: _BUILT[name] for name in SCENARIO_NAMES if name in _BUILT}


def scenario(name: ScenarioName) -> Scenario:
    """The scenario of that name. Raises ``InvalidRequestError`` for one that is not built yet."""
    if name not in SCENARIOS:
        raise InvalidRequestError(f"scenario {name!r} is not built yet: use one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
