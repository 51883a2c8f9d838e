"""One walk a scenario: what the exported rows of an incident show, reckoned row by row, for ``verify`` alone.

Nothing here imports the modules that write explanations, on purpose: a defect there must not be repeated here.
"""

from sgf_pipeline.explain.walks.account_takeover import AccountTakeover
from sgf_pipeline.explain.walks.base import Walk
from sgf_pipeline.explain.walks.card_testing import CardTesting
from sgf_pipeline.explain.walks.chargeback_fraud import ChargebackFraud
from sgf_pipeline.explain.walks.identity_theft import IdentityTheft
from sgf_pipeline.explain.walks.merchant_fraud import MerchantFraud
from sgf_pipeline.explain.walks.money_laundering import MoneyLaundering
from sgf_pipeline.explain.walks.phishing import Phishing

WALKS: dict[str, type[Walk]] = {
    "account_takeover": AccountTakeover,
    "card_testing": CardTesting,
    "chargeback_fraud": ChargebackFraud,
    "identity_theft": IdentityTheft,
    "merchant_fraud": MerchantFraud,
    "money_laundering": MoneyLaundering,
    "phishing": Phishing,
}
