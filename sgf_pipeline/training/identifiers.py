"""Texts that look as if they held an identifier of a person or an account. Nothing like it may be taught.

Belongs here: what is recognised. It finds what has a form (numbers, addresses), not names: a name has none.
"""

import ipaddress
import re
import unicodedata

_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Z0-9])")
_GROUPS = re.compile(r"\+?\(?[0-9](?:[ ().\-/]{0,2}[0-9])*")  # digits, with at most two separators between
_DOTTED = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.]*[0-9])")
_DATES = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}-(?:[0-9]{2}-[0-9]{2}|(?:19|20)?[0-9]{2})(?![0-9-])")  # and years
_COLONS = re.compile(r"(?<![0-9a-f:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![0-9a-f:])")

CARD_DIGITS = range(13, 20)  # of a PAN, ISO/IEC 7812
PHONE_DIGITS = range(7, 16)  # of a telephone number, ITU-T E.164
LONG_RUN = 6  # digits in a row: account, customer and policy numbers; sums in a story are shorter


def identifier_in(text: str) -> str | None:
    """What kind of identifier the text seems to hold, in words, or None."""
    plain = unicodedata.normalize("NFKC", text)  # full-width and other digits and letters are no hiding place
    plain = "".join(str(unicodedata.digit(letter, letter)) for letter in plain)
    if _EMAIL.search(plain):
        return "an e-mail address"
    if any(_is_iban(re.sub(r"[ -]", "", found)[:34]) for found in _spellings(plain.upper())):
        return "an IBAN"
    if any(_is_address(found) for pattern in (_DOTTED, _COLONS) for found in pattern.findall(plain.lower())):
        return "an IP address"
    groups = _GROUPS.findall(_DATES.sub("a date", plain))
    for group in groups:
        digits = re.sub(r"[^0-9]", "", group)
        if len(digits) in CARD_DIGITS and _passes_luhn(digits):
            return "a card number"
    for group in groups:
        digits = re.sub(r"[^0-9]", "", group)
        if len(digits) in PHONE_DIGITS and (group.startswith(("+", "(", "0")) or len(digits) < len(group)):
            return "a telephone number"
        if len(digits) >= LONG_RUN and re.search(rf"[0-9]{{{LONG_RUN}}}", group):
            return "a long number"
    return None


def _spellings(text: str) -> list[str]:
    """What could be an IBAN, and its beginnings: words of a sentence may follow it without a mark between."""
    found = []
    for match in _IBAN.finditer(text):
        words = match.group().split(" ")
        found += [" ".join(words[:count]) for count in range(1, len(words) + 1)]
    return found


def _is_iban(text: str) -> bool:
    """By its check digits, ISO 13616."""
    if not 15 <= len(text) <= 34 or not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]+", text):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
