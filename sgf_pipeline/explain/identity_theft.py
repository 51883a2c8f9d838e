"""Identity theft, told: how quiet the account had been, and how fast its line was then taken.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, DECLINED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word, outcomes

FALSE_REPAYMENT = "false_repayment"

VECTORS = {
    "stolen_identity_card": {
        "en": "Account opened with a stolen identity card", "fr": "Compte ouvert avec une carte d'identité volée",
    },
    "synthetic_identity": {
        "en": "Account of an invented person", "fr": "Compte d'une personne inventée",
    },
    "forged_documents": {
        "en": "Account opened with forged papers", "fr": "Compte ouvert avec de faux papiers",
    },
    "deceased_identity": {
        "en": "Account in the name of a dead person", "fr": "Compte au nom d'une personne décédée",
    },
    "child_identity": {
        "en": "Account built on a child's identity", "fr": "Compte bâti sur l'identité d'un enfant",
    },
    "recruited_front": {
        "en": "Account of a straw man", "fr": "Compte d'un prête-nom",
    },
    "data_breach_application": {
        "en": "Account opened with leaked data", "fr": "Compte ouvert avec des données dérobées",
    },
    "mail_interception": {
        "en": "Account whose letters were intercepted", "fr": "Compte au courrier intercepté",
    },
}  # fmt: skip

ACTS = {
    "goods_purchase": {"en": "a purchase of goods that sell easily", "fr": "un achat de biens faciles à revendre"},
    "voucher_purchase": {"en": "a purchase of vouchers or credits", "fr": "un achat de bons ou de crédits"},
    "cash_withdrawal": {"en": "a cash withdrawal", "fr": "un retrait d'espèces"},
    "transfer_out": {"en": "a transfer to an account elsewhere", "fr": "un virement vers un compte extérieur"},
}

OUTCOME = outcomes({"en": "went through", "fr": "est passé"}, {"en": "was refused", "fr": "a été refusé"})

SHOPPED = ("goods_purchase", "voucher_purchase")
DRAIN = tuple(ACTS)
QUIET = {"direction": ("debit",), "response_code": APPROVED}

ROWS: dict[str, Rows] = {
    "movements": Rows(),
    "bust_out": Rows(span="whole"),
    "before": Rows(span="earlier"),
    "quiet": Rows(fraud=False, where=QUIET),
    "taken": Rows(where={"response_code": APPROVED}, kinds=DRAIN),
    "haul": Rows(where={"response_code": APPROVED}, kinds=DRAIN, span="whole"),
    "refused": Rows(where={"response_code": DECLINED}, kinds=DRAIN),
    "repaid": Rows(kinds=(FALSE_REPAYMENT,)),
}

NUMBERS: dict[str, Reckoning] = {
    "row": Reckoning("count", "movements"),
    "rows_in_all": Reckoning("count", "bust_out"),
    "accounts": Reckoning("distinct", "movements", "account_id"),
    "elapsed": Reckoning("since first", "movements"),
    "since_last": Reckoning("since last", "before"),
    "quiet_payments": Reckoning("count", "quiet"),
    "largest_quiet": Reckoning("largest amount", "quiet"),
    "quiet_time": Reckoning("since first", "quiet"),
    "quiet_spent": Reckoning("sum of amount", "quiet"),
    "taken": Reckoning("sum of amount", "taken"),
    "haul": Reckoning("sum of amount", "haul"),
    "largest_taken": Reckoning("largest amount", "taken"),
    "refused": Reckoning("count", "refused"),
    "repaid": Reckoning("sum of amount", "repaid"),
}

WORDS = {
    "vector": "vector",
    "act": "step_kind",
    "response_code": "response_code",
    "merchant": "merchant_name",
    "cash_point": "merchant_name",
    "country": "counterparty_country",
    "age": "account_age_days",
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "act": Phrase(ACTS),
    "response_code": OUTCOME,
    "amount": Money(),
    "merchant": Word(),
    "cash_point": Word(),
    "country": Word(),
    "age": Count("days"),
    "row": Number(),
    "rows_in_all": Number(),
    "accounts": Count("account"),
    "quiet_payments": Count("payment"),
    "largest_quiet": Money(),
    "quiet_time": Duration(),
    "quiet_spent": Money(),
    "elapsed": Duration(),
    "since_last": Duration(),
    "taken": Money(),
    "haul": Money(),
    "largest_taken": Money(),
    "refused": Count("declined"),
    "repaid": Money(),
}

PLACE = Wordings(
    en=(
        "{vector}. Movement {row} of {rows_in_all} of the bust-out.",
        "It is movement {row} of {rows_in_all} of a bust-out. {vector}.",
        "Movements of the bust-out so far: {row} of {rows_in_all}. {vector}.",
    ),
    fr=(
        "{vector}. Mouvement {row} sur {rows_in_all} du vidage du compte.",
        "C'est le mouvement {row} sur {rows_in_all} d'un vidage de compte. {vector}.",
        "Mouvements du vidage à ce stade : {row} sur {rows_in_all}. {vector}.",
    ),
)
TURN = Wordings(
    en=(
        "With {act} the bust-out begins: {amount}, which {response_code}.",
        "The bust-out opens with {act}; the request of {amount} {response_code}.",
        "First movement of the bust-out, {act}: {amount}, which {response_code}.",
    ),
    fr=(
        "Avec {act} commence le vidage du compte : un montant de {amount}, qui {response_code}.",
        "Le vidage s'ouvre par {act} ; le montant de {amount} {response_code}.",
        "Premier mouvement du vidage, {act} : le montant de {amount} {response_code}.",
    ),
)
SO_FAR_EN = (
    "Taken so far: {taken}, with {refused}.",
    "The bust-out began {elapsed} earlier, and the movement before this one was {since_last} ago.",
    "{elapsed} after the first movement, {taken} is gone over {accounts}.",
    "The largest sum taken until now is {largest_taken}, out of {taken}.",
)
SO_FAR_FR = (
    "Pris jusqu'ici : {taken}, avec {refused}.",
    "Le vidage a commencé {elapsed} plus tôt ; le mouvement précédent remontait à {since_last}.",
    "{elapsed} après le premier mouvement, le total pris atteint {taken} sur {accounts}.",
    "Le plus grand montant pris à ce stade est de {largest_taken}, sur {taken}.",
)

STORIES: dict[str, Story] = {
    "turn": Story(
        lead=TURN,
        more=Wordings(
            en=(
                "Until then it was quiet: over {quiet_time}, no payment above {largest_quiet} ({quiet_payments}).",
                "Before it, {quiet_payments} had left the account over {quiet_time}, the largest of {largest_quiet}.",
                "The quiet life of the account had seen {quiet_payments} in {quiet_time}, {quiet_spent} in all.",
            ),
            fr=(
                "Jusque-là, rien d'anormal : en {quiet_time}, aucun paiement au-dessus de {largest_quiet}"
                " ({quiet_payments}).",
                "Auparavant, on compte {quiet_payments} en {quiet_time}, {largest_quiet} au plus.",
                "La vie tranquille du compte se résumait à {quiet_payments} en {quiet_time}, {quiet_spent} en tout.",
            ),
        ),
        place=PLACE,
    ),
    "unseen_turn": Story(
        lead=TURN,
        more=Wordings(
            en=(
                "The account was {age} old.",
                "In all, the bust-out takes {haul}.",
                "An account open for {age}, which was to lose {haul}.",
            ),
            fr=(
                "Le compte avait {age} d'existence.",
                "En tout, le vidage emporte {haul}.",
                "Un compte ouvert depuis {age}, qui allait perdre {haul}.",
            ),
        ),
        place=PLACE,
    ),
    "bought": Story(
        lead=Wordings(
            en=(
                "At {merchant}, {act} {response_code}: {amount}.",
                "The next movement was {act} at {merchant}, for {amount}; it {response_code}.",
                "Next came {act} at {merchant}: {amount}, which {response_code}.",
            ),
            fr=(
                "Chez {merchant}, {act} {response_code} : {amount}.",
                "Ensuite vint {act} chez {merchant}, de {amount}, qui {response_code}.",
                "Auprès de {merchant}, {act} de {amount} {response_code}.",
            ),
        ),
        more=Wordings(SO_FAR_EN, SO_FAR_FR),
        place=PLACE,
    ),
    "cash": Story(
        lead=Wordings(
            en=(
                "A cash withdrawal of {amount} {response_code}.",
                "Next, {amount} in cash was asked for at {cash_point}; it {response_code}.",
                "At {cash_point}, a withdrawal of {amount} {response_code}.",
            ),
            fr=(
                "Un retrait d'espèces de {amount} {response_code}.",
                "Ensuite, un retrait de {amount} en espèces ({cash_point}) {response_code}.",
                "Un montant de {amount}, demandé en espèces ({cash_point}), {response_code}.",
            ),
        ),
        more=Wordings(SO_FAR_EN, SO_FAR_FR),
        place=PLACE,
    ),
    "sent": Story(
        lead=Wordings(
            en=(
                "A transfer of {amount} to an account in {country} {response_code}.",
                "Money was directed to {country}: {amount}, which {response_code}.",
                "An account in {country} was to receive {amount}; the order {response_code}.",
            ),
            fr=(
                "Un virement de {amount} vers un compte ({country}) {response_code}.",
                "Vers un compte ({country}), un virement de {amount} {response_code}.",
                "Ensuite, un virement de {amount} vers l'extérieur ({country}) {response_code}.",
            ),
        ),
        more=Wordings(SO_FAR_EN, SO_FAR_FR),
        place=PLACE,
    ),
    "false_repayment": Story(
        lead=Wordings(
            en=(
                "{amount} came from an account in {country} and frees the line once more.",
                "What looks like a repayment, {amount} from {country}, makes room for more.",
                "A false repayment of {amount} arrived from an account in {country}.",
            ),
            fr=(
                "Un versement de {amount} venu d'un compte ({country}) libère de nouveau la ligne.",
                "Ce qui a l'air d'un remboursement, {amount} venus d'un compte ({country}), refait de la place.",
                "Un faux remboursement de {amount} est arrivé d'un compte ({country}).",
            ),
        ),
        more=Wordings(
            en=(
                "{taken} had been taken before; paid back so far: {repaid}.",
                "The bust-out had begun {elapsed} earlier and taken {taken}.",
                "The movement before was {since_last} earlier; what was paid back comes to {repaid}.",
            ),
            fr=(
                "Pris auparavant : {taken} ; rendu jusqu'ici : {repaid}.",
                "Le vidage avait commencé {elapsed} plus tôt et emporté {taken}.",
                "Le mouvement précédent remontait à {since_last} ; le total rendu atteint {repaid}.",
            ),
        ),
        place=PLACE,
    ),
    # what it pays back was taken before the period, or cut away: nothing is said of it
    "unseen_taking": Story(
        lead=Wordings(
            en=(
                "What looks like a repayment, {amount} from an account in {country}, frees the line.",
                "{amount} came from {country} and frees the line like a repayment.",
            ),
            fr=(
                "Ce qui a l'air d'un remboursement, {amount} venus d'un compte ({country}), libère la ligne.",
                "Un versement de {amount} venu d'un compte ({country}) libère la ligne comme un remboursement.",
            ),
        ),
        more=Wordings(
            en=("The account was {age} old.", "The account had been opened {age} before."),
            fr=("Le compte avait {age} d'existence.", "Le compte était ouvert depuis {age}."),
        ),
        place=Wordings(
            en=("{vector}. Movement {row} of {rows_in_all} in sight.", "In sight: {row} of {rows_in_all}. {vector}."),
            fr=(
                "{vector}. Mouvement {row} sur {rows_in_all} visibles.",
                "Visibles à ce stade : {row} sur {rows_in_all}. {vector}.",
            ),
        ),
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of identity theft. What goes out before the bust-out is quiet; it lies in the same incident."""
    back = log.is_fraud & log.equals("step_kind", FALSE_REPAYMENT)
    drain = log.is_fraud & log.equals("step_kind", *DRAIN)
    first = seen.numbers["row"] == 1
    fact = np.full(log.length, None, dtype=object)
    fact[drain & log.equals("step_kind", *SHOPPED)] = "bought"
    fact[drain & log.equals("step_kind", "cash_withdrawal")] = "cash"
    fact[drain & log.equals("step_kind", "transfer_out")] = "sent"
    fact[back] = "false_repayment"
    fact[back & first] = "unseen_taking"
    fact[drain & first] = "unseen_turn"
    fact[drain & first & seen.has("quiet")] = "turn"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
