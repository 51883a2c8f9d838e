"""Merchant fraud, told: what a shop charged, repeated, failed to send or paid back, and where captured cards went.

Belongs here: the facts and sentences of this scenario. Genuine rows of the incident are named where they are exported;
where they are not, the same charge is told without them.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, DECLINED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word, outcomes

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

OUTCOME = outcomes({"en": "was approved", "fr": "a été autorisé"}, {"en": "was declined", "fr": "a été refusé"})

SKIMMED = ("skimmed_purchase", "skimmed_cash")
SHAM, REFUND = ("sham_sale",), ("self_refund",)
DEBIT = {"direction": ("debit",)}

ROWS: dict[str, Rows] = {
    "charges": Rows(),
    "scheme": Rows(span="whole"),
    "before": Rows(span="earlier"),
    "debits": Rows(where=DEBIT),
    "taken": Rows(where={**DEBIT, "response_code": APPROVED}),
    "haul": Rows(where={**DEBIT, "response_code": APPROVED}, span="whole"),
    "declined": Rows(where={**DEBIT, "response_code": DECLINED}),
    "genuine": Rows(fraud=False, where=DEBIT, same=("card_id",)),
    "same_sale": Rows(fraud=None, where=DEBIT, same=("card_id", "amount"), span="earlier"),
    "of_card": Rows(same=("card_id",)),
    "paid": Rows(kinds=SHAM, same=("card_id",)),
    "refunded": Rows(kinds=REFUND, same=("card_id",)),
    "refunds": Rows(kinds=REFUND),
    "all_refunds": Rows(kinds=REFUND, span="whole"),
}

NUMBERS: dict[str, Reckoning] = {
    "charge": Reckoning("count", "charges"),
    "charges": Reckoning("count", "scheme"),
    "elapsed": Reckoning("since first", "charges"),
    "since_last": Reckoning("since last", "before"),
    "cards": Reckoning("distinct", "charges", "card_id"),
    "taken": Reckoning("sum of amount", "taken"),
    "haul": Reckoning("sum of amount", "haul"),
    "declined": Reckoning("count", "declined"),
    "largest": Reckoning("largest amount", "debits"),
    "genuine": Reckoning("last amount", "genuine"),
    "since_genuine": Reckoning("since last", "genuine"),
    "since_same": Reckoning("since last", "same_sale"),
    "since_sale": Reckoning("since last", "paid"),
    "on_card": Reckoning("count", "of_card"),
    "paid": Reckoning("sum of amount", "paid"),
    "refunded": Reckoning("sum of amount", "refunded"),
    "refund": Reckoning("count", "refunds"),
    "refunds": Reckoning("count", "all_refunds"),
}

WORDS = {"vector": "vector", "merchant": "merchant_name", "response_code": "response_code"}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "charge": Number(),
    "charges": Number(),
    "elapsed": Duration(),
    "since_last": Duration(),
    "cards": Count("card"),
    "merchant": Word(),
    "amount": Money(),
    "response_code": OUTCOME,
    "taken": Money(),
    "haul": Money(),
    "declined": Count("declined"),
    "largest": Money(),
    "genuine": Money(),
    "since_genuine": Duration(),
    "since_same": Duration(),
    "since_sale": Duration(),
    "on_card": Count("charge"),
    "paid": Money(),
    "refunded": Money(),
    "refund": Number(),
    "refunds": Number(),
}

PLACE = Wordings(
    en=(
        "{vector}, false charge {charge} of {charges}.",
        "It is number {charge} of {charges} among the false charges of this incident ({vector}).",
        "Scheme: {vector}. False charges so far: {charge} of {charges}.",
    ),
    fr=(
        "{vector}, débit frauduleux {charge} sur {charges}.",
        "C'est le numéro {charge} sur {charges} parmi les débits frauduleux de cet incident ({vector}).",
        "Montage : {vector}. Débits frauduleux à ce stade : {charge} sur {charges}.",
    ),
)
ROW_OF = Wordings(
    en=(
        "{vector}, row {charge} of {charges} of the scheme.",
        "It is row {charge} of {charges} of one scheme ({vector}).",
        "Scheme: {vector}. Rows so far: {charge} of {charges}.",
    ),
    fr=(
        "{vector}, opération {charge} sur {charges} du montage.",
        "C'est l'opération {charge} sur {charges} d'un même montage ({vector}).",
        "Montage : {vector}. Opérations à ce stade : {charge} sur {charges}.",
    ),
)
# What the series of charges had shown by then.
SERIES_EN = (
    "By then {taken} had been taken from {cards} of this bank.",
    "The first false charge was {elapsed} earlier; {cards} of this bank so far.",
    "{elapsed} into the scheme, {taken} is gone, with {declined}.",
    "The largest of its charges until now asked for {largest}; {cards} so far.",
)
SERIES_FR = (
    "À ce stade, {taken} prélevés sur {cards} de cette banque.",
    "Le premier débit frauduleux remonte à {elapsed} ; jusqu'ici, {cards} de cette banque.",
    "{elapsed} après le début du montage, le total prélevé atteint {taken}, avec {declined}.",
    "Le plus grand débit demandé à ce stade est de {largest} ; jusqu'ici, {cards}.",
)
SERIES = Wordings(SERIES_EN, SERIES_FR)

STORIES: dict[str, Story] = {
    "opening": Story(
        lead=Wordings(
            en=(
                "At {merchant}, a false charge of {amount} {response_code}.",
                "The first false charge, of {amount} at {merchant}, {response_code}.",
                "A charge of {amount} at {merchant} {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un débit frauduleux de {amount} {response_code}.",
                "Le premier débit frauduleux, de {amount} chez {merchant}, {response_code}.",
                "Un débit de {amount} chez {merchant} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "With it the series of false charges opens.",
                "In all, the false charges of this incident take {haul}.",
                "Nothing false comes before it in this incident.",
            ),
            fr=(
                "C'est par lui que s'ouvre la série de débits frauduleux.",
                "En tout, les débits frauduleux de cet incident emportent {haul}.",
                "Rien de frauduleux ne le précède dans cet incident.",
            ),
        ),
        place=PLACE,
    ),
    "charge": Story(
        lead=Wordings(
            en=(
                "At {merchant}, a false charge of {amount} {response_code}.",
                "{merchant} shows one more false charge: {amount}, which {response_code}.",
                "A further false charge, of {amount} at {merchant}, {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un débit frauduleux de {amount} {response_code}.",
                "Un nouveau débit frauduleux chez {merchant}, de {amount}, {response_code}.",
                "S'y ajoute un débit frauduleux de {amount} chez {merchant}, qui {response_code}.",
            ),
        ),
        more=SERIES,
        place=PLACE,
    ),
    "order": Story(
        lead=Wordings(
            en=(
                "An order of {amount} that {merchant} never delivered {response_code}.",
                "{merchant} took an order of {amount}, which {response_code}, and sent nothing.",
                "For goods that never came, {merchant} asked {amount}; it {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un montant de {amount} {response_code} pour une commande jamais livrée.",
                "Chez {merchant}, une commande de {amount} et rien d'envoyé ; le débit {response_code}.",
                "Pour des biens jamais arrivés, un montant de {amount} demandé par {merchant} {response_code}.",
            ),
        ),
        more=SERIES,
        place=PLACE,
    ),
    "laundered": Story(
        lead=Wordings(
            en=(
                "Through {merchant}, {amount} was asked for goods outside the shop's category; it {response_code}.",
                "A payment of {amount} for something else than {merchant} claims to sell {response_code}.",
                "{merchant} lent its name to another trade: {amount}, which {response_code}.",
            ),
            fr=(
                "Par {merchant}, un montant de {amount} hors de sa catégorie {response_code}.",
                "Pour autre chose que ce que {merchant} dit vendre, un montant de {amount} {response_code}.",
                "{merchant} a prêté son nom à un autre commerce : un montant de {amount} {response_code}.",
            ),
        ),
        more=SERIES,
        place=PLACE,
    ),
    "skimmed": Story(
        lead=Wordings(
            en=(
                "At {merchant}, {amount} was asked of a card that had been copied; it {response_code}.",
                "A copied card was used at {merchant}: {amount}, which {response_code}.",
                "{amount} at {merchant}, with the data of a copied card, {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un montant de {amount} demandé à une carte copiée {response_code}.",
                "Une carte copiée a servi chez {merchant} : un montant de {amount} {response_code}.",
                "Avec les données d'une carte copiée, un montant de {amount} chez {merchant} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "{since_genuine} before, the card had paid {genuine} at the terminal that copied it.",
                "The genuine payment at the manipulated terminal, {genuine}, was {since_genuine} earlier; {cards} of"
                " this bank used so far.",
                "The card had been copied {since_genuine} before, at a payment of {genuine}; taken so far: {taken}.",
            ),
            fr=(
                "{since_genuine} plus tôt, la carte avait payé {genuine} au terminal qui l'a copiée.",
                "Le vrai paiement au terminal piégé, {genuine}, remontait à {since_genuine} ; jusqu'ici, {cards} de"
                " cette banque.",
                "La copie date de {since_genuine} plus tôt, lors d'un paiement de {genuine} ; total pris : {taken}.",
            ),
        ),
        place=PLACE,
    ),
    "inflated": Story(
        lead=Wordings(
            en=(
                "{merchant} charged {amount}, more than was agreed; it {response_code}.",
                "A charge of {amount} at {merchant}, which the holder had not agreed to, {response_code}.",
                "A card that had bought at {merchant} was asked for {amount}; it {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un débit de {amount}, plus que convenu, {response_code}.",
                "Un débit gonflé de {amount} par {merchant} {response_code}.",
                "Sur une carte qui avait acheté chez {merchant}, un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "The genuine sale to this card was {genuine}, {since_genuine} before.",
                "{since_genuine} earlier the card had bought for {genuine}; {cards} hit so far.",
                "The card had really bought for {genuine}, {since_genuine} before; taken from all cards: {taken}.",
            ),
            fr=(
                "La vente réelle sur cette carte était de {genuine}, {since_genuine} plus tôt.",
                "{since_genuine} plus tôt, la carte avait acheté pour {genuine} ; jusqu'ici, {cards} en cause.",
                "L'achat réel de la carte, {genuine}, remontait à {since_genuine} ; total prélevé : {taken}.",
            ),
        ),
        place=PLACE,
    ),
    "repeated": Story(
        lead=Wordings(
            en=(
                "{merchant} asked for {amount} once more; it {response_code}.",
                "The same {amount} appears once more at {merchant}; this one {response_code}.",
                "For a sale that had been charged already, {merchant} asked for {amount}; it {response_code}.",
            ),
            fr=(
                "À nouveau chez {merchant}, un montant de {amount}, déjà débité, {response_code}.",
                "Le même montant de {amount} revient chez {merchant} ; celui-ci {response_code}.",
                "Pour une vente déjà payée chez {merchant}, un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "The same amount had been asked of this card {since_same} before.",
                "The equal charge was {since_same} earlier; this card counts {on_card} so far.",
                "The equal charge is {since_same} older; {cards} hit so far, {taken} taken.",
            ),
            fr=(
                "Le même montant avait été demandé à cette carte {since_same} plus tôt.",
                "Le débit égal remontait à {since_same} ; cette carte compte jusqu'ici {on_card}.",
                "Le débit égal date de {since_same} plus tôt ; jusqu'ici, {cards} en cause et {taken} prélevés.",
            ),
        ),
        place=PLACE,
    ),
    "renewal": Story(
        lead=Wordings(
            en=(
                "{merchant} took a fee of {amount} that nobody ordered; it {response_code}.",
                "A subscription fee of {amount} at {merchant}, hidden in a trial, {response_code}.",
                "The trap closes at {merchant}: a fee of {amount}, which {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un abonnement de {amount} que personne n'avait demandé {response_code}.",
                "Un abonnement de {amount} chez {merchant}, caché dans un essai, {response_code}.",
                "Le piège se referme chez {merchant} : un abonnement de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "The trial had cost {genuine}, {since_genuine} before.",
                "The subscription began with a trial of {genuine} {since_genuine} earlier; this card counts {on_card}.",
                "{since_genuine} after a trial of {genuine}, the fees have reached {cards}.",
            ),
            fr=(
                "L'essai avait coûté {genuine}, {since_genuine} plus tôt.",
                "Tout part d'un essai à {genuine}, {since_genuine} plus tôt ; cette carte compte {on_card}.",
                "{since_genuine} après un essai à {genuine}, les prélèvements touchent {cards}.",
            ),
        ),
        place=PLACE,
    ),
    "sham": Story(
        lead=Wordings(
            en=(
                "{merchant} booked a sale of {amount} to a card of its own circle.",
                "A sale of {amount} at {merchant} delivers nothing, so that it can be refunded.",
                "A card close to {merchant} paid {amount} for a sale on paper only.",
            ),
            fr=(
                "{merchant} passe une vente de {amount} sur une carte de son entourage.",
                "Une vente de {amount} chez {merchant} ne livre rien, pour être remboursée.",
                "Une carte proche de {merchant} a payé {amount} pour une vente sur le papier.",
            ),
        ),
        more=Wordings(
            en=(
                "This card has now paid {paid}.",
                "The circle shows {cards} of this bank so far; this one has paid {paid}.",
                "The largest sale of the scheme so far is {largest}, with {cards} of this bank in use.",
            ),
            fr=(
                "Cette carte a payé {paid} jusqu'ici.",
                "L'entourage compte à ce stade {cards} de cette banque ; celle-ci a payé {paid}.",
                "La plus grande vente du montage à ce stade est de {largest} ; {cards} de cette banque en jeu.",
            ),
        ),
        place=ROW_OF,
    ),
    "refund": Story(
        lead=Wordings(
            en=(
                "{merchant} refunded {amount} to a card of its own circle.",
                "A refund of {amount} goes from {merchant} to a card close to it.",
                "Money leaves {merchant} as a refund: {amount} to its own circle.",
            ),
            fr=(
                "{merchant} rembourse {amount} à une carte de son entourage.",
                "Un remboursement de {amount} va de {merchant} à une carte proche.",
                "L'argent sort de {merchant} comme remboursement : {amount} à son entourage.",
            ),
        ),
        more=Wordings(
            en=(
                "The card has paid {paid} and got back {refunded}.",
                "The last sale to the card was {since_sale} before; it has received {refunded} until now.",
                "The refund follows the card's last sale by {since_sale}; paid there in all: {paid}.",
            ),
            fr=(
                "La carte a payé {paid} et récupéré {refunded}.",
                "La dernière vente sur la carte date de {since_sale} plus tôt ; elle a reçu {refunded} à ce jour.",
                "Ce remboursement suit de {since_sale} la dernière vente sur la carte, qui a payé {paid} en tout.",
            ),
        ),
        place=Wordings(
            en=(
                "{vector}, refund {refund} of {refunds}.",
                "It is refund {refund} of {refunds} of one scheme ({vector}).",
                "Scheme: {vector}. Refunds so far: {refund} of {refunds}.",
            ),
            fr=(
                "{vector}, remboursement {refund} sur {refunds}.",
                "C'est le remboursement {refund} sur {refunds} d'un même montage ({vector}).",
                "Montage : {vector}. Remboursements à ce stade : {refund} sur {refunds}.",
            ),
        ),
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of merchant fraud. Raises ``ExplanationError`` where a card is refunded that bought nothing.

    Genuine rows are spoken of only where they are exported.
    """
    refund = log.is_fraud & log.equals("step_kind", *REFUND)
    unsold = np.flatnonzero(refund & ~seen.has("paid"))
    if len(unsold):
        identifier = log.words("transaction_id")[unsold[0]]
        raise ExplanationError(f"transaction {identifier} refunds a card to which nothing was sold")
    fact = np.full(log.length, None, dtype=object)
    for kinds, late in (
        (("undelivered_order",), "order"),
        (("laundered_sale",), "laundered"),
        ((*SKIMMED, "inflated_charge", "repeated_charge", "hidden_renewal"), "charge"),
    ):
        of = log.is_fraud & log.equals("step_kind", *kinds)
        fact[of] = late
        fact[of & (seen.numbers["charge"] == 1)] = "opening"
    bought = log.is_fraud & seen.has("genuine")
    fact[bought & log.equals("step_kind", *SKIMMED)] = "skimmed"
    fact[bought & log.equals("step_kind", "inflated_charge")] = "inflated"
    fact[log.is_fraud & log.equals("step_kind", "repeated_charge") & seen.has("same_sale")] = "repeated"
    fact[bought & log.equals("step_kind", "hidden_renewal")] = "renewal"
    fact[log.is_fraud & log.equals("step_kind", *SHAM)] = "sham"
    fact[refund] = "refund"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
