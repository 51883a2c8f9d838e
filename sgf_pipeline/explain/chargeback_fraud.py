"""Chargeback fraud, told: what the customer bought, and what had already come back to him when he bought it.

Belongs here: the facts and sentences of this scenario. A purchase is told by the rows up to its own, so that it never
cites its own chargeback, which comes weeks later and may lie outside the data.
"""

import numpy as np

from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import Array, Log, Reckoning, Rows, Story, Telling, Wordings
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

BACK = ("merchant_refund", "dispute")

ROWS: dict[str, Rows] = {
    "bought": Rows(),
    "series": Rows(span="whole"),
    "before": Rows(span="earlier"),
    "refunds": Rows(fraud=False, kinds=("merchant_refund",)),
    "disputes": Rows(fraud=False, kinds=("dispute",)),
    "back": Rows(fraud=False, kinds=BACK),
}

NUMBERS: dict[str, Reckoning] = {
    "purchase": Reckoning("count", "bought"),
    "purchases": Reckoning("count", "series"),
    "whole": Reckoning("sum of amount", "series"),
    "elapsed": Reckoning("since first", "bought"),
    "since_last": Reckoning("since last", "before"),
    "spent": Reckoning("sum of amount", "bought"),
    "largest": Reckoning("largest amount", "bought"),
    "merchants": Reckoning("distinct", "bought", "merchant_id"),
    "cards": Reckoning("distinct", "bought", "card_id"),
    "refunds": Reckoning("count", "refunds"),
    "disputes": Reckoning("count", "disputes"),
    "returned": Reckoning("sum of amount", "back"),
    "since_back": Reckoning("since last", "back"),
}

WORDS = {"vector": "vector", "merchant": "merchant_name", "age": "account_age_days"}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "purchase": Number(),
    "purchases": Number(),
    "whole": Money(),
    "amount": Money(),
    "merchant": Word(),
    "age": Count("days"),
    "elapsed": Duration(),
    "since_last": Duration(),
    "spent": Money(),
    "largest": Money(),
    "merchants": Count("merchant"),
    "cards": Count("card"),
    "refunds": Count("refund"),
    "disputes": Count("chargeback"),
    "returned": Money(),
    "since_back": Duration(),
}

PLACE = Wordings(
    en=(
        "{vector}, purchase {purchase} of {purchases}.",
        "It is falsely disputed purchase {purchase} of {purchases} ({vector}).",
        "Kind of dispute: {vector}. Purchases so far: {purchase} of {purchases}.",
    ),
    fr=(
        "{vector}, achat {purchase} sur {purchases}.",
        "C'est l'achat contesté à tort {purchase} sur {purchases} ({vector}).",
        "Nature de la contestation : {vector}. Achats à ce stade : {purchase} sur {purchases}.",
    ),
)
LEAD = Wordings(
    en=(
        "{merchant} was paid {amount} with the customer's own card.",
        "A genuine purchase of {amount} at {merchant}, which the customer later disputed falsely.",
        "At {merchant}, {amount} was truly owed for a purchase; it was later disputed falsely.",
    ),
    fr=(
        "{merchant} a encaissé {amount} sur la carte du client lui-même.",
        "Un achat bien réel chez {merchant}, de {amount}, que le client a ensuite contesté à tort.",
        "Chez {merchant}, la somme de {amount} était bien due pour un achat, contesté ensuite à tort.",
    ),
)
SERIES_EN = (
    "So far {spent} at {merchants}, with {cards}.",
    "The first of these purchases was {elapsed} earlier, the one before {since_last}.",
    "The purchases disputed falsely come to {spent} by now, the largest to {largest}.",
)
SERIES_FR = (
    "Jusqu'ici {spent} chez {merchants}, avec {cards}.",
    "Le premier de ces achats remonte à {elapsed}, le précédent à {since_last}.",
    "Les achats contestés à tort atteignent {spent} à ce stade, le plus grand {largest}.",
)

STORIES: dict[str, Story] = {
    "first_purchase": Story(
        lead=LEAD,
        more=Wordings(
            en=(
                "With it the series of false disputes begins.",
                "The account had been open for {age}.",
                "In all, the series takes {whole}.",
            ),
            fr=(
                "C'est par lui que commence la série de fausses contestations.",
                "Le compte était ouvert depuis {age}.",
                "En tout, la série porte sur {whole}.",
            ),
        ),
        place=PLACE,
    ),
    "purchase": Story(
        lead=LEAD,
        more=Wordings(
            en=(*SERIES_EN, "{elapsed} into the series, {merchants} and {cards} are part of it."),
            fr=(*SERIES_FR, "Après {elapsed}, la série compte {merchants} et {cards}."),
        ),
        place=PLACE,
    ),
    "after_refund": Story(
        lead=LEAD,
        more=Wordings(
            en=(
                *SERIES_EN,
                "Money last came back {since_back} before: {refunds} so far, {returned} of {spent} spent.",
                "{since_back} earlier a shop had paid back; {returned} has been returned until now.",
            ),
            fr=(
                *SERIES_FR,
                "Le dernier retour d'argent remontait à {since_back} : {refunds} jusqu'ici, soit {returned} sur {spent}"
                " dépensés.",
                "{since_back} plus tôt, un commerçant avait remboursé ; total rendu à ce jour : {returned}.",
            ),
        ),
        place=PLACE,
    ),
    "after_dispute": Story(
        lead=LEAD,
        more=Wordings(
            en=(
                *SERIES_EN,
                "Earlier purchases of the series had already come back with {disputes}: {returned} of {spent} spent.",
                "The last money had come back {since_back} before; {returned} has been returned until now.",
                "Before it the bank had booked {disputes} and {refunds} for the same series.",
            ),
            fr=(
                *SERIES_FR,
                "De plus anciens achats de la série étaient déjà revenus avec {disputes} : {returned} sur {spent}"
                " dépensés.",
                "Le dernier retour d'argent remontait à {since_back} ; total rendu à ce jour : {returned}.",
                "Auparavant, la banque avait comptabilisé {disputes} et {refunds} pour la même série.",
            ),
        ),
        place=PLACE,
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of chargeback fraud. Purchases that are kept count for nothing."""
    bought = log.is_fraud
    fact = np.full(log.length, None, dtype=object)
    fact[bought] = "purchase"
    fact[bought & (seen.numbers["purchase"] == 1)] = "first_purchase"
    fact[bought & seen.has("back") & (seen.numbers["purchase"] > 1)] = "after_refund"
    fact[bought & seen.has("disputes") & (seen.numbers["purchase"] > 1)] = "after_dispute"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
