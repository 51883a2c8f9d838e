"""Identity theft, told: how quiet the account had been, and how fast its line was then taken.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import first_of, last_before, running_distinct, running_max, running_sum, total
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

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

OUTCOME = {
    "00": {"en": "went through", "fr": "est passé"},
    **{
        code: {"en": f"was refused with code {code}", "fr": f"a été refusé avec le code {code}"}
        for code in ("05", "51", "54", "55", "59", "61", "65", "N7")
    },
}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "act": Phrase(ACTS),
    "response_code": Phrase(OUTCOME),
    "amount": Money(),
    "merchant": Word(),
    "country": Word(),
    "row": Number(),
    "rows": Number(),
    "accounts": Count("account"),
    "quiet_payments": Number(),
    "largest_quiet": Money(),
    "quiet_time": Duration(),
    "elapsed": Duration(),
    "taken": Money(),
    "refused": Number(),
    "repaid": Money(),
}

_ROW = ("vector", "row", "rows", "amount")
_LATER = (*_ROW, "response_code", "elapsed", "taken", "refused")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "turn": (*_ROW, "act", "response_code", "quiet_payments", "largest_quiet", "quiet_time"),
    "unseen_turn": (*_ROW, "act", "response_code"),
    "bought": (*_LATER, "act", "merchant", "accounts"),
    "cash": (*_LATER, "accounts"),
    "sent": (*_LATER, "country"),
    "false_repayment": (*_ROW, "country", "elapsed", "taken", "repaid"),
    "unseen_taking": (*_ROW, "country"),
}

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "turn": {
        "en": (
            "{vector}. Until now it was quiet: over {quiet_time}, no payment above {largest_quiet} (payments out:"
            " {quiet_payments}). With {act} ({amount}), which {response_code}, the bust-out begins: movement {row} of"
            " {rows}.",
            "{vector}. Movement {row} of {rows} of a bust-out is {act} ({amount}), which {response_code}. Before it,"
            " over {quiet_time}, the largest payment was {largest_quiet} (number of payments: {quiet_payments}).",
        ),
        "fr": (
            "{vector}. Jusqu'ici rien d'anormal\u00a0: en {quiet_time}, aucun paiement au-dessus de {largest_quiet}"
            " (paiements sortants\u00a0: {quiet_payments}). Avec {act} ({amount}), qui {response_code}, commence le"
            " vidage du compte\u00a0: mouvement {row} sur {rows}.",
            "{vector}. Mouvement {row} sur {rows} d'un vidage de compte\u00a0: {act} ({amount}), qui {response_code}."
            " Auparavant, en {quiet_time}, le plus grand paiement était de {largest_quiet} (nombre de"
            " paiements\u00a0: {quiet_payments}).",
        ),
    },
    "unseen_turn": {
        "en": (
            "{vector}. With {act} ({amount}), which {response_code}, a bust-out begins: movement {row} of {rows}.",
            "Movement {row} of {rows} of a bust-out: {act} ({amount}), which {response_code}. {vector}.",
        ),
        "fr": (
            "{vector}. Avec {act} ({amount}), qui {response_code}, commence le vidage du compte\u00a0: mouvement {row}"
            " sur {rows}.",
            "Mouvement {row} sur {rows} d'un vidage de compte\u00a0: {act} ({amount}), qui {response_code}. {vector}.",
        ),
    },
    "bought": {
        "en": (
            "{vector}. Movement {row} of {rows} of the bust-out, {elapsed} after its first: {act} ({amount}) at"
            " {merchant} {response_code}. Taken so far: {taken} over {accounts}; refused: {refused}.",
            "At {merchant}, {act} ({amount}) {response_code}. It is movement {row} of {rows} of a bust-out that has"
            " taken {taken} over {accounts} in {elapsed}, with {refused} refused. {vector}.",
        ),
        "fr": (
            "{vector}. Mouvement {row} sur {rows} du vidage, {elapsed} après le premier\u00a0: {act} ({amount}) chez"
            " {merchant} {response_code}. Pris jusqu'ici\u00a0: {taken} sur {accounts}\u00a0; refus\u00a0: {refused}.",
            "Chez {merchant}, {act} ({amount}) {response_code}. C'est le mouvement {row} sur {rows} d'un vidage qui a"
            " pris {taken} sur {accounts} en {elapsed}, refus\u00a0: {refused}. {vector}.",
        ),
    },
    "cash": {
        "en": (
            "{vector}. A cash withdrawal of {amount} {response_code}: movement {row} of {rows} of the bust-out,"
            " {elapsed} after its first. Taken so far: {taken} over {accounts}; refused: {refused}.",
            "{elapsed} into the bust-out a withdrawal of {amount} in cash {response_code}. {accounts}, {taken} taken,"
            " {refused} refused; movement {row} of {rows}. {vector}.",
        ),
        "fr": (
            "{vector}. Un retrait d'espèces de {amount} {response_code}\u00a0: mouvement {row} sur {rows} du vidage,"
            " {elapsed} après le premier. Pris jusqu'ici\u00a0: {taken} sur {accounts}\u00a0; refus\u00a0: {refused}.",
            "{elapsed} après le début du vidage, un retrait de {amount} en espèces {response_code}. {accounts},"
            " {taken} de pris, refus\u00a0: {refused}\u00a0; mouvement {row} sur {rows}. {vector}.",
        ),
    },
    "sent": {
        "en": (
            "{vector}. A transfer of {amount} to an account in {country} {response_code}, {elapsed} after the bust-out"
            " began (movement {row} of {rows}). Taken so far: {taken}; refused: {refused}.",
            "Movement {row} of {rows} of the bust-out sends {amount} to {country} and {response_code}; {elapsed} after"
            " the first, {taken} has been taken and {refused} refused. {vector}.",
        ),
        "fr": (
            "{vector}. Un virement de {amount} vers un compte ({country}) {response_code}, {elapsed} après le début du"
            " vidage (mouvement {row} sur {rows}). Pris jusqu'ici\u00a0: {taken}\u00a0; refus\u00a0: {refused}.",
            "Mouvement {row} sur {rows} du vidage\u00a0: un virement de {amount} vers {country} {response_code}\u00a0;"
            " {elapsed} après le premier, {taken} de pris, refus\u00a0: {refused}. {vector}.",
        ),
    },
    "false_repayment": {
        "en": (
            "{vector}. {amount} came from an account in {country}, {elapsed} after the bust-out began, and frees the"
            " line once more: movement {row} of {rows}. Taken before: {taken}; paid back so far: {repaid}.",
            "Movement {row} of {rows} of the bust-out looks like a repayment: {amount} from {country}, {elapsed} after"
            " the first. {taken} had been taken, {repaid} has come back. {vector}.",
        ),
        "fr": (
            "{vector}. {amount} venus d'un compte ({country}), {elapsed} après le début du vidage, libèrent de nouveau"
            " la ligne\u00a0: mouvement {row} sur {rows}. Pris auparavant\u00a0: {taken}\u00a0; rendu"
            " jusqu'ici\u00a0: {repaid}.",
            "Mouvement {row} sur {rows} du vidage, qui a l'air d'un remboursement\u00a0: {amount} venus de {country},"
            " {elapsed} après le premier. {taken} avaient été pris, {repaid} sont revenus. {vector}.",
        ),
    },
    # what it pays back was taken before the period, or cut away: nothing is said of it
    "unseen_taking": {
        "en": (
            "{vector}. Movement {row} of {rows} in sight looks like a repayment: {amount} from an account in {country}"
            " frees the line.",
            "{amount} from {country} frees the line like a repayment: movement {row} of {rows} in sight. {vector}.",
        ),
        "fr": (
            "{vector}. Le mouvement {row} sur {rows} visibles a l'air d'un remboursement\u00a0: {amount} venus d'un"
            " compte ({country}) libèrent la ligne.",
            "{amount} venus de {country} libèrent la ligne comme le ferait un remboursement\u00a0: mouvement {row} sur"
            " {rows} visibles. {vector}.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of identity theft."""
    back = log.is_fraud & log.equals("step_kind", FALSE_REPAYMENT)
    drain = log.is_fraud & log.equals("step_kind", *ACTS)
    approved = log.equals("response_code", "00")
    first = first_of(log.is_fraud, log.incident)
    row = running_sum(log.is_fraud, log.incident)
    # Quiet is what goes out before the bust-out begins; its rows lie in the same incident.
    quiet = ~log.is_fraud & log.equals("direction", "debit") & approved
    quiet_payments = running_sum(quiet, log.incident)
    begun = np.maximum(first_of(quiet, log.incident), 0)

    fact = np.full(log.length, None, dtype=object)
    fact[drain & log.equals("step_kind", "goods_purchase", "voucher_purchase")] = "bought"
    fact[drain & log.equals("step_kind", "cash_withdrawal")] = "cash"
    fact[drain & log.equals("step_kind", "transfer_out")] = "sent"
    fact[back] = "false_repayment"
    fact[back & (row == 1)] = "unseen_taking"
    opens = drain & (row == 1)
    fact[opens] = "unseen_turn"
    fact[opens & (quiet_payments > 0)] = "turn"

    values = {
        "vector": log.words("vector"),
        "act": log.words("step_kind"),
        "response_code": log.words("response_code"),
        "amount": log.amount,
        "merchant": log.words("merchant_name"),
        "country": log.words("counterparty_country"),
        "row": row,
        "rows": total(log.is_fraud, log.incident),
        "accounts": running_distinct(log.column("account_id"), log.incident, log.is_fraud),
        "quiet_payments": quiet_payments,
        "largest_quiet": running_max(np.where(quiet, log.amount, 0), log.incident),
        "quiet_time": log.time - log.time[begun],
        "elapsed": log.time - log.time[np.maximum(first, 0)],
        "taken": running_sum(np.where(drain & approved, log.amount, 0), log.incident),
        "refused": running_sum(drain & ~approved, log.incident),
        "repaid": running_sum(np.where(back, log.amount, 0), log.incident),
    }
    here = np.arange(log.length)
    last_quiet, previous = (last_before(among, log.incident) for among in (quiet, log.is_fraud))
    return Facts(fact, values, (first, np.where(row == 1, last_quiet, previous), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
