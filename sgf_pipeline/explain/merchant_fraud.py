"""Merchant fraud, told: what a shop charged, repeated, failed to send or paid back, and where captured cards went.

Belongs here: the facts and sentences of this scenario. Genuine rows of the incident are named where they are exported;
where they are not, the same charge is told without them.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import (
    first_of,
    groups,
    last_before,
    running_distinct,
    running_max,
    running_sum,
    total,
)
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

VECTORS = {
    "bust_out_shop": {"en": "Bust-out shop", "fr": "Boutique éphémère frauduleuse"},
    "skimming_terminal": {"en": "Skimming terminal", "fr": "Terminal piégé"},
    "self_refund": {"en": "Refunds to itself", "fr": "Remboursements à soi-même"},
    "overcharging": {"en": "Overcharging", "fr": "Surfacturation"},
    "duplicate_charges": {"en": "Duplicate charges", "fr": "Doubles débits"},
    "subscription_trap": {"en": "Subscription trap", "fr": "Abonnement piégé"},
    "transaction_laundering": {"en": "Transaction laundering", "fr": "Blanchiment de transactions"},
    "fake_travel_agency": {"en": "Fake travel agency", "fr": "Fausse agence de voyages"},
}

OUTCOME = {
    "00": {"en": "was approved", "fr": "a été autorisé"},
    **{
        code: {"en": f"was declined with code {code}", "fr": f"a été refusé avec le code {code}"}
        for code in ("05", "51", "54", "55", "59", "61", "65", "N7")
    },
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "charge": Number(),
    "charges": Number(),
    "elapsed": Duration(),
    "cards": Count("card"),
    "merchant": Word(),
    "amount": Money(),
    "response_code": Phrase(OUTCOME),
    "taken": Money(),
    "largest": Money(),
    "genuine": Money(),
    "since": Duration(),
    "on_card": Number(),
    "paid": Money(),
    "refunded": Money(),
    "refund": Number(),
    "refunds": Number(),
}

_CHARGE = ("vector", "charge", "charges", "merchant", "amount", "response_code")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "opening": _CHARGE,
    "charge": (*_CHARGE, "elapsed", "cards", "taken"),
    "order": (*_CHARGE, "elapsed", "cards", "taken"),
    "laundered": (*_CHARGE, "elapsed", "cards", "taken", "largest"),
    "skimmed": (*_CHARGE, "cards", "genuine", "since"),
    "inflated": (*_CHARGE, "cards", "genuine", "since"),
    "repeated": (*_CHARGE, "cards", "since", "on_card"),
    "renewal": (*_CHARGE, "cards", "genuine", "since", "on_card"),
    "sham": ("vector", "charge", "charges", "merchant", "amount", "cards", "paid"),
    "refund": ("vector", "merchant", "amount", "refund", "refunds", "paid", "refunded", "since"),
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "opening": {
        "en": (
            "{vector}: the first of {charges} false charges in this incident, {amount} at {merchant}, {response_code}.",
            "A series of {charges} false charges opens with {amount} at {merchant}, which {response_code}. {vector},"
            " charge {charge}.",
        ),
        "fr": (
            "{vector}\u00a0: premier des {charges} débits frauduleux de cet incident, un montant de {amount} chez"
            " {merchant} {response_code}.",
            "Une série de {charges} débits frauduleux s'ouvre chez {merchant}, où un montant de {amount}"
            " {response_code}. {vector}, débit {charge}.",
        ),
    },
    "charge": {
        "en": (
            "{vector}, false charge {charge} of {charges}: {amount} at {merchant} {response_code}, {elapsed} after the"
            " first. By then {taken} had been taken from {cards} of this bank.",
            "{elapsed} after the first false charge, {merchant} shows {amount}, which {response_code}. It is number"
            " {charge} of {charges} on {cards}, {taken} in all so far. {vector}.",
        ),
        "fr": (
            "{vector}, débit frauduleux {charge} sur {charges}\u00a0: un montant de {amount} chez {merchant}"
            " {response_code}, {elapsed} après le premier. À ce stade, {taken} prélevés sur {cards} de cette banque.",
            "{elapsed} après le premier débit frauduleux, chez {merchant}, un montant de {amount} {response_code}."
            " C'est le numéro {charge} sur {charges}, avec {cards} et {taken} au total jusqu'ici. {vector}.",
        ),
    },
    "order": {
        "en": (
            "{vector}, false charge {charge} of {charges}: an order of {amount} that {merchant} never delivered"
            " {response_code}, {elapsed} after the first. By then {cards} of this bank had paid {taken}.",
            "{merchant} took an order of {amount}, which {response_code}, and sent nothing: number {charge} of"
            " {charges} within {elapsed}, on {cards}, {taken} in all. {vector}.",
        ),
        "fr": (
            "{vector}, débit frauduleux {charge} sur {charges}\u00a0: chez {merchant}, un montant de {amount}"
            " {response_code} pour une commande jamais livrée, {elapsed} après le premier. À ce stade, {cards} de cette"
            " banque et {taken} payés.",
            "Chez {merchant}, un montant de {amount} {response_code} et rien n'a été envoyé\u00a0: numéro {charge} sur"
            " {charges} en {elapsed}, avec {cards}, {taken} au total. {vector}.",
        ),
    },
    "laundered": {
        "en": (
            "{vector}: payment {charge} of {charges} for something else than {merchant} claims to sell, {elapsed} after"
            " the first. {amount} {response_code}; {cards} of this bank, {taken} in all, the largest of {largest}.",
            "Through {merchant}, {amount} was asked for goods outside its category and {response_code}. So far {cards}"
            " and {taken}, up to {largest} at once, in {elapsed}. {vector}, payment {charge} of {charges}.",
        ),
        "fr": (
            "{vector}\u00a0: paiement {charge} sur {charges} pour autre chose que ce que {merchant} dit vendre,"
            " {elapsed} après le premier. Un montant de {amount} {response_code}\u00a0; {cards} de cette banque,"
            " {taken} au total, {largest} au plus.",
            "Par {merchant}, un montant de {amount} hors de sa catégorie {response_code}. Jusqu'ici {cards} et {taken},"
            " jusqu'à {largest} d'un coup, en {elapsed}. {vector}, paiement {charge} sur {charges}.",
        ),
    },
    "skimmed": {
        "en": (
            "{vector}: {since} after this card had paid {genuine} at the terminal that copied it, {amount} at"
            " {merchant} {response_code}. Use {charge} of {charges} of captured cards, {cards} of this bank so far.",
            "This card paid {genuine} at a manipulated terminal; {since} later {amount} was asked at {merchant} and"
            " {response_code}. {vector}: use {charge} of {charges}, {cards} by now.",
        ),
        "fr": (
            "{vector}\u00a0: {since} après le paiement de {genuine} au terminal qui a copié cette carte, un montant de"
            " {amount} chez {merchant} {response_code}. Usage {charge} sur {charges} de cartes captées, {cards} de"
            " cette banque jusqu'ici.",
            "Cette carte avait payé {genuine} à un terminal manipulé\u00a0; {since} plus tard, chez {merchant}, un"
            " montant de {amount} {response_code}. {vector}\u00a0: usage {charge} sur {charges}, {cards} à ce stade.",
        ),
    },
    "inflated": {
        "en": (
            "{vector}: {since} after a genuine sale of {genuine}, {merchant} charged the same card {amount}, which"
            " {response_code}. False charge {charge} of {charges}, {cards} so far.",
            "{merchant} asked {amount} of a card that had bought for {genuine} there {since} before; it"
            " {response_code}. Charge {charge} of {charges}, on {cards} up to now. {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: {since} après une vente réelle de {genuine}, chez {merchant}, un montant de {amount} sur"
            " la même carte {response_code}. Débit frauduleux {charge} sur {charges}, {cards} jusqu'ici.",
            "Une carte avait acheté pour {genuine}\u00a0; {since} plus tard, chez {merchant}, un montant de {amount}"
            " {response_code}. Débit {charge} sur {charges}, {cards} à ce stade. {vector}.",
        ),
    },
    "repeated": {
        "en": (
            "{vector}: {merchant} charged this card {amount} again, {since} after the same amount; it {response_code}."
            " False charges on this card: {on_card}; in all {charge} of {charges}, on {cards}.",
            "The same {amount} at {merchant} {since} later, a sale that was charged before; this one {response_code}."
            " Number {charge} of {charges} ({cards} by now), on this card {on_card}. {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: chez {merchant}, {since} après le même débit, un montant de {amount} {response_code}."
            " Débits frauduleux sur cette carte\u00a0: {on_card}\u00a0; en tout {charge} sur {charges}, {cards}.",
            "À nouveau chez {merchant}, {since} plus tard, un montant de {amount}, déjà débité, {response_code}. Numéro"
            " {charge} sur {charges} ({cards} à ce stade), sur cette carte {on_card}. {vector}.",
        ),
    },
    "renewal": {
        "en": (
            "{vector}: {since} after a trial of {genuine}, {merchant} took a fee of {amount}, which {response_code}."
            " Fees on this card: {on_card}; fee {charge} of {charges}, {cards} so far.",
            "A trial of {genuine} and, {since} later, a fee of {amount} by {merchant} that nobody ordered; it"
            " {response_code}. Fee {charge} of {charges} on {cards} ({on_card} on this card). {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: {since} après un essai à {genuine}, chez {merchant}, un abonnement de {amount}"
            " {response_code}. Prélèvements sur cette carte\u00a0: {on_card}\u00a0; {charge} sur {charges} en tout,"
            " {cards}.",
            "Un essai à {genuine} puis, {since} plus tard, un abonnement de {amount} chez {merchant} que personne"
            " n'avait demandé\u00a0; il {response_code}. Prélèvement {charge} sur {charges}, {cards} ({on_card} sur"
            " celle-ci). {vector}.",
        ),
    },
    "sham": {
        "en": (
            "{vector}: {merchant} booked a sale of {amount} to a card of its own circle, row {charge} of {charges} of"
            " this scheme. This card has now paid {paid}; {cards} of this bank belong to the circle so far.",
            "A sale of {amount} at {merchant} that delivers nothing, so that it can be refunded: row {charge} of"
            " {charges}. Paid by this card so far: {paid} ({cards} in use). {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: {merchant} passe une vente de {amount} sur une carte de son entourage, opération"
            " {charge} sur {charges} du montage. Cette carte a payé {paid} jusqu'ici\u00a0; {cards} de cette banque en"
            " jeu.",
            "Une vente de {amount} chez {merchant} qui ne livre rien, pour être remboursée\u00a0: opération {charge}"
            " sur {charges}. Payé par cette carte jusqu'ici\u00a0: {paid} ({cards} en jeu). {vector}.",
        ),
    },
    "refund": {
        "en": (
            "{vector}: {merchant} refunded {amount} to a card of its own circle, refund {refund} of {refunds}, {since}"
            " after that card's last sale. The card has paid {paid} and got back {refunded}.",
            "Refund {refund} of {refunds} to the circle of {merchant}: {amount}, {since} after the card last bought"
            " there. In all the card paid {paid} and received {refunded}. {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: {merchant} rembourse {amount} à une carte de son entourage, remboursement {refund} sur"
            " {refunds}, {since} après la dernière vente sur cette carte. Elle a payé {paid} et récupéré {refunded}.",
            "Remboursement {refund} sur {refunds} à l'entourage de {merchant}\u00a0: {amount}, {since} après le dernier"
            " achat de la carte. En tout, elle a payé {paid} et reçu {refunded}. {vector}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of merchant fraud. Raises ``ExplanationError`` where a card is refunded that bought nothing."""
    card = groups(log.incident, log.column("card_id"))
    debit = log.equals("direction", "debit")
    approved = log.equals("response_code", "00")
    genuine = ~log.is_fraud & debit
    sham = log.is_fraud & log.equals("step_kind", "sham_sale")
    refund = log.is_fraud & log.equals("step_kind", "self_refund")
    before = last_before(genuine, card)
    same = last_before(debit, groups(card, log.amount))
    sold = last_before(sham, card)
    unsold = np.flatnonzero(refund & (sold < 0))
    if len(unsold):
        identifier = log.words("transaction_id")[unsold[0]]
        raise ExplanationError(f"transaction {identifier} refunds a card to which nothing was sold")

    charge = running_sum(log.is_fraud, log.incident)
    first = first_of(log.is_fraud, log.incident)
    fact = np.full(log.length, None, dtype=object)
    for kinds, late in (
        (("undelivered_order",), "order"),
        (("laundered_sale",), "laundered"),
        (("skimmed_purchase", "skimmed_cash", "inflated_charge", "repeated_charge", "hidden_renewal"), "charge"),
    ):
        of = log.is_fraud & log.equals("step_kind", *kinds)
        fact[of] = late
        fact[of & (charge == 1)] = "opening"
    fact[log.is_fraud & log.equals("step_kind", "skimmed_purchase", "skimmed_cash") & (before >= 0)] = "skimmed"
    fact[log.is_fraud & log.equals("step_kind", "inflated_charge") & (before >= 0)] = "inflated"
    repeated = log.is_fraud & log.equals("step_kind", "repeated_charge") & (same >= 0)
    fact[repeated] = "repeated"
    fact[log.is_fraud & log.equals("step_kind", "hidden_renewal") & (before >= 0)] = "renewal"
    fact[sham] = "sham"
    fact[refund] = "refund"

    told = np.where(refund, sold, np.where(repeated, same, before))
    taken = log.is_fraud & debit & approved
    values = {
        "vector": log.words("vector"),
        "charge": charge,
        "charges": total(log.is_fraud, log.incident),
        "elapsed": log.time - log.time[first],
        "cards": running_distinct(log.column("card_id"), log.incident, log.is_fraud),
        "merchant": log.words("merchant_name"),
        "amount": log.amount,
        "response_code": log.words("response_code"),
        "taken": running_sum(np.where(taken, log.amount, 0), log.incident),
        "largest": running_max(np.where(log.is_fraud & debit, log.amount, 0), log.incident),
        "genuine": log.amount[before],
        "since": log.time - log.time[told],
        "on_card": running_sum(log.is_fraud, card),
        "paid": running_sum(np.where(sham, log.amount, 0), card),
        "refunded": running_sum(np.where(refund, log.amount, 0), card),
        "refund": running_sum(refund, log.incident),
        "refunds": total(refund, log.incident),
    }
    here = np.arange(log.length)
    follows = np.isin(fact, ("skimmed", "inflated", "repeated", "renewal", "refund"))
    previous = last_before(log.is_fraud, log.incident)
    return Facts(fact, values, (first, np.where(follows, told, previous), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
