"""How facts are written in English and French: money, counts, durations.

Belongs here: units, nouns with their plurals, thousands and decimal marks. Does not belong here: sentences (they
stand with their scenario) and facts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from babel.numbers import get_decimal_symbol, get_group_symbol

Language = Literal["en", "fr"]
LANGUAGES: tuple[str, ...] = ("en", "fr")

# singular, plural
NOUNS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "card": ("card", "cards"), "device": ("device", "devices"), "address": ("network address", "network addresses"),
        "merchant": ("merchant", "merchants"), "account": ("account", "accounts"),
        "deposit": ("cash deposit", "cash deposits"), "declined": ("declined try", "declined tries"),
        "purchase": ("purchase", "purchases"), "payment": ("payment", "payments"), "refund": ("refund", "refunds"),
        "chargeback": ("chargeback", "chargebacks"), "test": ("test", "tests"),
        "dispute": ("dispute", "disputes"), "charge": ("false charge", "false charges"),
        "seconds": ("second", "seconds"), "minutes": ("minute", "minutes"), "hours": ("hour", "hours"),
        "days": ("day", "days"),
    },
    "fr": {
        "card": ("carte", "cartes"), "device": ("appareil", "appareils"),
        "address": ("adresse réseau", "adresses réseau"), "merchant": ("commerçant", "commerçants"),
        "account": ("compte", "comptes"), "deposit": ("dépôt d'espèces", "dépôts d'espèces"),
        "declined": ("refus", "refus"), "purchase": ("achat", "achats"), "payment": ("paiement", "paiements"),
        "refund": ("remboursement", "remboursements"), "chargeback": ("rétrofacturation", "rétrofacturations"),
        "test": ("essai", "essais"), "dispute": ("contestation", "contestations"),
        "charge": ("débit frauduleux", "débits frauduleux"), "seconds": ("seconde", "secondes"),
        "minutes": ("minute", "minutes"), "hours": ("heure", "heures"), "days": ("jour", "jours"),
    },
}  # fmt: skip

# ISO 8583 response codes of declines, as exported.
REASONS: dict[str, dict[str, str]] = {
    "05": {"en": "do not honour", "fr": "ne pas honorer"},
    "51": {"en": "not enough money", "fr": "provision insuffisante"},
    "54": {"en": "expired card", "fr": "carte expirée"},
    "55": {"en": "wrong PIN", "fr": "code confidentiel erroné"},
    "59": {"en": "suspected fraud", "fr": "soupçon de fraude"},
    "61": {"en": "above the limit", "fr": "plafond dépassé"},
    "65": {"en": "too often", "fr": "trop d'opérations"},
    "N7": {"en": "wrong security code", "fr": "cryptogramme erroné"},
}

UNNAMED: dict[str, dict[str, str]] = {
    "merchant": {"en": "an unnamed merchant", "fr": "un commerçant sans nom"},
    "cash_point": {"en": "a bank counter", "fr": "guichet"},
    "country": {"en": "an unknown country", "fr": "un pays inconnu"},
}


@dataclass(frozen=True)
class Money:
    """A fact in minor units: the evidence and the text give major units."""


@dataclass(frozen=True)
class Count:
    """A fact that counts something: ``noun`` is a key of ``NOUNS``."""

    noun: str


@dataclass(frozen=True)
class Number:
    """A bare whole number."""


@dataclass(frozen=True)
class Duration:
    """A fact in microseconds: told in the largest unit of which there are at least two, rounded down."""


@dataclass(frozen=True)
class Word:
    """A word of the row itself; a null is told as in ``UNNAMED``."""


@dataclass(frozen=True)
class Phrase:
    """A word of the row, told by its phrase: word → language → phrase."""

    of: dict[str, dict[str, str]]


Kind = Money | Count | Number | Duration | Word | Phrase


def outcomes(approved: dict[str, str], declined: dict[str, str]) -> Phrase:
    """What became of a request, by response code: ``approved``, or ``declined`` with the code and its reason."""
    joined = {"en": "{} with code {} ({})", "fr": "{} avec le code {} ({})"}
    told = {
        code: {at: joined[at].format(declined[at], code, reason[at]) for at in LANGUAGES}
        for code, reason in REASONS.items()
    }
    return Phrase({"00": approved, **told})


def duration(microseconds: int) -> tuple[int, str]:
    """(whole units, unit): seconds under two minutes, minutes under two hours, hours under two days, else days."""
    seconds = microseconds // 1_000_000
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return seconds // length, unit
    return seconds, "seconds"


def as_evidence(name: str, kind: Kind, values: Sequence[Any], digits: int) -> list[Any]:
    """The facts of one name as JSON values."""
    if isinstance(kind, Money):
        scale = 10**digits
        return [value / scale for value in values]
    if isinstance(kind, Duration):
        return [dict(zip(("value", "unit"), duration(value), strict=True)) for value in values]
    return list(values)


def as_text(name: str, kind: Kind, values: Sequence[Any], digits: int, currency: str, language: str) -> list[str]:
    """The facts of one name as they stand in a sentence."""
    number = _number(language)
    nouns = NOUNS[language]
    if isinstance(kind, Money):
        scale = 10**digits
        return [f"{number(value / scale, digits)} {currency}" for value in values]
    if isinstance(kind, Count):
        one, many = nouns[kind.noun]
        return [f"{number(value, 0)} {one if _singular(value, language) else many}" for value in values]
    if isinstance(kind, Duration):
        told = [duration(value) for value in values]
        return [f"{number(n, 0)} {nouns[unit][0 if _singular(n, language) else 1]}" for n, unit in told]
    if isinstance(kind, Phrase):
        return [kind.of[value][language] if value in kind.of else value for value in values]
    if isinstance(kind, Word):
        return [UNNAMED[name][language] if value is None else value for value in values]
    return [number(value, 0) for value in values]


def _singular(value: int, language: str) -> bool:
    return value < 2 if language == "fr" else value == 1


def _number(language: str) -> Callable[[float, int], str]:
    """Numbers with the marks of the Unicode CLDR; babel's own formatter takes twenty times as long a number."""
    marks = str.maketrans({",": get_group_symbol(language), ".": get_decimal_symbol(language)})
    return lambda value, digits: f"{value:,.{digits}f}".translate(marks)


def typeset(french: str) -> str:
    """French typography: a no-break space before ``:``, ``;`` and ``%``."""
    return re.sub(r" (?=[:;%])", "\u00a0", french)
