"""Card testing, told: how many cards were tried from where, and what a tested card was then used for.

Belongs here: the facts and sentences of this scenario.
"""

import numpy as np

from sgf_pipeline.domain.errors import ExplanationError
from sgf_pipeline.explain.log import Facts, Log, Telling
from sgf_pipeline.explain.running import first_of, groups, last_before, running_distinct, running_sum, total
from sgf_pipeline.explain.wording import Count, Duration, Kind, Money, Number, Phrase, Word

SPEND = "spend"

OUTCOME = {
    "00": {"en": "was approved", "fr": "a été autorisé"},
    **{
        code: {"en": f"was declined with code {code}", "fr": f"a été refusé avec le code {code}"}
        for code in ("05", "51", "54", "55", "59", "61", "65", "N7")
    },
}

KINDS: dict[str, Kind] = {
    "attempt": Number(),
    "attempts": Number(),
    "elapsed": Duration(),
    "cards": Count("card"),
    "declined": Number(),
    "devices": Count("device"),
    "addresses": Count("address"),
    "merchants": Count("merchant"),
    "merchant": Word(),
    "amount": Money(),
    "response_code": Phrase(OUTCOME),
    "spend": Number(),
    "spends": Number(),
    "card_tests": Number(),
    "tested_amount": Money(),
    "waited": Duration(),
}

_SERIES = ("attempt", "attempts", "elapsed", "cards", "declined")
EVIDENCE: dict[str, tuple[str, ...]] = {
    "first_test": ("attempts", "merchant", "amount", "response_code"),
    "test": (*_SERIES, "devices", "addresses", "merchants", "merchant", "amount", "response_code"),
    "unseen_test": (*_SERIES, "merchants", "merchant", "amount", "response_code"),
    "spend": (
        "spend", "spends", "cards", "card_tests", "tested_amount", "waited", "merchant", "amount", "response_code",
    ),
}  # fmt: skip

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "first_test": {
        "en": (
            "This authorisation opens a series of {attempts} card tests: {merchant} asked for {amount}, which"
            " {response_code}.",
            "First of {attempts} card tests in one series; the request of {amount} by {merchant} {response_code}.",
        ),
        "fr": (
            "Cette autorisation ouvre une série de {attempts} essais de cartes\u00a0: le montant de {amount} demandé"
            " par {merchant} {response_code}.",
            "Premier de {attempts} essais de cartes d'une même série\u00a0; chez {merchant}, un montant de {amount}"
            " {response_code}.",
        ),
    },
    "test": {
        "en": (
            "Authorisation {attempt} of {attempts}, {elapsed} after the first: {cards} of this bank tried from"
            " {devices} so far, {declined} declined. This one asked for {amount} at {merchant} and {response_code}.",
            "Within {elapsed}, {addresses} served to try {cards} of this bank at {merchants}. Try {attempt} of"
            " {attempts}, for {amount}, {response_code}; declined so far: {declined}.",
            "{merchant} asked for {amount}, which {response_code}. It is test {attempt} of a series of {attempts}, with"
            " {cards} from {devices} in its first {elapsed} and {declined} declined.",
        ),
        "fr": (
            "Autorisation {attempt} sur {attempts}, {elapsed} après la première\u00a0: jusqu'ici {cards} de cette"
            " banque et {devices}, {declined} refus. Ici, un montant de {amount} chez {merchant} {response_code}.",
            "En {elapsed}, {addresses} pour essayer {cards} de cette banque chez {merchants}. L'essai {attempt} sur"
            " {attempts}, de {amount}, {response_code}\u00a0; refus jusqu'ici\u00a0: {declined}.",
            "Chez {merchant}, un montant de {amount} {response_code}. C'est l'essai {attempt} d'une série de"
            " {attempts}, avec {cards}, {devices} et {declined} refus en {elapsed}.",
        ),
    },
    "unseen_test": {
        "en": (
            "Try {attempt} of {attempts}, {elapsed} after the first: {cards} of this bank so far, {declined} declined."
            " At {merchant}, a request of {amount} {response_code}.",
            "Within {elapsed}, {cards} of this bank presented to {merchants}, {declined} declined. Test {attempt} of"
            " {attempts}, for {amount}, {response_code}.",
        ),
        "fr": (
            "Essai {attempt} sur {attempts}, {elapsed} après le premier\u00a0: jusqu'ici {cards} de cette banque,"
            " {declined} refus. Chez {merchant}, un montant de {amount} {response_code}.",
            "En {elapsed}, {cards} de cette banque présentées à {merchants}, {declined} refus. L'essai {attempt} sur"
            " {attempts}, de {amount}, {response_code}.",
        ),
    },
    "spend": {
        "en": (
            "{waited} after this card had passed a test of {tested_amount}, a purchase of {amount} at {merchant}"
            " {response_code}. The series tried {cards}; this is purchase {spend} of {spends} that followed.",
            "Purchase {spend} of {spends} after a series of tests on {cards}: {amount} at {merchant} {response_code},"
            " {waited} after the test of {tested_amount} that this card passed.",
        ),
        "fr": (
            "{waited} après que cette carte eut passé un essai de {tested_amount}, un achat de {amount} chez"
            " {merchant} {response_code}. La série visait {cards}\u00a0; c'est l'achat {spend} sur"
            " {spends} qui ont suivi.",
            "Achat {spend} sur {spends} après une série d'essais sur {cards}\u00a0: un montant de {amount} chez"
            " {merchant} {response_code}, {waited} après l'essai de {tested_amount} que cette carte avait passé.",
        ),
    },
}


def facts(log: Log) -> Facts:
    """Facts of a log of card testing. Raises ``ExplanationError`` where a card is spent that passed no test."""
    spend = log.is_fraud & log.equals("step_kind", SPEND)
    test = log.is_fraud & ~spend
    declined = ~log.equals("response_code", "00")
    card = log.column("card_id")
    by_card = groups(log.incident, card)
    first = first_of(test, log.incident)
    passed = last_before(test & ~declined, by_card)
    untested = np.flatnonzero(spend & (passed < 0))
    if len(untested):
        identifier = log.words("transaction_id")[untested[0]]
        raise ExplanationError(f"transaction {identifier} spends on a card that passed no test of its incident")
    attempt = running_sum(test, log.incident)
    devices = running_distinct(log.column("device_id"), log.incident, test)
    fact = np.full(log.length, None, dtype=object)
    fact[test] = "test"
    fact[test & (devices == 0)] = "unseen_test"
    fact[test & (attempt == 1)] = "first_test"
    fact[spend] = "spend"
    values = {
        "attempt": attempt,
        "attempts": total(test, log.incident),
        "elapsed": log.time - log.time[first],
        "cards": running_distinct(card, log.incident, test),
        "declined": running_sum(test & declined, log.incident),
        "devices": devices,
        "addresses": running_distinct(log.column("ip_address"), log.incident, test),
        "merchants": running_distinct(log.column("merchant_id"), log.incident, test),
        "merchant": log.words("merchant_name"),
        "amount": log.amount,
        "response_code": log.words("response_code"),
        "spend": running_sum(spend, log.incident),
        "spends": total(spend, log.incident),
        "card_tests": running_sum(test, by_card),
        "tested_amount": log.amount[passed],
        "waited": log.time - log.time[passed],
    }
    here = np.arange(log.length)
    previous = last_before(log.is_fraud, log.incident)
    return Facts(fact, values, (first, np.where(spend, passed, previous), here))


TELLING = Telling(facts, KINDS, EVIDENCE, SENTENCES)
