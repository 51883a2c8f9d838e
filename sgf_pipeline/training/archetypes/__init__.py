"""Hand-written archetypes, one module a scenario. ``BOOKS`` lists them in the canonical order."""

from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName
from sgf_pipeline.training.archetypes import (
    account_takeover,
    card_testing,
    chargeback_fraud,
    identity_theft,
    merchant_fraud,
    money_laundering,
    phishing,
)
from sgf_pipeline.training.archetypes.base import Book

_WRITTEN = {
    module.BOOK.scenario: module.BOOK
    for module in (
        account_takeover,
        card_testing,
        chargeback_fraud,
        money_laundering,
        phishing,
        merchant_fraud,
        identity_theft,
    )
}
BOOKS: dict[ScenarioName, Book] = {name: _WRITTEN[name] for name in SCENARIO_NAMES if name in _WRITTEN}
