"""Chargeback fraud, told: what the customer bought, and what had already come back to him when he bought it.

Belongs here: the facts and sentences of this scenario. A purchase is told by the rows up to its own, so that it never
cites its own chargeback, which comes weeks later and may lie outside the data.
"""

import numpy as np

from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import first_of, last_before, running_distinct, running_sum, total
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

VECTORS = {
    "not_received_claim": {"en": "False claim of non-receipt", "fr": "Fausse déclaration de non-réception"},
    "digital_goods_denial": {"en": "Denied digital goods", "fr": "Biens numériques reniés"},
    "cancelled_subscription_claim": {
        "en": "Subscription used on and called cancelled", "fr": "Abonnement utilisé mais dit résilié"
    },
    "family_purchase_denial": {"en": "Denied family purchase", "fr": "Achat familial renié"},
    "serial_disputer": {"en": "Serial false disputes", "fr": "Fausses contestations en série"},
    "quality_pretext": {"en": "False claim of defects", "fr": "Faux prétexte de défaut"},
    "double_dip": {"en": "Refund and dispute of one purchase", "fr": "Remboursement doublé d'une contestation"},
    "travel_no_show": {"en": "Used journey called cancelled", "fr": "Voyage effectué mais dit annulé"},
    "resale_of_disputed_goods": {"en": "Resale of disputed goods", "fr": "Revente de biens contestés"},
}  # fmt: skip

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "purchase": Number(),
    "purchases": Number(),
    "amount": Money(),
    "merchant": Word(),
    "elapsed": Duration(),
    "spent": Money(),
    "merchants": Count("merchant"),
    "cards": Count("card"),
    "refunds": Number(),
    "disputes": Number(),
    "returned": Money(),
    "since_back": Duration(),
}

