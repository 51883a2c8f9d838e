"""Phishing, told: what a victim was led to pay, what strangers took, and what a mule did with it.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word, outcomes

VECTORS = {
    "invoice_redirection": {"en": "Redirected invoice", "fr": "Facture détournée"},
    "romance_scam": {"en": "Romance scam", "fr": "Escroquerie sentimentale"},
    "investment_scam": {"en": "Investment scam", "fr": "Faux placement"},
    "bank_impersonation": {"en": "False bank adviser", "fr": "Faux conseiller bancaire"},
    "police_impersonation": {"en": "False police", "fr": "Faux policier"},
    "purchase_scam": {"en": "Purchase scam", "fr": "Fausse vente"},
    "smishing_credentials": {"en": "Credentials phished by text message", "fr": "Identifiants volés par SMS"},
    "fake_login_page": {"en": "Copied log-in page", "fr": "Fausse page de connexion"},
    "family_emergency": {"en": "False call for help in the family", "fr": "Faux appel à l'aide d'un proche"},
}

OUTCOME = outcomes(
    {"en": "it was approved", "fr": "l'opération a été acceptée"},
    {"en": "it was declined", "fr": "l'opération a été refusée"},
)

BY_VICTIM = ("victim_try", "victim_payment")
STOLEN = ("credential_try", "credential_transfer")
BOUGHT = ("credential_purchase",)
PAYING = (*BY_VICTIM, "victim_purchase", *STOLEN, *BOUGHT)
BY_MULE = ("mule_transfer", "mule_withdrawal")
OWN = ("account_id",)
DEBIT = {"direction": ("debit",)}

ROWS: dict[str, Rows] = {
    "incident": Rows(),
    "scheme": Rows(span="whole"),
    "payments": Rows(where=DEBIT, kinds=PAYING, same=OWN),
    "before": Rows(where=DEBIT, kinds=PAYING, same=OWN, span="earlier"),
    "paid": Rows(where={**DEBIT, "response_code": APPROVED}, kinds=PAYING, same=OWN),
    "loss": Rows(where={**DEBIT, "response_code": APPROVED}, kinds=PAYING, same=OWN, span="whole"),
    "savings": Rows(fraud=False, kinds=("savings_in",), same=OWN),
    "stolen": Rows(where=DEBIT, kinds=(*STOLEN, *BOUGHT)),
    "in": Rows(where={"direction": ("credit",)}, same=OWN),
    "out": Rows(kinds=BY_MULE, same=OWN),
}

NUMBERS: dict[str, Reckoning] = {
    "leg": Reckoning("count", "incident"),
    "legs": Reckoning("count", "scheme"),
    "payment": Reckoning("count", "payments"),
    "paid": Reckoning("sum of amount", "paid"),
    "loss": Reckoning("sum of amount", "loss"),
    "first_amount": Reckoning("first amount", "payments"),
    "elapsed": Reckoning("since first", "payments"),
    "since_last": Reckoning("since last", "before"),
    "payees": Reckoning("distinct", "payments", "counterparty_account_id"),
    "merchants": Reckoning("distinct", "payments", "merchant_id"),
    "brought_in": Reckoning("sum of amount", "savings"),
    "since_funds": Reckoning("since last", "savings"),
    "robbed": Reckoning("distinct", "stolen", "account_id"),
    "senders": Reckoning("distinct", "in", "counterparty_account_id"),
    "came_in": Reckoning("sum of amount", "in"),
    "went_out": Reckoning("sum of amount", "out"),
    "last_in": Reckoning("last amount", "in"),
    "since_in": Reckoning("since last", "in"),
}

WORDS = {
    "vector": "vector",
    "country": "counterparty_country",
    "response_code": "response_code",
    "merchant": "merchant_name",
    "age": "account_age_days",
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "leg": Number(),
    "legs": Number(),
    "amount": Money(),
    "country": Word(),
    "age": Count("days"),
    "response_code": OUTCOME,
    "payment": Number(),
    "paid": Money(),
    "loss": Money(),
    "first_amount": Money(),
    "elapsed": Duration(),
    "since_last": Duration(),
    "payees": Count("account"),
    "brought_in": Money(),
    "since_funds": Duration(),
    "merchant": Word(),
    "merchants": Count("merchant"),
    "robbed": Count("account"),
    "senders": Count("account"),
    "came_in": Money(),
    "went_out": Money(),
    "last_in": Money(),
    "since_in": Duration(),
    "passed_on": Number(),
    "kept": Number(),
}

PLACE = Wordings(
    en=(
        "{vector}, row {leg} of {legs}.",
        "It is row {leg} of {legs} of one fraud ({vector}).",
        "Approach: {vector}. Rows of this fraud so far: {leg} of {legs}.",
    ),
    fr=(
        "{vector}, ligne {leg} sur {legs}.",
        "C'est la ligne {leg} sur {legs} d'une même fraude ({vector}).",
        "Approche : {vector}. Lignes de cette fraude à ce stade : {leg} sur {legs}.",
    ),
)
VICTIM_SENT = Wordings(
    en=(
        "The customer was led to send {amount} to an account in {country}; {response_code}.",
        "The victim ordered a transfer of {amount} to {country}; {response_code}.",
        "{amount} to an account in {country}, ordered by the victim; {response_code}.",
    ),
    fr=(
        "Le client a été amené à virer {amount} vers un compte ({country}) ; {response_code}.",
        "La victime a ordonné un virement de {amount} ({country}) ; {response_code}.",
        "Un virement de {amount} vers un compte ({country}), ordonné par la victime ; {response_code}.",
    ),
)
STRANGER_SENT = Wordings(
    en=(
        "With stolen credentials {amount} was sent from this account to {country}; {response_code}.",
        "A stranger ordered a transfer of {amount} to an account in {country}; {response_code}.",
        "{amount} to an account in {country}, not ordered by the customer; {response_code}.",
    ),
    fr=(
        "Avec des identifiants volés, {amount} virés de ce compte ({country}) ; {response_code}.",
        "Un inconnu a ordonné un virement de {amount} vers un compte ({country}) ; {response_code}.",
        "Un virement de {amount} vers un compte ({country}), que le client n'a pas ordonné ; {response_code}.",
    ),
)
CARRIED = Wordings(
    en=(
        "Of {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % still there.",
        "{last_in} had come in {since_in} before; {passed_on} % of all receipts is gone.",
        "This movement follows a receipt of {last_in} by {since_in}; the mule has moved {went_out} out of {came_in}.",
    ),
    fr=(
        "Sur {came_in} reçus, {went_out} sont sortis, soit {passed_on} % ; il reste {kept} %.",
        "{last_in} étaient arrivés {since_in} plus tôt ; part des entrées déjà repartie : {passed_on} %.",
        "L'opération suit de {since_in} une entrée de {last_in} ; la mule a fait sortir {went_out} sur {came_in}.",
    ),
)

STORIES: dict[str, Story] = {
    "first_payment": Story(
        lead=VICTIM_SENT,
        more=Wordings(
            en=(
                "It is the customer's first payment of this kind.",
                "With it the victim's payments begin; they will come to {loss}.",
                "The account had been open for {age}.",
            ),
            fr=(
                "C'est le premier versement de ce genre du client.",
                "Ainsi commencent les versements de la victime, qui atteindront {loss}.",
                "Le compte était ouvert depuis {age}.",
            ),
        ),
        place=PLACE,
    ),
    "payment": Story(
        lead=VICTIM_SENT,
        more=Wordings(
            en=(
                "The payments began {elapsed} earlier with {first_amount}; paid by now: {paid}.",
                "This is payment {payment} of the victim, who has sent {paid} to {payees}.",
                "The payment before was {since_last} earlier; {paid} has gone out so far.",
                "{elapsed} after the first payment, {paid} has gone to {payees}.",
            ),
            fr=(
                "Le premier versement, de {first_amount}, remonte à {elapsed} ; versé à ce jour : {paid}.",
                "C'est le versement {payment} de la victime, qui a envoyé {paid} à {payees}.",
                "Le versement précédent remontait à {since_last} ; total versé jusqu'ici : {paid}.",
                "{elapsed} après le premier versement, le total versé atteint {paid}, vers {payees}.",
            ),
        ),
        place=PLACE,
    ),
    "funded_payment": Story(
        lead=VICTIM_SENT,
        more=Wordings(
            en=(
                "Savings had been moved in {since_funds} before; brought in so far: {brought_in}.",
                "Savings feed this payment, {brought_in} brought in up to now; paid so far: {paid}.",
                "{since_funds} earlier the last savings came in; the victim has paid {paid} by now.",
            ),
            fr=(
                "De l'épargne était arrivée {since_funds} plus tôt ; rapatrié jusqu'ici : {brought_in}.",
                "De l'épargne alimente ce versement : {brought_in} rapatriés à ce stade ; versé jusqu'ici : {paid}.",
                "{since_funds} plus tôt arrivait la dernière épargne ; total versé à ce jour : {paid}.",
            ),
        ),
        place=PLACE,
    ),
    "shop_payment": Story(
        lead=Wordings(
            en=(
                "The customer paid {amount} by card to {merchant}; {response_code}.",
                "{merchant} charged {amount} to the victim's card, with consent; {response_code}.",
                "A card payment of {amount} at {merchant}, made by the deceived customer; {response_code}.",
            ),
            fr=(
                "Le client a payé {amount} par carte à {merchant} ; {response_code}.",
                "{merchant} a débité {amount} de la carte de la victime, avec son accord ; {response_code}.",
                "Un paiement par carte de {amount} chez {merchant}, fait par le client trompé ; {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "It is payment {payment} to the offender, {paid} in all.",
                "By now the victim has paid {paid}, with {merchants} involved.",
                "What this account loses comes to {loss} in the end.",
            ),
            fr=(
                "C'est son versement {payment} à l'escroc, {paid} en tout.",
                "À ce jour, la victime a versé {paid}, avec {merchants} en jeu.",
                "La perte de ce compte atteindra {loss}.",
            ),
        ),
        place=PLACE,
    ),
    "first_theft": Story(
        lead=STRANGER_SENT,
        more=Wordings(
            en=(
                "It is the stranger's first debit of this account; {robbed} of this bank used so far.",
                "The account, open for {age}, was to lose {loss}.",
                "So far the credentials of {robbed} of this bank have served.",
            ),
            fr=(
                "C'est le premier débit de l'inconnu sur ce compte ; touchés jusqu'ici : {robbed} de cette banque.",
                "Le compte, ouvert depuis {age}, allait perdre {loss}.",
                "À ce stade, les identifiants de {robbed} de cette banque ont servi.",
            ),
        ),
        place=PLACE,
    ),
    "theft": Story(
        lead=STRANGER_SENT,
        more=Wordings(
            en=(
                "The debits began {elapsed} earlier with {first_amount}; gone by now: {paid}.",
                "This is debit {payment} of this account; {paid} went to {payees}.",
                "The debit before was {since_last} earlier; {robbed} of this bank hit so far.",
                "{elapsed} after the first debit, this account has lost {paid} and the haul covers {robbed}.",
            ),
            fr=(
                "Le premier débit, de {first_amount}, remonte à {elapsed} ; parti à ce jour : {paid}.",
                "C'est le débit {payment} de ce compte ; total de {paid} vers {payees}.",
                "Le débit précédent remontait à {since_last} ; touchés jusqu'ici : {robbed} de cette banque.",
                "{elapsed} après le premier débit, ce compte a perdu {paid} et le vol touche {robbed}.",
            ),
        ),
        place=PLACE,
    ),
    "stolen_purchase": Story(
        lead=Wordings(
            en=(
                "{merchant} charged {amount} to a card whose details were given away; {response_code}.",
                "Stolen card details were used for {amount} at {merchant}; {response_code}.",
                "A purchase of {amount} at {merchant} that the cardholder did not make; {response_code}.",
            ),
            fr=(
                "{merchant} a débité {amount} d'une carte dont les données avaient été livrées ; {response_code}.",
                "Des données de carte volées ont servi chez {merchant} pour {amount} ; {response_code}.",
                "Un achat de {amount} chez {merchant}, que le porteur n'a pas fait ; {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "It is debit {payment} of this account, {paid} in all.",
                "This account shows {merchants} so far, {paid} in all.",
                "So far {robbed} of this bank hit; this one has lost {paid}.",
            ),
            fr=(
                "C'est le débit {payment} de ce compte, {paid} en tout.",
                "Ce compte montre à ce stade {merchants}, {paid} en tout.",
                "Touchés jusqu'ici : {robbed} de cette banque ; celui-ci a perdu {paid}.",
            ),
        ),
        place=PLACE,
    ),
    "received": Story(
        lead=Wordings(
            en=(
                "The victim's money arrives at a mule of this bank: {amount}.",
                "This account, a mule's, received {amount} out of the fraud.",
                "{amount} from the victim reached a mule who banks here.",
            ),
            fr=(
                "L'argent de la victime arrive chez une mule de cette banque : {amount}.",
                "Ce compte, celui d'une mule, a reçu {amount} issus de la fraude.",
                "Un montant de {amount} est passé de la victime à une mule de cette banque.",
            ),
        ),
        more=Wordings(
            en=(
                "So far {came_in} came in, from {senders}.",
                "The receipts of this account come to {came_in}.",
                "The mule's account was {age} old and holds receipts from {senders}.",
            ),
            fr=(
                "Reçu jusqu'ici : {came_in}, de {senders}.",
                "Les entrées de ce compte atteignent {came_in}.",
                "Le compte de la mule avait {age} d'existence et des entrées venues de {senders}.",
            ),
        ),
        place=PLACE,
    ),
    "sent_on": Story(
        lead=Wordings(
            en=(
                "The mule sent {amount} to an account in {country}.",
                "{amount} was forwarded to {country} by the mule.",
                "From the mule's account {amount} left for {country}.",
            ),
            fr=(
                "La mule a viré {amount} vers un compte ({country}).",
                "Un montant de {amount} a été transféré par la mule ({country}).",
                "Du compte de la mule, {amount} sont partis vers un compte ({country}).",
            ),
        ),
        more=CARRIED,
        place=PLACE,
    ),
    "cash_out": Story(
        lead=Wordings(
            en=(
                "The mule took {amount} out in cash.",
                "Cash of {amount} was drawn by the mule.",
                "From the mule's account {amount} was withdrawn in cash.",
            ),
            fr=(
                "La mule a retiré {amount} en espèces.",
                "Un retrait d'espèces de {amount} a été fait par la mule.",
                "Du compte de la mule, {amount} sont sortis en espèces.",
            ),
        ),
        more=CARRIED,
        place=PLACE,
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of phishing.

    Savings that a victim moved in are no fraud, but what he paid out of them tells of them. Raises
    ``ExplanationError`` where a mule moves money on and none came to him.
    """
    credit = log.is_fraud & log.equals("direction", "credit")
    by_mule = log.is_fraud & log.equals("step_kind", *BY_MULE)
    paying = log.is_fraud & ~credit & ~by_mule
    came_in, went_out = seen.numbers["came_in"], seen.numbers["went_out"]
    unfunded = np.flatnonzero(by_mule & (came_in == 0))
    if len(unfunded):
        identifier = log.words("transaction_id")[unfunded[0]]
        raise ExplanationError(f"transaction {identifier} moves on money of a mule to whom none came")
    seen.numbers["passed_on"] = (200 * went_out + came_in) // np.maximum(2 * came_in, 1)  # per cent, halves up
    seen.numbers["kept"] = 100 - seen.numbers["passed_on"]
    first = seen.numbers["payment"] == 1
    by_victim = paying & log.equals("step_kind", *BY_VICTIM)
    stolen = paying & log.equals("step_kind", *STOLEN)

    fact = np.full(log.length, None, dtype=object)
    fact[by_victim] = "payment"
    fact[by_victim & first] = "first_payment"
    fact[by_victim & seen.has("savings")] = "funded_payment"
    fact[paying & log.equals("step_kind", "victim_purchase")] = "shop_payment"
    fact[stolen] = "theft"
    fact[stolen & first] = "first_theft"
    fact[paying & log.equals("step_kind", *BOUGHT)] = "stolen_purchase"
    fact[credit] = "received"
    fact[by_mule & log.equals("step_kind", "mule_transfer")] = "sent_on"
    fact[by_mule & log.equals("step_kind", "mule_withdrawal")] = "cash_out"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
