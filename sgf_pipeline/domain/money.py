"""Currencies, minor units, exact shares.

Belongs here: how many decimals a currency has, how much one euro's worth of everyday goods costs in it, and the
splitting of whole counts. Inside the simulation money is an integer of minor units; it becomes a float only
when it is formatted.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from babel.numbers import get_currency_precision

# What one euro's worth of everyday goods costs in a currency: exchange rates of the order of 2024-25, rounded
# to two digits. They set price levels, they convert nothing; a request for another currency is refused.
UNITS_PER_EUR: dict[str, float] = {
    "AED": 4.0, "ARS": 1000.0, "AUD": 1.7, "BGN": 2.0, "BRL": 6.0, "CAD": 1.5, "CHF": 0.95, "CLP": 1000.0,
    "CNY": 7.8, "COP": 4500.0, "CZK": 25.0, "DKK": 7.5, "EUR": 1.0, "GBP": 0.85, "HKD": 8.5, "HUF": 400.0,
    "IDR": 17000.0, "ILS": 4.0, "INR": 90.0, "JPY": 160.0, "KRW": 1500.0, "KWD": 0.33, "MAD": 11.0, "MXN": 20.0,
    "MYR": 4.8, "NOK": 11.5, "NZD": 1.8, "PEN": 4.0, "PHP": 62.0, "PLN": 4.3, "RON": 5.0, "SAR": 4.0,
    "SEK": 11.3, "SGD": 1.4, "THB": 38.0, "TND": 3.4, "TRY": 40.0, "TWD": 35.0, "USD": 1.1, "VND": 27000.0,
    "ZAR": 20.0,
}  # fmt: skip

K = TypeVar("K")


def minor_digits(currency: str) -> int:
    """Decimals of the currency (Unicode CLDR, through babel): 2 for EUR, 0 for JPY and KRW, 3 for KWD."""
    return get_currency_precision(currency)


def unit_amount(currency: str) -> int:
    """The smallest "round" amount that card testers and verifications use, in major units.

    1 where the currency is worth about a euro, 100 for JPY, 1,000 for KRW: the power of ten nearest to one
    euro's worth from below, never under one.
    """
    unit = 1
    while unit * 10 <= UNITS_PER_EUR[currency]:
        unit *= 10
    return unit


def round_half_up(value: Decimal) -> int:
    """Round to a whole number, halves away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def split_largest_remainder(total: int, weights: Mapping[K, Decimal | float | int]) -> dict[K, int]:
    """Split ``total`` (≥ 0) over the keys in proportion to their weights; the parts sum to ``total`` exactly.

    Method: largest remainder (Hare quota); ties go to the earlier key. Weights are read as the decimals they
    print as, so that 0.1 means a tenth. All weights zero is an error of the caller (``ValueError``).
    """
    exact = {key: Decimal(str(weight)) for key, weight in weights.items()}
    whole = sum(exact.values(), Decimal(0))
    if whole <= 0:
        raise ValueError("weights must have a positive sum")
    quotas = {key: Decimal(total) * weight / whole for key, weight in exact.items()}
    parts = {key: int(quota) for key, quota in quotas.items()}
    left = total - sum(parts.values())
    by_remainder = sorted(quotas, key=lambda key: parts[key] - quotas[key])
    for key in by_remainder[:left]:
        parts[key] += 1
    return parts
