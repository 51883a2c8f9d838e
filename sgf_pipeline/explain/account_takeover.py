"""Account takeover, told: what was asked of the account since somebody else had it, and what it gave.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, DECLINED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word, outcomes

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

OUTCOME = outcomes({"en": "was approved", "fr": "a été autorisé"}, {"en": "was declined", "fr": "a été refusé"})

WIRED = ("trial_transfer", "transfer_out")

INSIDE = "own_mule_transfer"
CASH = "cash_withdrawal"
SHOPPED = tuple(kind for kind in WHAT if kind not in (*WIRED, INSIDE, CASH))
DEBIT = {"direction": ("debit",)}

ROWS: dict[str, Rows] = {
    "movements": Rows(),
    "takeover": Rows(span="whole"),
    "asked": Rows(where=DEBIT),
    "before": Rows(where=DEBIT, span="earlier"),
    "taken": Rows(where={**DEBIT, "response_code": APPROVED}),
    "haul": Rows(where={**DEBIT, "response_code": APPROVED}, span="whole"),
    "declined": Rows(where={**DEBIT, "response_code": DECLINED}),
    "shopped": Rows(where=DEBIT, kinds=SHOPPED),
    "wired": Rows(where=DEBIT, kinds=(*WIRED, INSIDE)),
    "cash": Rows(where={**DEBIT, "response_code": APPROVED}, kinds=(CASH,)),
    "received": Rows(where={"direction": ("credit",)}, same=("account_id",)),
}

NUMBERS: dict[str, Reckoning] = {
    "move": Reckoning("count", "movements"),
    "moves": Reckoning("count", "takeover"),
    "elapsed": Reckoning("since first", "movements"),
    "since_last": Reckoning("since last", "before"),
    "taken": Reckoning("sum of amount", "taken"),
    "haul": Reckoning("sum of amount", "haul"),
    "declined": Reckoning("count", "declined"),
    "merchants": Reckoning("distinct", "shopped", "merchant_id"),
    "devices": Reckoning("distinct", "asked", "device_id"),
    "addresses": Reckoning("distinct", "asked", "ip_address"),
    "receivers": Reckoning("distinct", "wired", "counterparty_account_id"),
    "withdrawn": Reckoning("sum of amount", "cash"),
    "received": Reckoning("sum of amount", "received"),
}

WORDS = {
    "vector": "vector",
    "what": "step_kind",
    "response_code": "response_code",
    "merchant": "merchant_name",
    "cash_point": "merchant_name",
    "country": "counterparty_country",
    "age": "account_age_days",
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "what": Phrase(WHAT),
    "move": Number(),
    "moves": Number(),
    "amount": Money(),
    "response_code": OUTCOME,
    "elapsed": Duration(),
    "since_last": Duration(),
    "taken": Money(),
    "haul": Money(),
    "declined": Count("declined"),
    "merchant": Word(),
    "cash_point": Word(),
    "merchants": Count("merchant"),
    "devices": Count("device"),
    "addresses": Count("address"),
    "country": Word(),
    "receivers": Count("account"),
    "withdrawn": Money(),
    "received": Money(),
    "age": Count("days"),
}

PLACE = Wordings(
    en=(
        "{vector}, movement {move} of {moves}.",
        "This is movement {move} of {moves} in one account takeover ({vector}).",
        "How the account was taken: {vector}. Movements so far: {move} of {moves}.",
    ),
    fr=(
        "{vector}, mouvement {move} sur {moves}.",
        "C'est le mouvement {move} sur {moves} d'une même prise de contrôle ({vector}).",
        "Mode opératoire : {vector}. Mouvements à ce stade : {move} sur {moves}.",
    ),
)
# What had happened before, on any debit but the first.
SO_FAR_EN = (
    "Taken so far: {taken}, with {declined}.",
    "This movement came {elapsed} after the first movement and {since_last} after the one before.",
    "{elapsed} into the takeover, {taken} is gone.",
    "The previous movement was {since_last} earlier; {taken} has been taken up to now.",
)
SO_FAR_FR = (
    "Pris jusqu'ici : {taken}, avec {declined}.",
    "Ce mouvement est survenu {elapsed} après le premier mouvement et {since_last} après le précédent.",
    "{elapsed} après le début de la prise de contrôle, le total pris atteint {taken}.",
    "Le mouvement précédent remontait à {since_last} ; total pris à ce jour : {taken}.",
)

STORIES: dict[str, Story] = {
    "opening": Story(
        lead=Wordings(
            en=(
                "The takeover begins with {what}: {amount}, which {response_code}.",
                "The first thing that somebody else did with this account was {what}; the request of {amount}"
                " {response_code}.",
                "A request of {amount} opens the takeover. It was {what} and {response_code}.",
            ),
            fr=(
                "La prise de contrôle commence par {what} : un montant de {amount} {response_code}.",
                "Premier geste d'un tiers sur ce compte : {what}. Le montant de {amount} {response_code}.",
                "Un montant de {amount} {response_code} ; c'était {what}, par quoi s'ouvre la prise de contrôle.",
            ),
        ),
        more=Wordings(
            en=(
                "The account had been open for {age}.",
                "In all, this takeover takes {haul} in the exported rows.",
                "It happened when the account was {age} old, and the takeover was to cost {haul}.",
            ),
            fr=(
                "Le compte était ouvert depuis {age}.",
                "En tout, cette prise de contrôle emporte {haul} dans les lignes exportées.",
                "Le compte avait alors {age} d'existence ; la prise de contrôle allait coûter {haul}.",
            ),
        ),
        place=PLACE,
    ),
    "bought": Story(
        lead=Wordings(
            en=(
                "At {merchant}, {what} of {amount} {response_code}.",
                "{amount} was asked for at {merchant}, as {what}; it {response_code}.",
                "Next came {what} at {merchant}: {amount}, which {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un montant de {amount} {response_code} ; c'était {what}.",
                "Ensuite vint {what} chez {merchant} : un montant de {amount} {response_code}.",
                "Pour {what} chez {merchant}, un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                *SO_FAR_EN,
                "The takeover has shown {devices} and {addresses} so far.",
                "{merchants} and {devices} by now, {taken} taken.",
            ),
            fr=(
                *SO_FAR_FR,
                "La prise de contrôle a montré jusqu'ici {devices} et {addresses}.",
                "À ce stade, {merchants} et {devices} ; total pris : {taken}.",
            ),
        ),
        place=PLACE,
    ),
    "bought_unseen": Story(
        lead=Wordings(
            en=(
                "At {merchant}, {what} of {amount} {response_code}.",
                "{merchant} asked for {amount}, which {response_code}: {what}.",
                "Next came {what} at {merchant}; the request of {amount} {response_code}.",
            ),
            fr=(
                "Chez {merchant}, un montant de {amount} {response_code} ; c'était {what}.",
                "Ensuite vint {what} chez {merchant} : un montant de {amount} {response_code}.",
                "Pour {what} chez {merchant}, un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(*SO_FAR_EN, "Purchases went to {merchants} so far, {taken} in all taken."),
            fr=(*SO_FAR_FR, "À ce stade, {merchants} et un total pris de {taken}."),
        ),
        place=PLACE,
    ),
    "sent": Story(
        lead=Wordings(
            en=(
                "A request to send {amount} to an account in {country} {response_code}; it was {what}.",
                "An account in {country} was to receive {amount} by {what}, which {response_code}.",
                "With {what}, {amount} was directed to {country}; the order {response_code}.",
            ),
            fr=(
                "Pour {what} vers un compte ({country}), un montant de {amount} {response_code}.",
                "Un montant de {amount} destiné à un compte ({country}) {response_code} ; c'était {what}.",
                "Ensuite vint {what} ({country}) : un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                *SO_FAR_EN,
                "The transfers of this takeover aim at {receivers}.",
                "So far its transfers name {receivers}, and {taken} has been taken.",
            ),
            fr=(
                *SO_FAR_FR,
                "Les virements de cette prise de contrôle visent {receivers}.",
                "Jusqu'ici, ses virements désignent {receivers} et le total pris atteint {taken}.",
            ),
        ),
        place=PLACE,
    ),
    "sent_inside": Story(
        lead=Wordings(
            en=(
                "{amount} was directed to another customer of this bank, a mule; the order {response_code}.",
                "A transfer of {amount} to a mule who banks here as well {response_code}.",
                "The receiver is a mule of this bank: {amount}, which {response_code}.",
            ),
            fr=(
                "Un montant de {amount} vers un autre client de cette banque, une mule, {response_code}.",
                "Un virement de {amount} à une mule, elle aussi cliente de cette banque, {response_code}.",
                "Le bénéficiaire est une mule de cette banque : un montant de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(*SO_FAR_EN, "The transfers of this takeover aim at {receivers} by now."),
            fr=(*SO_FAR_FR, "Les virements de cette prise de contrôle visent désormais {receivers}."),
        ),
        place=PLACE,
    ),
    "cash": Story(
        lead=Wordings(
            en=(
                "A cash withdrawal of {amount} at {cash_point} {response_code}.",
                "Cash was asked for at {cash_point}: {amount}, which {response_code}.",
                "At {cash_point}, the offender wanted {amount} in cash; it {response_code}.",
            ),
            fr=(
                "Un retrait d'espèces de {amount} ({cash_point}) {response_code}.",
                "Un montant de {amount} demandé en espèces ({cash_point}) {response_code}.",
                "L'auteur a voulu des espèces ({cash_point}) ; le retrait de {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(*SO_FAR_EN, "Drawn in cash so far: {withdrawn}, out of {taken} taken altogether."),
            fr=(*SO_FAR_FR, "Retiré en espèces jusqu'ici : {withdrawn}, sur {taken} pris au total."),
        ),
        place=PLACE,
    ),
    "received": Story(
        lead=Wordings(
            en=(
                "This account is a mule's: {amount} came in from an account of this bank that was taken over.",
                "A mule's account received {amount} out of an account that somebody else controls.",
                "{amount} arrived here from a customer of this bank whose account had been taken over.",
            ),
            fr=(
                "Ce compte est celui d'une mule : il a reçu {amount} d'un compte de cette banque dont un tiers a pris"
                " le contrôle.",
                "Le compte d'une mule a reçu {amount} d'un compte que contrôle un tiers.",
                "Un montant de {amount} est arrivé ici depuis le compte détourné d'un client de cette banque.",
            ),
        ),
        more=Wordings(
            en=(
                "This account has now received {received} of the {taken} taken.",
                "The first movement of the takeover was {elapsed} earlier; received here so far: {received}.",
                "{elapsed} into the takeover, the receipts of this account come to {received}.",
            ),
            fr=(
                "Ce compte a reçu jusqu'ici {received} sur {taken} pris.",
                "Le premier mouvement de la prise de contrôle remonte à {elapsed} ; reçu ici jusqu'à présent :"
                " {received}.",
                "{elapsed} après le début de la prise de contrôle, les entrées de ce compte atteignent {received}.",
            ),
        ),
        place=PLACE,
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of account takeover.

    Raises ``ExplanationError`` where a mule receives before anything was taken.
    """
    debit = log.is_fraud & log.equals("direction", "debit")
    credit = log.is_fraud & ~debit
    untaken = np.flatnonzero(credit & (seen.numbers["taken"] == 0))
    if len(untaken):
        identifier = log.words("transaction_id")[untaken[0]]
        raise ExplanationError(f"transaction {identifier} receives money of a takeover before any was taken")
    bought = debit & log.equals("step_kind", *SHOPPED)

    fact = np.full(log.length, None, dtype=object)
    fact[bought] = "bought"
    fact[bought & (seen.numbers["devices"] == 0)] = "bought_unseen"
    fact[debit & log.equals("step_kind", *WIRED)] = "sent"
    fact[debit & log.equals("step_kind", INSIDE)] = "sent_inside"
    fact[debit & log.equals("step_kind", CASH)] = "cash"
    fact[(fact != None) & (seen.numbers["move"] == 1)] = "opening"  # noqa: E711 (elementwise)
    fact[credit & log.equals("step_kind", INSIDE)] = "received"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
