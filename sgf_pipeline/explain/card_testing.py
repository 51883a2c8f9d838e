"""Card testing, told: how many cards were tried from where, and what a tested card was then used for.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.citing import Citations
from sgf_pipeline.explain.log import APPROVED, DECLINED, Array, Log, Reckoning, Rows, Story, Telling, Wordings
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Word, outcomes

SPEND = "spend"
TESTS = ("verification", "unit_test", "micro_purchase")

OUTCOME = outcomes({"en": "was approved", "fr": "a été autorisé"}, {"en": "was declined", "fr": "a été refusé"})

ROWS: dict[str, Rows] = {
    "tests": Rows(kinds=TESTS),
    "series": Rows(kinds=TESTS, span="whole"),
    "declined": Rows(where={"response_code": DECLINED}, kinds=TESTS),
    "passed": Rows(where={"response_code": APPROVED}, kinds=TESTS, same=("card_id",), span="earlier"),
    "of_card": Rows(kinds=TESTS, same=("card_id",)),
    "passes": Rows(where={"response_code": APPROVED}, kinds=TESTS),
    "spends": Rows(kinds=(SPEND,)),
    "all_spends": Rows(kinds=(SPEND,), span="whole"),
}

NUMBERS: dict[str, Reckoning] = {
    "attempt": Reckoning("count", "tests"),
    "attempts": Reckoning("count", "series"),
    "elapsed": Reckoning("since first", "tests"),
    "cards": Reckoning("distinct", "tests", "card_id"),
    "declined": Reckoning("count", "declined"),
    "devices": Reckoning("distinct", "tests", "device_id"),
    "addresses": Reckoning("distinct", "tests", "ip_address"),
    "merchants": Reckoning("distinct", "tests", "merchant_id"),
    "good_cards": Reckoning("distinct", "passes", "card_id"),
    "spend": Reckoning("count", "spends"),
    "spends": Reckoning("count", "all_spends"),
    "spent_sum": Reckoning("sum of amount", "spends"),
    "card_tests": Reckoning("count", "of_card"),
    "tested_amount": Reckoning("last amount", "passed"),
    "waited": Reckoning("since last", "passed"),
}

WORDS = {"merchant": "merchant_name", "response_code": "response_code"}

KINDS: dict[str, Kind] = {
    "attempt": Number(),
    "attempts": Number(),
    "elapsed": Duration(),
    "cards": Count("card"),
    "declined": Count("declined"),
    "devices": Count("device"),
    "addresses": Count("address"),
    "merchants": Count("merchant"),
    "good_cards": Count("card"),
    "merchant": Word(),
    "amount": Money(),
    "response_code": OUTCOME,
    "spend": Number(),
    "spends": Number(),
    "spent_sum": Money(),
    "card_tests": Count("test"),
    "tested_amount": Money(),
    "waited": Duration(),
}

LEAD = Wordings(
    en=(
        "{merchant} asked for {amount}, which {response_code}.",
        "At {merchant}, a request of {amount} {response_code}.",
        "This card was tried with {amount} at {merchant}; it {response_code}.",
    ),
    fr=(
        "Chez {merchant}, un montant de {amount} {response_code}.",
        "Un montant de {amount} demandé par {merchant} {response_code}.",
        "Cette carte a été essayée chez {merchant} : un montant de {amount} {response_code}.",
    ),
)
PLACE = Wordings(
    en=(
        "Card test {attempt} of {attempts} in one series.",
        "It is authorisation {attempt} of a series of {attempts} that tries stolen cards.",
        "Tests so far: {attempt} of {attempts}.",
    ),
    fr=(
        "Essai de carte {attempt} sur {attempts} d'une même série.",
        "C'est l'autorisation {attempt} d'une série de {attempts} qui essaie des cartes volées.",
        "Essais à ce stade : {attempt} sur {attempts}.",
    ),
)
SERIES_EN = (
    "{cards} of this bank tried so far, with {declined}.",
    "The series is {elapsed} old and counts {cards} of this bank.",
    "So far {merchants} and {cards} of this bank in {elapsed}.",
    "In {elapsed} the series has met {declined}; {good_cards} passed.",
)
SERIES_FR = (
    "Jusqu'ici {cards} de cette banque, avec {declined}.",
    "La série dure depuis {elapsed} et compte {cards} de cette banque.",
    "À ce stade, {merchants} et {cards} de cette banque en {elapsed}.",
    "En {elapsed}, la série a rencontré {declined} ; essais réussis pour {good_cards}.",
)

STORIES: dict[str, Story] = {
    "first_test": Story(
        lead=LEAD,
        more=Wordings(
            en=(
                "With this authorisation the series of card tests opens.",
                "Nothing of the series comes before it.",
                "The series starts here; purchases that follow it in the rows at hand: {spends}.",
            ),
            fr=(
                "Cette autorisation ouvre la série d'essais de cartes.",
                "Rien de la série ne la précède.",
                "La série part de là ; achats qui la suivent dans les données : {spends}.",
            ),
        ),
        place=PLACE,
    ),
    "test": Story(
        lead=LEAD,
        more=Wordings(
            en=(
                *SERIES_EN,
                "{devices} and {addresses} served so far to try {cards} of this bank.",
                "So far {cards} of this bank and {devices}, with {declined} and {good_cards} that passed.",
            ),
            fr=(
                *SERIES_FR,
                "Pour {cards} de cette banque, on relève jusqu'ici {devices} et {addresses}.",
                "Jusqu'ici {cards} de cette banque et {devices}, avec {declined} ; essais réussis pour {good_cards}.",
            ),
        ),
        place=PLACE,
    ),
    "unseen_test": Story(lead=LEAD, more=Wordings(SERIES_EN, SERIES_FR), place=PLACE),
    "spend": Story(
        lead=Wordings(
            en=(
                "{waited} after this card had passed a test of {tested_amount}, a purchase of {amount} at {merchant}"
                " {response_code}.",
                "At {merchant}, a purchase of {amount} {response_code}; the card had passed a test of {tested_amount}"
                " {waited} before.",
                "A card that had been tested with {tested_amount} was used {waited} later: {amount} at {merchant},"
                " which {response_code}.",
            ),
            fr=(
                "{waited} après que cette carte eut passé un essai de {tested_amount}, un achat de {amount} chez"
                " {merchant} {response_code}.",
                "Chez {merchant}, un achat de {amount} {response_code} ; la carte avait passé un essai de"
                " {tested_amount} {waited} plus tôt.",
                "Une carte essayée avec {tested_amount} a servi {waited} plus tard : chez {merchant}, un montant de"
                " {amount} {response_code}.",
            ),
        ),
        more=Wordings(
            en=(
                "The series tried {cards} of this bank.",
                "Before it, the series had put this card through {card_tests}.",
                "The purchases asked for so far come to {spent_sum}.",
                "Of {cards} tried, {good_cards} had passed.",
            ),
            fr=(
                "La série visait {cards} de cette banque.",
                "Auparavant, la série avait soumis cette carte à {card_tests}.",
                "Les achats demandés jusqu'ici atteignent {spent_sum}.",
                "La série visait {cards} ; essais réussis pour {good_cards}.",
            ),
        ),
        place=Wordings(
            en=(
                "Purchase {spend} of {spends} after a series of card tests.",
                "It is purchase {spend} of {spends} that followed the tests.",
                "Purchases with tested cards so far: {spend} of {spends}.",
            ),
            fr=(
                "Achat {spend} sur {spends} après une série d'essais de cartes.",
                "C'est l'achat {spend} sur {spends} à la suite des essais.",
                "Achats avec des cartes essayées à ce stade : {spend} sur {spends}.",
            ),
        ),
    ),
}


def facts(log: Log, seen: Citations) -> Array:
    """Facts of a log of card testing. Raises ``ExplanationError`` where a card is spent that passed no test."""
    spend = log.is_fraud & log.equals("step_kind", SPEND)
    test = log.is_fraud & log.equals("step_kind", *TESTS)
    untested = np.flatnonzero(spend & ~seen.has("passed"))
    if len(untested):
        identifier = log.words("transaction_id")[untested[0]]
        raise ExplanationError(f"transaction {identifier} spends on a card that passed no test of its incident")
    fact = np.full(log.length, None, dtype=object)
    fact[test] = "test"
    fact[test & (seen.numbers["devices"] == 0)] = "unseen_test"
    fact[test & (seen.numbers["attempt"] == 1)] = "first_test"
    fact[spend] = "spend"
    return fact


TELLING = Telling(ROWS, NUMBERS, facts, WORDS, KINDS, STORIES)