_BOUGHT = ("vector", "purchase", "purchases", "amount", "merchant")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "first_purchase": ("vector", "purchases", "amount", "merchant"),
    "purchase": (*_BOUGHT, "elapsed", "spent", "merchants", "cards"),
    "after_refund": (*_BOUGHT, "spent", "refunds", "returned", "since_back"),
    "after_dispute": (*_BOUGHT, "spent", "disputes", "returned", "since_back"),
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "first_purchase": {
        "en": (
            "{vector}: this purchase of {amount} at {merchant}, paid with the customer's own card, opens a series that"
            " ends in false disputes; purchases in all: {purchases}.",
            "{merchant} took {amount} from the customer's own card. {vector}: the first of the falsely disputed"
            " purchases, {purchases} in all.",
        ),
        "fr": (
            "{vector}\u00a0: cet achat de {amount} chez {merchant}, payé avec la carte du client lui-même, ouvre une"
            " série que suivent de fausses contestations\u00a0; achats au total\u00a0: {purchases}.",
            "Montant de {amount} payé à {merchant} avec la carte du client lui-même. {vector}\u00a0: premier des achats"
            " contestés à tort ({purchases} en tout).",
        ),
    },
    "purchase": {
        "en": (
            "{vector}, purchase {purchase} of {purchases}: {amount} at {merchant}, {elapsed} after the first. So far"
            " {spent} at {merchants}, with {cards}, all falsely disputed.",
            "{amount} at {merchant} brings the falsely disputed total to {spent}: {merchants} and {cards} within"
            " {elapsed}. {vector}, purchase {purchase} of {purchases}.",
            "After {elapsed} of the series, {merchant} was paid {amount}. {vector}: purchase {purchase} of {purchases},"
            " {spent} in all at {merchants}, with {cards}.",
        ),
        "fr": (
            "{vector}, achat {purchase} sur {purchases}\u00a0: {amount} chez {merchant}, {elapsed} après le premier."
            " Jusqu'ici {spent} chez {merchants}, avec {cards}, le tout contesté à tort.",
            "{amount} chez {merchant} porte le total contesté à tort à {spent}\u00a0: {merchants} et {cards} en"
            " {elapsed}. {vector}, achat {purchase} sur {purchases}.",
            "Après {elapsed}, {merchant} a encaissé {amount}. {vector}\u00a0: achat {purchase} sur {purchases}, {spent}"
            " au total chez {merchants}, avec {cards}.",
        ),
    },
    "after_refund": {
        "en": (
            "{vector}, purchase {purchase} of {purchases}: {amount} at {merchant}, {since_back} after the last refund."
            " Refunds so far: {refunds}, {returned} of {spent} spent.",
            "{since_back} after shops had paid back {returned} (refunds: {refunds}), {amount} was spent at {merchant},"
            " {spent} in all. {vector}, purchase {purchase} of {purchases}.",
        ),
        "fr": (
            "{vector}, achat {purchase} sur {purchases}\u00a0: {amount} chez {merchant}, {since_back} après le dernier"
            " remboursement. Remboursements jusqu'ici\u00a0: {refunds}, soit {returned} sur {spent} dépensés.",
            "{since_back} après que des commerçants eurent rendu {returned} (remboursements\u00a0: {refunds}), {amount}"
            " chez {merchant}, {spent} au total. {vector}, achat {purchase} sur {purchases}.",
        ),
    },
    "after_dispute": {
        "en": (
            "{vector}, purchase {purchase} of {purchases}: {amount} at {merchant}, {since_back} after money last came"
            " back. Chargebacks so far: {disputes}; returned: {returned} of {spent} spent.",
            "The customer bought again, {amount} at {merchant}, though {disputes} of this series had been charged back:"
            " {returned} of {spent} returned, the last {since_back} before. {vector}, purchase {purchase} of"
            " {purchases}.",
        ),
        "fr": (
            "{vector}, achat {purchase} sur {purchases}\u00a0: {amount} chez {merchant}, {since_back} après le dernier"
            " retour d'argent. Rétrofacturations jusqu'ici\u00a0: {disputes}\u00a0; rendu\u00a0: {returned} sur {spent}"
            " dépensés.",
            "Le client rachète, {amount} chez {merchant}, alors que la série compte déjà des rétrofacturations"
            " ({disputes})\u00a0: {returned} rendus sur {spent}, les derniers {since_back} plus tôt. {vector}, achat"
            " {purchase} sur {purchases}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of chargeback fraud. Purchases that are kept count for nothing."""
    bought = log.is_fraud
    refund, dispute = log.equals("step_kind", "merchant_refund"), log.equals("step_kind", "dispute")
    back = ~bought & (refund | dispute)
    first = first_of(bought, log.incident)
    last_back = last_before(back, log.incident)
    purchase = running_sum(bought, log.incident)
    disputes = running_sum(back & dispute, log.incident)
    fact = np.full(log.length, None, dtype=object)
    fact[bought] = "purchase"
    fact[bought & (purchase == 1)] = "first_purchase"
    fact[bought & (last_back >= 0)] = "after_refund"
    fact[bought & (disputes > 0)] = "after_dispute"
    values = {
        "vector": log.words("vector"),
        "purchase": purchase,
        "purchases": total(bought, log.incident),
        "amount": log.amount,
        "merchant": log.words("merchant_name"),
        "elapsed": log.time - log.time[first],
        "spent": running_sum(np.where(bought, log.amount, 0), log.incident),
        "merchants": running_distinct(log.column("merchant_id"), log.incident, bought),
        "cards": running_distinct(log.column("card_id"), log.incident, bought),
        "refunds": running_sum(back & refund, log.incident),
        "disputes": disputes,
        "returned": running_sum(np.where(back, log.amount, 0), log.incident),
        "since_back": log.time - log.time[last_back],
    }
    here = np.arange(log.length)
    previous = last_before(bought, log.incident)
    return Facts(fact, values, (first, np.where(last_back >= 0, last_back, previous), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
