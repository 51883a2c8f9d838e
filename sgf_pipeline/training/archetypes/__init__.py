"""Hand-written archetypes, one module a scenario. ``BOOKS`` lists them in the canonical order."""

from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES, ScenarioName
from sgf_pipeline.training.archetypes import card_testing, money_laundering
from sgf_pipeline.training.archetypes.base import Book

_WRITTEN = {module.BOOK.scenario: module.BOOK for module in (card_testing, money_laundering)}
BOOKS: dict[ScenarioName, Book] = {name: _WRITTEN[name] for name in SCENARIO_NAMES if name in _WRITTEN}
