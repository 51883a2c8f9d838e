"""One walk a scenario: what the exported rows of an incident show, reckoned row by row, for ``verify`` alone.

Nothing here imports the modules that write explanations, on purpose: a defect there must not be repeated here.
"""

from sgf_pipeline.explain.walks.base import Walk
from sgf_pipeline.explain.walks.card_testing import CardTesting
from sgf_pipeline.explain.walks.money_laundering import MoneyLaundering

WALKS: dict[str, type[Walk]] = {
    "card_testing": CardTesting,
    "money_laundering": MoneyLaundering,
}
