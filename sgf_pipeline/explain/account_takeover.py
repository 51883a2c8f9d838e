"""Account takeover, told: what was asked of the account since somebody else had it, and what it gave.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import first_of, groups, last_before, running_distinct, running_sum, total
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

VECTORS = {
    "credential_stuffing": {"en": "Leaked password", "fr": "Mot de passe divulgué"},
    "sim_swap": {"en": "SIM swap", "fr": "Détournement de carte SIM"},
    "malware_remote_session": {"en": "Malware in the session", "fr": "Logiciel malveillant"},
    "session_hijack": {"en": "Hijacked session", "fr": "Session détournée"},
    "call_centre_reset": {"en": "Reset by an impostor", "fr": "Réinitialisation par un imposteur"},
    "stolen_phone": {"en": "Stolen phone", "fr": "Téléphone volé"},
    "data_breach_reuse": {"en": "Reused password", "fr": "Mot de passe réutilisé"},
    "mailbox_takeover": {"en": "Mailbox taken over", "fr": "Messagerie détournée"},
}

WHAT = {
    "wallet_enrolment": {"en": "a card check", "fr": "une vérification de carte"},
    "probe": {"en": "a small purchase", "fr": "un petit achat"},
    "purchase": {"en": "a purchase", "fr": "un achat"},
    "big_purchase": {"en": "a large purchase", "fr": "un gros achat"},
    "wallet_purchase": {"en": "a purchase by phone at a till", "fr": "un achat en caisse par téléphone"},
    "trial_transfer": {"en": "a trial transfer", "fr": "un virement d'essai"},
    "transfer_out": {"en": "a transfer", "fr": "un virement"},
    "own_mule_transfer": {"en": "a transfer to a mule of this bank", "fr": "un virement à une mule de cette banque"},
    "cash_withdrawal": {"en": "a cash withdrawal", "fr": "un retrait d'espèces"},
}

REASONS = {
    "05": {"en": "do not honour", "fr": "ne pas honorer"},
    "51": {"en": "not enough money", "fr": "provision insuffisante"},
    "59": {"en": "suspected fraud", "fr": "soupçon de fraude"},
    "61": {"en": "above the limit", "fr": "plafond dépassé"},
    "65": {"en": "too often", "fr": "trop d'opérations"},
}
OUTCOME = {
    "00": {"en": "was approved", "fr": "a été autorisé"},
    **{
        code: {
            "en": f"was declined with code {code} ({why['en']})",
            "fr": f"a été refusé avec le code {code} ({why['fr']})",
        }
        for code, why in REASONS.items()
    },
}

WIRED = ("trial_transfer", "transfer_out")

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "what": Phrase(WHAT),
    "move": Number(),
    "moves": Number(),
    "amount": Money(),
    "response_code": Phrase(OUTCOME),
    "elapsed": Duration(),
    "since_last": Duration(),
    "taken": Money(),
    "declined": Number(),
    "merchant": Word(),
    "merchants": Count("merchant"),
    "devices": Count("device"),
    "addresses": Count("address"),
    "country": Word(),
    "receivers": Count("account"),
    "withdrawn": Money(),
    "received": Money(),
}

_MOVE = ("vector", "what", "move", "moves", "amount", "response_code", "elapsed", "taken", "declined")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "opening": ("vector", "what", "moves", "amount", "response_code"),
    "bought": (*_MOVE, "merchant", "merchants", "devices", "addresses"),
    "bought_unseen": (*_MOVE, "merchant", "merchants", "since_last"),
    "sent": (*_MOVE, "country", "receivers"),
    "sent_inside": (*_MOVE, "since_last", "receivers"),
    "cash": (*_MOVE, "merchant", "withdrawn"),
    "received": ("vector", "amount", "elapsed", "received", "taken"),
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "opening": {
        "en": (
            "{vector}: the first of {moves} movements of this takeover is {what}; the request of {amount}"
            " {response_code}.",
            "With {what} the takeover of this account begins ({vector}): {amount} was asked for, which {response_code}."
            " It is the first of {moves} movements.",
        ),
        "fr": (
            "{vector}\u00a0: le premier de {moves} mouvements de cette prise de contrôle est {what}\u00a0; un montant"
            " de {amount} {response_code}.",
            "La prise de contrôle de ce compte commence par {what} ({vector})\u00a0: un montant de {amount}"
            " {response_code}. C'est le premier de {moves} mouvements.",
        ),
    },
    "bought": {
        "en": (
            "{vector}, movement {move} of {moves}: {amount} at {merchant} {response_code}, {elapsed} after the first."
            " So far {taken} has been taken over {devices} and {addresses}; declined tries: {declined}.",
            "{elapsed} into the takeover came {what} at {merchant}: {amount}, which {response_code}. It is movement"
            " {move} of {moves}; {merchants} used so far, {taken} taken, declined tries: {declined}.",
        ),
        "fr": (
            "{vector}, mouvement {move} sur {moves}\u00a0: chez {merchant}, un montant de {amount} {response_code},"
            " {elapsed} après le premier. Jusqu'ici {taken} pris, avec {devices} et {addresses}\u00a0; refus\u00a0:"
            " {declined}.",
            "{elapsed} après le début de la prise de contrôle, {what} chez {merchant}\u00a0: un montant de {amount}"
            " {response_code}. Mouvement {move} sur {moves}\u00a0; {merchants} jusqu'ici, {taken} pris,"
            " refus\u00a0: {declined}.",
        ),
    },
    "bought_unseen": {
        "en": (
            "{vector}, movement {move} of {moves}, {since_last} after the one before: {what} of {amount} at {merchant}"
            " {response_code}. Taken so far: {taken}; declined tries: {declined}.",
            "{merchant} asked for {amount}, which {response_code}; {elapsed} after the takeover began, {taken} is gone"
            " over {merchants}. Movement {move} of {moves}, {declined} declined.",
        ),
        "fr": (
            "{vector}, mouvement {move} sur {moves}, {since_last} après le précédent\u00a0: {what} chez {merchant}, un"
            " montant de {amount} {response_code}. Pris jusqu'ici\u00a0: {taken}\u00a0; refus\u00a0: {declined}.",
            "Chez {merchant}, un montant de {amount} {response_code}\u00a0; {elapsed} après le début de la prise de"
            " contrôle, {taken} ont disparu ({merchants}). Mouvement {move} sur {moves}, {declined} refus.",
        ),
    },
    "sent": {
        "en": (
            "{vector}, movement {move} of {moves}: {what} of {amount} to an account in {country} {response_code},"
            " {elapsed} after the first movement. {taken} has been taken so far; declined tries: {declined}.",
            "An account in {country} was to receive {amount}; this {response_code}. {elapsed} into the takeover"
            " its transfers aim at {receivers} and {taken} is gone. Movement {move} of {moves}.",
        ),
        "fr": (
            "{vector}, mouvement {move} sur {moves}\u00a0: {what} vers un compte ({country}), un montant de {amount}"
            " {response_code}, {elapsed} après le premier mouvement. {taken} pris jusqu'ici, {declined} refus.",
            "Un montant de {amount} destiné à un compte ({country}) {response_code}. {elapsed} après le début, les"
            " virements visent {receivers} et {taken} ont disparu. Mouvement {move} sur {moves}.",
        ),
    },
    "sent_inside": {
        "en": (
            "{vector}, movement {move} of {moves}: {amount} to another customer of this bank {response_code},"
            " {since_last} after the movement before. Taken so far: {taken}; declined tries: {declined}.",
            "{elapsed} after the first movement came {what}: {amount}, which {response_code}. The transfers of this"
            " takeover aim at {receivers} by now and {taken} is gone; movement {move} of {moves}.",
        ),
        "fr": (
            "{vector}, mouvement {move} sur {moves}\u00a0: un montant de {amount} vers un autre client de cette banque"
            " {response_code}, {since_last} après le mouvement précédent. Pris jusqu'ici\u00a0: {taken}\u00a0;"
            " refus\u00a0: {declined}.",
            "{elapsed} après le premier mouvement suit {what}\u00a0: un montant de {amount} {response_code}. Les"
            " virements visent désormais {receivers} et {taken} ont disparu\u00a0; mouvement {move} sur {moves}.",
        ),
    },
    "cash": {
        "en": (
            "{vector}, movement {move} of {moves}: a cash withdrawal of {amount} at {merchant} {response_code},"
            " {elapsed} after the first movement. {withdrawn} has been drawn in cash, {taken} taken altogether.",
            "Cash of {amount} was asked for, {elapsed} into the takeover, and {response_code}. Movement {move} of"
            " {moves}; declined tries: {declined}, taken so far: {taken}.",
        ),
        "fr": (
            "{vector}, mouvement {move} sur {moves}\u00a0: un retrait de {amount} ({merchant}) {response_code},"
            " {elapsed} après le premier mouvement. {withdrawn} retirés en espèces, {taken} pris au total.",
            "Un retrait d'espèces de {amount}, {elapsed} après le début de la prise de contrôle, {response_code}."
            " Mouvement {move} sur {moves}\u00a0; refus\u00a0: {declined}, pris jusqu'ici\u00a0: {taken}.",
        ),
    },
    "received": {
        "en": (
            "{vector}: this account, a mule's, received {amount} out of an account that was taken over, {elapsed} after"
            " the first movement there. It has now received {received} of the {taken} taken.",
            "{amount} came in from an account of this bank that somebody else controls, {elapsed} after the takeover"
            " showed. Received here so far: {received}; {vector}.",
        ),
        "fr": (
            "{vector}\u00a0: ce compte, celui d'une mule, a reçu {amount} d'un compte dont un tiers a pris le contrôle,"
            " {elapsed} après le premier mouvement. Il a reçu {received} sur {taken} pris.",
            "{amount} venus d'un compte de cette banque que contrôle un tiers, {elapsed} après le début. Reçus ici"
            " jusqu'à présent\u00a0: {received}\u00a0; {vector}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of account takeover.

    Raises ``ExplanationError`` where a mule receives before anything was taken.
    """
    debit = log.is_fraud & log.equals("direction", "debit")
    credit = log.is_fraud & ~debit
    approved = log.equals("response_code", "00")
    kind = log.words("step_kind")
    taken = running_sum(np.where(debit & approved, log.amount, 0), log.incident)
    untaken = np.flatnonzero(credit & (taken == 0))
    if len(untaken):
        identifier = log.words("transaction_id")[untaken[0]]
        raise ExplanationError(f"transaction {identifier} receives money of a takeover before any was taken")
    first = first_of(log.is_fraud, log.incident)
    previous = last_before(debit, log.incident)
    move = running_sum(log.is_fraud, log.incident)
    devices = running_distinct(log.column("device_id"), log.incident, debit)
    cash = debit & log.equals("step_kind", "cash_withdrawal")
    wired = debit & log.equals("step_kind", *WIRED, "own_mule_transfer")
    bought = debit & log.equals("step_kind", *WHAT) & ~cash & ~wired
    own = groups(log.incident, log.column("account_id"))

    fact = np.full(log.length, None, dtype=object)
    fact[bought] = "bought"
    fact[bought & (devices == 0)] = "bought_unseen"
    fact[debit & log.equals("step_kind", *WIRED)] = "sent"
    fact[debit & log.equals("step_kind", "own_mule_transfer")] = "sent_inside"
    fact[cash] = "cash"
    fact[(fact != None) & (move == 1)] = "opening"  # noqa: E711 (elementwise)
    fact[credit & log.equals("step_kind", "own_mule_transfer")] = "received"

    values = {
        "vector": log.words("vector"),
        "what": kind,
        "move": move,
        "moves": total(log.is_fraud, log.incident),
        "amount": log.amount,
        "response_code": log.words("response_code"),
        "elapsed": log.time - log.time[first],
        "since_last": log.time - log.time[previous],
        "taken": taken,
        "declined": running_sum(debit & ~approved, log.incident),
        "merchant": log.words("merchant_name"),
        "merchants": running_distinct(log.column("merchant_id"), log.incident, bought),
        "devices": devices,
        "addresses": running_distinct(log.column("ip_address"), log.incident, debit),
        "country": log.words("counterparty_country"),
        "receivers": running_distinct(log.column("counterparty_account_id"), log.incident, wired),
        "withdrawn": running_sum(np.where(cash & approved, log.amount, 0), log.incident),
        "received": running_sum(np.where(credit, log.amount, 0), own),
    }
    return Facts(fact, values, (first, previous, np.arange(log.length)))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
