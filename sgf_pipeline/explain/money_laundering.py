"""Money laundering, told: what came into an account, what left it again, and how soon.

Belongs here: the facts and sentences of this scenario.
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
    "structuring": {"en": "Structuring", "fr": "Fractionnement de dépôts"},
    "fan_in": {"en": "Fan-in", "fr": "Collecte vers un compte"},
    "fan_out": {"en": "Fan-out", "fr": "Dispersion d'un compte"},
    "cycle": {"en": "Money in a circle", "fr": "Circuit fermé"},
    "scatter_gather": {"en": "Scatter and gather", "fr": "Dispersion puis regroupement"},
    "mule_chain": {"en": "Mule chain", "fr": "Chaîne de mules"},
    "cash_business": {"en": "Cash business", "fr": "Commerce d'espèces"},
    "crypto_off_ramp": {"en": "Crypto off-ramp", "fr": "Sortie de cryptoactifs"},
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "leg": Number(),
    "legs": Number(),
    "amount": Money(),
    "elapsed": Duration(),
    "country": Word(),
    "deposits": Count("deposit"),
    "largest": Money(),
    "senders": Count("account"),
    "receivers": Count("account"),
    "accounts": Count("account"),
    "came_in": Money(),
    "went_out": Money(),
    "last_in": Money(),
    "since_in": Duration(),
    "passed_on": Number(),
    "kept": Number(),
}

_LEG = ("vector", "leg", "legs", "amount")
_CARRIED = (*_LEG, "came_in", "went_out", "last_in", "since_in", "passed_on", "kept")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "first_cash": _LEG,
    "cash": (*_LEG, "elapsed", "deposits", "largest", "came_in"),
    "inbound": (*_LEG, "country", "senders", "came_in"),
    "sent": (*_CARRIED, "receivers"),
    "outbound": (*_CARRIED, "country", "receivers"),
    "cash_out": _CARRIED,
    "received": (*_LEG, "elapsed", "accounts", "senders", "came_in"),
    "returned": (*_LEG, "elapsed", "accounts", "came_in"),
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "first_cash": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} was paid in, in cash, the first cash deposit of this account in"
            " the scheme.",
            "A first cash deposit of {amount} on this account. {vector}: leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} versés en espèces, premier dépôt de ce compte dans le"
            " montage.",
            "Un premier dépôt d'espèces de {amount} sur ce compte. {vector}\u00a0: étape {leg} sur {legs}.",
        ),
    },
    "cash": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} was paid in, in cash. This account has now taken {deposits},"
            " {came_in} in all and none above {largest}, {elapsed} after the scheme began.",
            "{elapsed} into the scheme this account took {amount} in cash: {deposits} so far, the largest of {largest}."
            " {vector}, leg {leg} of {legs}; {came_in} came in altogether.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} versés en espèces. Ce compte en est à {deposits},"
            " {came_in} au total et jamais plus de {largest}, {elapsed} après le début du montage.",
            "{elapsed} après le début du montage, ce compte a reçu {amount} en espèces\u00a0: {deposits} jusqu'ici, le"
            " plus grand de {largest}. {vector}, étape {leg} sur {legs}\u00a0; {came_in} d'entrées au total.",
        ),
    },
    "inbound": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} arrived from {country}. Paid into this account so far: {came_in},"
            " by {senders}.",
            "{amount} came from an account in {country}, which brings the receipts of this account to {came_in}, from"
            " {senders}. {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} reçus de {country}. Entrées de ce compte jusqu'ici\u00a0:"
            " {came_in}, de {senders}.",
            "{amount} venus d'un compte ({country}), ce qui porte les entrées de ce compte à {came_in}, de {senders}."
            " {vector}, étape {leg} sur {legs}.",
        ),
    },
    "sent": {
        "en": (
            "{vector}, leg {leg} of {legs}: {last_in} had arrived {since_in} earlier and {amount} went on to another"
            " account of this bank. Of {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} %"
            " kept.",
            "{amount} moved on inside the bank, {since_in} after {last_in} came in. This account has passed on"
            " {passed_on} % of its receipts ({went_out} of {came_in}, to {receivers}). {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {last_in} étaient arrivés {since_in} plus tôt et {amount} sont"
            " repartis vers un autre compte de cette banque. Sur {came_in} reçus, {went_out} sont sortis\u00a0:"
            " {passed_on}\u00a0% transmis, {kept}\u00a0% gardés.",
            "{amount} repartis à l'intérieur de la banque, {since_in} après l'arrivée de {last_in}. Ce compte a"
            " transmis {passed_on}\u00a0% de ses entrées ({went_out} sur {came_in}, vers {receivers}). {vector}, étape"
            " {leg} sur {legs}.",
        ),
    },
    "outbound": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} left for {country}, {since_in} after {last_in} came in. Of"
            " {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % kept.",
            "An account in {country} was sent {amount}, {since_in} after {last_in} arrived. {passed_on} % of the"
            " receipts have gone out ({went_out} of {came_in}, to {receivers}). {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} partis vers {country}, {since_in} après l'arrivée de"
            " {last_in}. Sur {came_in} reçus, {went_out} sont sortis\u00a0: {passed_on}\u00a0% transmis, {kept}\u00a0%"
            " gardés.",
            "Un compte ({country}) a reçu {amount}, {since_in} après l'arrivée de {last_in}. {passed_on}\u00a0% des"
            " entrées sont sorties ({went_out} sur {came_in}, vers {receivers}). {vector}, étape {leg} sur {legs}.",
        ),
    },
    "cash_out": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} was taken out in cash, {since_in} after {last_in} came in. Of"
            " {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % kept.",
            "{since_in} after {last_in} arrived, {amount} was withdrawn in cash, which makes {went_out} of {came_in}"
            " ({passed_on} %). {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} retirés en espèces, {since_in} après l'arrivée de"
            " {last_in}. Sur {came_in} reçus, {went_out} sont sortis\u00a0: {passed_on}\u00a0% transmis, {kept}\u00a0%"
            " gardés.",
            "{since_in} après l'arrivée de {last_in}, {amount} retirés en espèces, soit {went_out} sur {came_in}"
            " ({passed_on}\u00a0%). {vector}, étape {leg} sur {legs}.",
        ),
    },
    "received": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} reached this account from another account of this bank. Paid in so"
            " far: {came_in}, by {senders}; the scheme touches {accounts} after {elapsed}.",
            "{amount} came in from inside the bank, {elapsed} after the scheme began; this account has received"
            " {came_in} from {senders}. {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} venus d'un autre compte de cette banque. Entrées"
            " jusqu'ici\u00a0: {came_in}, de {senders}\u00a0; le montage touche {accounts} après {elapsed}.",
            "{amount} venus de l'intérieur de la banque, {elapsed} après le début du montage\u00a0; ce compte a reçu"
            " {came_in} de {senders}. {vector}, étape {leg} sur {legs}.",
        ),
    },
    "returned": {
        "en": (
            "{vector}, leg {leg} of {legs}: {amount} is back on the account where the money first came in, {elapsed}"
            " later and over {accounts}.",
            "After {elapsed} and {accounts}, {amount} returned to where it began; this account's receipts now come to"
            " {came_in}. {vector}, leg {leg} of {legs}.",
        ),
        "fr": (
            "{vector}, étape {leg} sur {legs}\u00a0: {amount} de retour sur le compte où l'argent était d'abord arrivé,"
            " {elapsed} plus tard et par {accounts}.",
            "Après {elapsed} et {accounts}, {amount} reviennent à leur point de départ\u00a0; les entrées de ce compte"
            " atteignent {came_in}. {vector}, étape {leg} sur {legs}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of money laundering.

    Raises ``ExplanationError`` where money is carried on from an account into which none came.
    """
    moved = log.is_fraud & log.equals("response_code", "00")
    credit = moved & log.equals("direction", "credit")
    debit = moved & ~credit
    cash_in = log.is_fraud & log.equals("step_kind", "cash_deposit")
    internal = log.is_fraud & log.equals("step_kind", "internal_transfer")
    account = log.column("account_id")
    counterparty = log.column("counterparty_account_id")
    own = groups(log.incident, account)
    came_in = running_sum(np.where(credit, log.amount, 0), own)
    went_out = running_sum(np.where(debit, log.amount, 0), own)
    last_in = last_before(credit, own)
    unfunded = np.flatnonzero(log.is_fraud & log.equals("direction", "debit") & (came_in == 0))
    if len(unfunded):
        identifier = log.words("transaction_id")[unfunded[0]]
        raise ExplanationError(f"transaction {identifier} carries money on from an account into which none came")
    passed_on = (200 * went_out + came_in) // np.maximum(2 * came_in, 1)  # per cent, halves up
    first = first_of(log.is_fraud, log.incident)
    deposits = running_sum(cash_in, own)
    home = own == own[first]

    fact = np.full(log.length, None, dtype=object)
    fact[cash_in] = "cash"
    fact[cash_in & (deposits == 1)] = "first_cash"
    fact[log.is_fraud & log.equals("step_kind", "inbound_transfer")] = "inbound"
    fact[internal & debit] = "sent"
    fact[internal & credit] = "received"
    fact[internal & credit & home & log.equals("vector", "cycle")] = "returned"
    fact[log.is_fraud & log.equals("step_kind", "outbound_transfer")] = "outbound"
    fact[log.is_fraud & log.equals("step_kind", "cash_withdrawal")] = "cash_out"

    values = {
        "vector": log.words("vector"),
        "leg": running_sum(log.is_fraud, log.incident),
        "legs": total(log.is_fraud, log.incident),
        "amount": log.amount,
        "elapsed": log.time - log.time[first],
        "country": log.words("counterparty_country"),
        "deposits": deposits,
        "largest": running_max(np.where(cash_in, log.amount, 0), own),
        "senders": running_distinct(counterparty, own, credit),
        "receivers": running_distinct(counterparty, own, debit),
        "accounts": running_distinct(account, log.incident, log.is_fraud),
        "came_in": came_in,
        "went_out": went_out,
        "last_in": log.amount[last_in],
        "since_in": log.time - log.time[last_in],
        "passed_on": passed_on,
        "kept": 100 - passed_on,
    }
    here = np.arange(log.length)
    previous = last_before(log.is_fraud, log.incident)
    return Facts(fact, values, (first, np.where(debit, last_in, previous), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
