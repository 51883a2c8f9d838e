"""Phishing, told: what a victim was led to pay, what strangers took, and what a mule did with it.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import first_of, groups, last_before, running_distinct, running_sum, total
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

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

OUTCOME = {
    "00": {"en": "it was approved", "fr": "l'opération a été acceptée"},
    **{
        code: {"en": f"it was declined with code {code}", "fr": f"l'opération a été refusée avec le code {code}"}
        for code in ("05", "51", "59", "61", "65")
    },
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "leg": Number(),
    "legs": Number(),
    "amount": Money(),
    "country": Word(),
    "response_code": Phrase(OUTCOME),
    "payment": Number(),
    "paid": Money(),
    "first_amount": Money(),
    "elapsed": Duration(),
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

_LEG = ("vector", "leg", "legs", "amount")
_SENT = (*_LEG, "country", "response_code")
_LATER = (*_SENT, "payment", "paid", "first_amount", "elapsed", "payees")
_CARRIED = (*_LEG, "last_in", "since_in", "came_in", "went_out", "passed_on", "kept")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "first_payment": _SENT,
    "payment": _LATER,
    "funded_payment": (*_SENT, "brought_in", "since_funds", "paid"),
    "shop_payment": (*_LEG, "merchant", "response_code", "payment", "paid"),
    "first_theft": (*_SENT, "robbed"),
    "theft": (*_LATER, "robbed"),
    "stolen_purchase": (*_LEG, "merchant", "response_code", "payment", "paid", "merchants", "robbed"),
    "received": (*_LEG, "senders", "came_in"),
    "sent_on": (*_CARRIED, "country"),
    "cash_out": _CARRIED,
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "first_payment": {
        "en": (
            "{vector}, row {leg} of {legs}: the customer was led to send {amount} to an account in {country}, the first"
            " payment of this kind; {response_code}.",
            "With this transfer of {amount} to {country} the victim's payments begin; {response_code}. {vector}, row"
            " {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: le client a été amené à virer {amount} vers un compte ({country}),"
            " son premier versement de ce genre\u00a0; {response_code}.",
            "Ce virement de {amount} ({country}) ouvre les versements de la victime\u00a0; {response_code}. {vector},"
            " ligne {leg} sur {legs}.",
        ),
    },
    "payment": {
        "en": (
            "{vector}, row {leg} of {legs}: {elapsed} after a first {first_amount} the customer himself sent {amount}"
            " to {country}; {response_code}. This is his payment {payment}, {paid} in all, to {payees}.",
            "The victim's payment {payment}: {amount} to {country}; {response_code}. It began {elapsed} earlier with"
            " {first_amount} and now comes to {paid}, sent to {payees}. {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {elapsed} après un premier versement de {first_amount}, le client"
            " a lui-même viré {amount} ({country})\u00a0; {response_code}. Versement {payment}, {paid} en tout, vers"
            " {payees}.",
            "Versement {payment} de la victime\u00a0: {amount} ({country})\u00a0; {response_code}. Le début remonte à"
            " {elapsed}, avec {first_amount}\u00a0; le total atteint {paid}, vers {payees}. {vector}, ligne {leg} sur"
            " {legs}.",
        ),
    },
    "funded_payment": {
        "en": (
            "{vector}, row {leg} of {legs}: {since_funds} after savings had been moved in, {brought_in} so far, the"
            " customer sent {amount} to {country}; {response_code}. He has paid {paid} by now.",
            "The savings that were brought in ({brought_in}, the last {since_funds} ago) feed this transfer of {amount}"
            " to {country}; {response_code}. Paid up to now: {paid}. {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {since_funds} après l'arrivée d'une épargne ({brought_in}"
            " jusqu'ici), le client a viré {amount} ({country})\u00a0; {response_code}. Il a versé {paid} à ce jour.",
            "L'épargne rapatriée ({brought_in}, la dernière fois {since_funds} plus tôt) alimente ce virement de"
            " {amount} ({country})\u00a0; {response_code}. Versé à ce jour\u00a0: {paid}. {vector}, ligne {leg} sur"
            " {legs}.",
        ),
    },
    "shop_payment": {
        "en": (
            "{vector}, row {leg} of {legs}: the customer paid {amount} by card to {merchant}; {response_code}. It is"
            " his payment {payment} to the offender, {paid} in all.",
            "{merchant} charged {amount} to the victim's card with his consent; {response_code}. Payment {payment}"
            " brings the sum to {paid}. {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: le client a payé {amount} par carte à {merchant}\u00a0;"
            " {response_code}. C'est son versement {payment} à l'escroc, {paid} en tout.",
            "{merchant} a débité {amount} de la carte de la victime, avec son accord\u00a0; {response_code}. Le"
            " versement {payment} porte le total à {paid}. {vector}, ligne {leg} sur {legs}.",
        ),
    },
    "first_theft": {
        "en": (
            "{vector}, row {leg} of {legs}: with stolen credentials {amount} was sent from this account to {country};"
            " {response_code}. So far {robbed} of this bank used in this way.",
            "A stranger's first transfer from this account, {amount} to {country}; {response_code}. The haul reaches"
            " {robbed} so far. {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: avec des identifiants volés, {amount} virés de ce compte"
            " ({country})\u00a0; {response_code}. Jusqu'ici {robbed} de cette banque ainsi utilisés.",
            "Premier virement d'un inconnu depuis ce compte, {amount} ({country})\u00a0; {response_code}. Le vol touche"
            " {robbed} jusqu'ici. {vector}, ligne {leg} sur {legs}.",
        ),
    },
    "theft": {
        "en": (
            "{vector}, row {leg} of {legs}: {elapsed} after a first {first_amount}, stolen credentials moved {amount}"
            " to {country}; {response_code}. Debit {payment} of this account, {paid} in all, to {payees}; {robbed}"
            " hit.",
            "Debit {payment} since a first {first_amount} {elapsed} earlier: a stranger sent {amount} to {country};"
            " {response_code}. Gone so far: {paid}, to {payees}. {vector}, row {leg} of {legs}, {robbed} hit.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {elapsed} après un premier débit de {first_amount}, des"
            " identifiants volés ont servi à virer {amount} ({country})\u00a0; {response_code}. Débit {payment} de ce"
            " compte, {paid} en tout, vers {payees}\u00a0; victimes\u00a0: {robbed}.",
            "Débit {payment} depuis un premier de {first_amount}, {elapsed} plus tôt\u00a0: un inconnu a viré {amount}"
            " ({country})\u00a0; {response_code}. Déjà partis\u00a0: {paid}, vers {payees}. {vector}, ligne {leg} sur"
            " {legs}, {robbed} en tout.",
        ),
    },
    "stolen_purchase": {
        "en": (
            "{vector}, row {leg} of {legs}: {merchant} charged {amount} to a card whose details were given away;"
            " {response_code}. Debit {payment} of this account, {paid} in all, at {merchants}; {robbed} hit so far.",
            "Stolen card details bought for {amount} at {merchant}; {response_code}. Debits here: {payment}, together"
            " {paid}, at {merchants}. {vector}, row {leg} of {legs}; {robbed} used by now.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {merchant} a débité {amount} d'une carte dont les données avaient"
            " été livrées\u00a0; {response_code}. Débit {payment} de ce compte, {paid} en tout, chez {merchants}\u00a0;"
            " victimes\u00a0: {robbed}.",
            "Achat de {amount} chez {merchant} avec des données de carte volées\u00a0; {response_code}. Débits"
            " ici\u00a0: {payment}, ensemble {paid}, chez {merchants}. {vector}, ligne {leg} sur {legs}\u00a0; {robbed}"
            " jusqu'ici.",
        ),
    },
    "received": {
        "en": (
            "{vector}, row {leg} of {legs}: the victim's money arrives at a mule of this bank, {amount} now and"
            " {came_in} so far, from {senders}.",
            "This account received {amount} out of the fraud, which makes {came_in} from {senders}. {vector}, row {leg}"
            " of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: l'argent de la victime arrive chez une mule de cette banque,"
            " {amount} cette fois et {came_in} jusqu'ici, de {senders}.",
            "Ce compte a reçu {amount} issus de la fraude, ce qui fait {came_in} de {senders}. {vector}, ligne {leg}"
            " sur {legs}.",
        ),
    },
    "sent_on": {
        "en": (
            "{vector}, row {leg} of {legs}: {since_in} after {last_in} came in, the mule sent {amount} to {country}. Of"
            " {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % still there.",
            "The mule forwards {amount} to {country}, {since_in} after a receipt of {last_in}. {passed_on} % of what"
            " came in is gone ({went_out} of {came_in}). {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {since_in} après l'arrivée de {last_in}, la mule a viré {amount}"
            " ({country}). Sur {came_in} reçus, {went_out} sont sortis\u00a0: {passed_on}\u00a0% transmis,"
            " {kept}\u00a0% encore là.",
            "La mule transfère {amount} ({country}), {since_in} après une entrée de {last_in}. {passed_on}\u00a0% des"
            " entrées sont parties ({went_out} sur {came_in}). {vector}, ligne {leg} sur {legs}.",
        ),
    },
    "cash_out": {
        "en": (
            "{vector}, row {leg} of {legs}: {since_in} after {last_in} came in, the mule took {amount} out in cash. Of"
            " {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % still there.",
            "Cash of {amount} was drawn by the mule, {since_in} after a receipt of {last_in}; {went_out} of {came_in}"
            " is gone, {passed_on} %. {vector}, row {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, ligne {leg} sur {legs}\u00a0: {since_in} après l'arrivée de {last_in}, la mule a retiré {amount}"
            " en espèces. Sur {came_in} reçus, {went_out} sont sortis\u00a0: {passed_on}\u00a0% transmis,"
            " {kept}\u00a0% encore là.",
            "La mule a retiré {amount} en espèces, {since_in} après une entrée de {last_in}\u00a0; {went_out} sur"
            " {came_in} sont partis, soit {passed_on}\u00a0%. {vector}, ligne {leg} sur {legs}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of phishing.

    Savings that a victim moved in are no fraud, but what he paid out of them tells of them. Raises
    ``ExplanationError`` where a mule moves money on and none came to him.
    """
    ok = log.equals("response_code", "00")
    credit = log.is_fraud & log.equals("direction", "credit")
    by_mule = log.is_fraud & log.equals("step_kind", "mule_transfer", "mule_withdrawal")
    paying = log.is_fraud & ~credit & ~by_mule
    own = groups(log.incident, log.column("account_id"))
    counterparty = log.column("counterparty_account_id")
    came_in = running_sum(np.where(credit, log.amount, 0), own)
    went_out = running_sum(np.where(by_mule, log.amount, 0), own)
    last_in = last_before(credit, own)
    unfunded = np.flatnonzero(by_mule & (came_in == 0))
    if len(unfunded):
        identifier = log.words("transaction_id")[unfunded[0]]
        raise ExplanationError(f"transaction {identifier} moves on money of a mule to whom none came")
    saved = ~log.is_fraud & log.equals("step_kind", "savings_in")
    brought_in = running_sum(np.where(saved, log.amount, 0), own)
    last_saved = last_before(saved, own)
    payment = running_sum(paying, own)
    first = first_of(paying, own)
    by_victim = paying & log.equals("step_kind", "victim_try", "victim_payment")
    stolen = paying & log.equals("step_kind", "credential_try", "credential_transfer")
    bought = paying & log.equals("step_kind", "credential_purchase")
    passed_on = (200 * went_out + came_in) // np.maximum(2 * came_in, 1)  # per cent, halves up

    fact = np.full(log.length, None, dtype=object)
    fact[by_victim] = "payment"
    fact[by_victim & (payment == 1)] = "first_payment"
    fact[by_victim & (brought_in > 0)] = "funded_payment"
    fact[paying & log.equals("step_kind", "victim_purchase")] = "shop_payment"
    fact[stolen] = "theft"
    fact[stolen & (payment == 1)] = "first_theft"
    fact[bought] = "stolen_purchase"
    fact[credit] = "received"
    fact[by_mule & log.equals("step_kind", "mule_transfer")] = "sent_on"
    fact[by_mule & log.equals("step_kind", "mule_withdrawal")] = "cash_out"
    values = {
        "vector": log.words("vector"),
        "leg": running_sum(log.is_fraud, log.incident),
        "legs": total(log.is_fraud, log.incident),
        "amount": log.amount,
        "country": log.words("counterparty_country"),
        "response_code": log.words("response_code"),
        "payment": payment,
        "paid": running_sum(np.where(paying & ok, log.amount, 0), own),
        "first_amount": log.amount[first],
        "elapsed": log.time - log.time[first],
        "payees": running_distinct(counterparty, own, paying),
        "brought_in": brought_in,
        "since_funds": log.time - log.time[last_saved],
        "merchant": log.words("merchant_name"),
        "merchants": running_distinct(log.column("merchant_id"), own, paying),
        "robbed": running_distinct(log.column("account_id"), log.incident, stolen | bought),
        "senders": running_distinct(counterparty, own, credit),
        "came_in": came_in,
        "went_out": went_out,
        "last_in": log.amount[last_in],
        "since_in": log.time - log.time[last_in],
        "passed_on": passed_on,
        "kept": 100 - passed_on,
    }
    here = np.arange(log.length)
    origin = np.where(by_mule, last_in, np.where(fact == "funded_payment", last_saved, first))
    return Facts(fact, values, (origin, last_before(log.is_fraud, log.incident), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
