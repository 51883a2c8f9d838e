"""Money laundering, told: what came into an account, what left it again, and how soon.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.running import first_of, groups
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

OWN = ("account_id",)
IN = {"direction": ("credit",), "response_code": APPROVED}
OUT = {"direction": ("debit",), "response_code": APPROVED}

ROWS: dict[str, Rows] = {
    "legs": Rows(),
    "scheme": Rows(span="whole"),
    "before": Rows(span="earlier"),
    "in": Rows(where=IN, same=OWN),
    "out": Rows(where=OUT, same=OWN),
    "cash": Rows(kinds=("cash_deposit",), same=OWN),
}

NUMBERS: dict[str, Reckoning] = {
    "leg": Reckoning("count", "legs"),
    "legs": Reckoning("count", "scheme"),
    "elapsed": Reckoning("since first", "legs"),
    "since_last": Reckoning("since last", "before"),
    "accounts": Reckoning("distinct", "legs", "account_id"),
    "scheme_accounts": Reckoning("distinct", "scheme", "account_id"),
    "deposits": Reckoning("count", "cash"),
    "largest": Reckoning("largest amount", "cash"),
    "senders": Reckoning("distinct", "in", "counterparty_account_id"),
    "receivers": Reckoning("distinct", "out", "counterparty_account_id"),
    "came_in": Reckoning("sum of amount", "in"),
    "went_out": Reckoning("sum of amount", "out"),
    "last_in": Reckoning("last amount", "in"),
    "since_in": Reckoning("since last", "in"),
}

WORDS = {"vector": "vector", "country": "counterparty_country", "age": "account_age_days"}

KINDS: dict[str, Kind] = {
    "vector": Phrase(VECTORS),
    "leg": Number(),
    "legs": Number(),
    "amount": Money(),
    "age": Count("days"),
    "elapsed": Duration(),
    "since_last": Duration(),
    "country": Word(),
    "deposits": Count("deposit"),
    "largest": Money(),
    "senders": Count("account"),
    "receivers": Count("account"),
    "accounts": Count("account"),
    "scheme_accounts": Count("account"),
    "came_in": Money(),
    "went_out": Money(),
    "last_in": Money(),
    "since_in": Duration(),
    "passed_on": Number(),
    "kept": Number(),
}

PLACE = Wordings(
    en=(
        "{vector}, leg {leg} of {legs}.",
        "It is leg {leg} of {legs} of one laundering scheme ({vector}).",
        "Pattern: {vector}. Legs so far: {leg} of {legs}.",
    ),
    fr=(
        "{vector}, étape {leg} sur {legs}.",
        "C'est l'étape {leg} sur {legs} d'un même montage de blanchiment ({vector}).",
        "Schéma : {vector}. Étapes à ce stade : {leg} sur {legs}.",
    ),
)
# How much of what came into the account had left it again.
CARRIED_EN = (
    "Of {came_in} received, {went_out} has left: {passed_on} % passed on, {kept} % kept.",
    "{last_in} had come in {since_in} before; {passed_on} % of all receipts is gone.",
    "This movement follows a receipt of {last_in} by {since_in}; {went_out} out of {came_in} has left the account.",
    "The account keeps {kept} % of the {came_in} that came in, the last of it {since_in} before.",
)
CARRIED_FR = (
    "Sur {came_in} reçus, {went_out} sont sortis, soit {passed_on} % ; il reste {kept} %.",
    "{last_in} étaient arrivés {since_in} plus tôt ; part des entrées déjà repartie : {passed_on} %.",
    "L'opération suit de {since_in} une entrée de {last_in} ; {went_out} sur {came_in} sont sortis du compte.",
    "Le compte garde {kept} % des {came_in} reçus, dont les derniers {since_in} plus tôt.",
)
CASHED = Wordings(CARRIED_EN, CARRIED_FR)
CARRIED = Wordings(
    en=(*CARRIED_EN, "The account's money has gone to {receivers} by transfer so far; {kept} % is kept."),
    fr=(*CARRIED_FR, "Bénéficiaires des virements de ce compte jusqu'ici : {receivers} ; part gardée : {kept} %."),
)

STORIES: dict[str, Story] = {
    "first_cash": Story(
        lead=Wordings(
            en=(
                "{amount} was paid in, in cash, the first cash deposit of this account in the scheme.",
                "A first cash deposit of {amount} reached this account.",
                "The cash of the scheme begins to arrive here with {amount}.",
            ),
            fr=(
                "Un montant de {amount} a été versé en espèces, premier dépôt de ce compte dans le montage.",
                "Un premier dépôt d'espèces de {amount} est arrivé sur ce compte.",
                "Les espèces du montage commencent à arriver ici avec {amount}.",
            ),
        ),
        more=Wordings(
            en=(
                "The account had been open for {age}.",
                "The whole scheme runs over {scheme_accounts} of this bank.",
                "An account open for {age}; the scheme runs over {scheme_accounts} of this bank.",
            ),
            fr=(
                "Le compte était ouvert depuis {age}.",
                "Le montage entier passe par {scheme_accounts} de cette banque.",
                "Un compte ouvert depuis {age} ; le montage passe par {scheme_accounts} de cette banque.",
            ),
        ),
        place=PLACE,
    ),
    "cash": Story(
        lead=Wordings(
            en=(
                "{amount} was paid in, in cash.",
                "This account took another {amount} in cash.",
                "A further cash deposit, of {amount}, reached this account.",
            ),
            fr=(
                "Un montant de {amount} a été versé en espèces.",
                "Ce compte a encore reçu {amount} en espèces.",
                "Un nouveau dépôt d'espèces de {amount} est arrivé sur ce compte.",
            ),
        ),
        more=Wordings(
            en=(
                "So far {deposits}, none above {largest}.",
                "{elapsed} after the scheme began, this account counts {deposits} and {came_in} received.",
                "The leg before was {since_last} earlier; {came_in} has come in here altogether.",
                "The largest of {deposits} on this account is {largest}.",
            ),
            fr=(
                "Jusqu'ici {deposits}, jamais plus de {largest}.",
                "{elapsed} après le début du montage, ce compte compte {deposits} et {came_in} reçus.",
                "L'étape précédente remonte à {since_last} ; total des entrées de ce compte : {came_in}.",
                "Sur {deposits} de ce compte, le plus grand est de {largest}.",
            ),
        ),
        place=PLACE,
    ),
    "inbound": Story(
        lead=Wordings(
            en=(
                "{amount} arrived from an account in {country}.",
                "An account in {country} sent {amount} into this account.",
                "Money enters the bank here: {amount} from {country}.",
            ),
            fr=(
                "Un montant de {amount} est arrivé d'un compte ({country}).",
                "Un compte ({country}) a envoyé {amount} sur ce compte.",
                "L'argent entre ici dans la banque : {amount} venus d'un compte ({country}).",
            ),
        ),
        more=Wordings(
            en=(
                "Paid into this account so far: {came_in}, by {senders}.",
                "This credit brings the receipts of this account to {came_in}; the scheme uses {scheme_accounts} of"
                " this bank.",
                "{senders} sent money here until now.",
                "The account was {age} old and had received {came_in} in the scheme, this included.",
            ),
            fr=(
                "Entrées de ce compte jusqu'ici : {came_in}, de {senders}.",
                "Les entrées de ce compte atteignent ainsi {came_in} ; le montage utilise {scheme_accounts} de cette"
                " banque.",
                "À ce jour, l'argent arrivé ici vient de {senders}.",
                "Le compte avait {age} d'existence ; avec ce montant, ses entrées dans le montage font {came_in}.",
            ),
        ),
        place=PLACE,
    ),
    "sent": Story(
        lead=Wordings(
            en=(
                "{amount} went on to another account of this bank.",
                "This account moved {amount} on inside the bank.",
                "From here {amount} was passed to another customer of this bank.",
            ),
            fr=(
                "Un montant de {amount} est reparti vers un autre compte de cette banque.",
                "Ce compte a fait suivre {amount} à l'intérieur de la banque.",
                "D'ici, {amount} sont passés à un autre client de cette banque.",
            ),
        ),
        more=CARRIED,
        place=PLACE,
    ),
    "outbound": Story(
        lead=Wordings(
            en=(
                "{amount} left for an account in {country}.",
                "An account in {country} was sent {amount}.",
                "Money leaves the bank here: {amount} to {country}.",
            ),
            fr=(
                "Un montant de {amount} est parti vers un compte ({country}).",
                "Un compte ({country}) a été crédité de {amount}.",
                "L'argent quitte ici la banque : {amount} vers un compte ({country}).",
            ),
        ),
        more=CARRIED,
        place=PLACE,
    ),
    "cash_out": Story(
        lead=Wordings(
            en=(
                "{amount} was taken out in cash.",
                "A cash withdrawal of {amount} emptied part of this account.",
                "Here the money turns into cash: {amount}.",
            ),
            fr=(
                "Un montant de {amount} a été retiré en espèces.",
                "Un retrait d'espèces de {amount} a vidé une partie de ce compte.",
                "L'argent devient ici des espèces : {amount} retirés.",
            ),
        ),
        more=CASHED,
        place=PLACE,
    ),
    "received": Story(
        lead=Wordings(
            en=(
                "{amount} reached this account from another account of this bank.",
                "This account received {amount} from inside the bank.",
                "Another customer of this bank passed {amount} to this account.",
            ),
            fr=(
                "Un montant de {amount} est venu d'un autre compte de cette banque.",
                "Ce compte a reçu {amount} de l'intérieur de la banque.",
                "Un autre client de cette banque a fait suivre {amount} vers ce compte.",
            ),
        ),
        more=Wordings(
            en=(
                "Paid in so far: {came_in}, by {senders}.",
                "The scheme touches {accounts} after {elapsed}.",
                "{elapsed} after the scheme began, this account has received {came_in}.",
                "The scheme runs over {scheme_accounts} of this bank; this one has {came_in} from {senders} by now.",
            ),
            fr=(
                "Entrées jusqu'ici : {came_in}, de {senders}.",
                "Le montage touche {accounts} après {elapsed}.",
                "{elapsed} après le début du montage, ce compte a reçu {came_in}.",
                "Le montage passe par {scheme_accounts} de cette banque ; celui-ci tient {came_in} de {senders}.",
            ),
        ),
        place=PLACE,
    ),
    "returned": Story(
        lead=Wordings(
            en=(
                "{amount} is back on the account where the money first came in.",
                "{amount} returned to where it began.",
                "The circle closes: {amount} reaches the account from which the money set out.",
            ),
            fr=(
                "Un montant de {amount} est de retour sur le compte où l'argent était d'abord arrivé.",
                "Un montant de {amount} revient à son point de départ.",
                "Le cercle se ferme : {amount} rejoignent le compte d'où l'argent était parti.",
            ),
        ),
        more=Wordings(
            en=(
                "The way took {elapsed} and {accounts}.",
                "This account's receipts now come to {came_in}, {elapsed} after the scheme began.",
                "The money went over {accounts} of this bank.",
            ),
            fr=(
                "Le trajet a pris {elapsed} et {accounts}.",
                "Les entrées de ce compte atteignent {came_in}, {elapsed} après le début du montage.",
                "L'argent est passé par {accounts} de cette banque.",
            ),
        ),
        place=PLACE,
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of money laundering.

    Raises ``ExplanationError`` where money is carried on from an account into which none came.
    """
    cash_in = log.is_fraud & log.equals("step_kind", "cash_deposit")
    internal = log.is_fraud & log.equals("step_kind", "internal_transfer")
    credit = log.is_fraud & log.equals("direction", "credit")
    came_in, went_out = seen.numbers["came_in"], seen.numbers["went_out"]
    unfunded = np.flatnonzero(log.is_fraud & ~credit & (came_in == 0))
    if len(unfunded):
        identifier = log.words("transaction_id")[unfunded[0]]
        raise ExplanationError(f"transaction {identifier} carries money on from an account into which none came")
    seen.numbers["passed_on"] = (200 * went_out + came_in) // np.maximum(2 * came_in, 1)  # per cent, halves up
    seen.numbers["kept"] = 100 - seen.numbers["passed_on"]
    own = groups(log.incident, log.column("account_id"))
    home = own == own[first_of(log.is_fraud, log.incident)]

    fact = np.full(log.length, None, dtype=object)
    fact[cash_in] = "cash"
    fact[cash_in & (seen.numbers["deposits"] == 1)] = "first_cash"
    fact[log.is_fraud & log.equals("step_kind", "inbound_transfer")] = "inbound"
    fact[internal & ~credit] = "sent"
    fact[internal & credit] = "received"
    fact[internal & credit & home & log.equals("vector", "cycle")] = "returned"
    fact[log.is_fraud & log.equals("step_kind", "outbound_transfer")] = "outbound"
    fact[log.is_fraud & log.equals("step_kind", "cash_withdrawal")] = "cash_out"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
