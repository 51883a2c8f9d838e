"""Everything that a lazy detector could read off one row: the observable columns, and what is simply derived of them.

Belongs here: turning clean rows into coded columns (numbers in order, words, entities, structure). Does not belong
here: looking for rules in them, or limits (``sgf_pipeline.quality.shortcuts``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sgf_pipeline.domain.money import minor_digits

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Kind = Literal["row", "entity", "id shape", "microseconds", "row order", "null pattern", "decimals"]

# Thresholds are tried at every distinct value of a fraud row; above this many, at as many quantiles of them.
MOST_THRESHOLDS = 512
ENTITIES = (
    "customer_id",
    "account_id",
    "card_id",
    "merchant_id",
    "merchant_name",
    "counterparty_account_id",
    "linked_transaction_id",
    "device_id",
    "ip_address",
)
WORDS = (
    "direction",
    "currency",
    "entry_mode",
    "authentication",
    "response_code",
    "merchant_category_code",
    "merchant_country",
    "merchant_city",
    "counterparty_country",
    "dispute_reason",
    "ip_country",
)
NULLABLE = (
    "card_id",
    "entry_mode",
    "authentication",
    "merchant_id",
    "merchant_name",
    "merchant_category_code",
    "merchant_country",
    "merchant_city",
    "counterparty_account_id",
    "counterparty_country",
    "linked_transaction_id",
    "dispute_reason",
    "device_id",
    "ip_address",
    "ip_country",
    "latitude",
    "longitude",
)
IDS = ("transaction_id", *(name for name in ENTITIES if name not in ("merchant_name", "ip_address")))
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ROUND = (1, 5, 10, 50, 100, 500, 1000)
TEXTS = ("merchant_name", "merchant_city")
_MODULI = (3, 7, 11, 13, 16)  # of the microseconds; 2, 4 and 5 show in their last digits
_DECIMALS = 10
_LOOKED_UP = 1 << 16  # whole numbers below are coded by a table, faster than by a search


@dataclass(frozen=True)
class Column:
    """One coded column: ``codes`` (rows of ``Observed``), -1 is null; ``say(code)`` is the value in words.

    ``ordered`` columns know thresholds: code ``2k + 1`` is exactly the k-th distinct value among the frauds, ``2k``
    lies below it and above the one before. In other columns a code is a value, and ``size - 1`` stands for all values
    that no fraud has. ``by_value``: whether single values are worth learning. ``unit`` numbers the entity that the
    column describes, where the column says the same on all its rows.
    """

    name: str
    kind: Kind
    codes: Ints
    size: int
    ordered: bool
    say: Callable[[int], str]
    by_value: bool = True
    unit: Ints | None = None

    @property
    def structural(self) -> bool:
        """Whether it is about how a row is written, which nothing that happens in the world explains."""
        return self.kind not in ("row", "entity")


@dataclass(frozen=True)
class Values:
    """Columns of few values without an order, looked at together: one digit or character of something each.

    ``codes`` (columns × rows of ``Observed``) are below ``NULL``, which stands for no value. ``unit`` numbers the
    entity that the columns describe.
    """

    NULL = 17

    kind: Kind
    names: Sequence[str]
    codes: NDArray[np.uint8]
    unit: Ints | None = None


class Observed:
    """The rows of a shard (or several) as coded columns, each with at least two values.

    Rows are sorted by (fraud, cell): legitimate rows are ``others``, frauds ``frauds``. A cell is a (transaction_type,
    channel) that has frauds; all the rest is one more. ``cells`` names them. ``cluster`` numbers the case of a fraud
    where there are ``CASES_ENOUGH`` of them, else its incident (-1: none).
    """

    CASES_ENOUGH = 10

    def __init__(self, table: pa.Table, shard: Ints) -> None:
        self._table = table
        self._known: dict[str, tuple[Ints, pa.Array]] = {}
        self.rows = table.num_rows
        fraud = np.asarray(table.column("is_fraud"))
        kinds, kind_words = encoded(table, "transaction_type")
        channels, channel_words = encoded(table, "channel")
        pair = kinds * len(channel_words) + channels
        with_fraud = np.unique(pair[fraud])
        at = np.minimum(np.searchsorted(with_fraud, pair), len(with_fraud) - 1)
        cell = np.where(with_fraud[at] == pair, at, len(with_fraud))
        named = [divmod(int(number), len(channel_words)) for number in with_fraud]
        self.cells = [f"{kind_words[kind]}/{channel_words[channel]}" for kind, channel in named] + ["any other"]
        self._order = np.lexsort((cell, fraud))
        self.cell = cell[self._order]
        first_fraud = self.rows - int(np.count_nonzero(fraud))
        self.others = slice(0, first_fraud)
        self.frauds = slice(first_fraud, self.rows)
        self.customer = self._encoded("customer_id")[0]
        case, incident = self._numbers("case", -1), self._numbers("incident", -1)
        wide = max(int(case.max()), int(incident.max())) + 2
        shard = shard[self._order]
        self.case = np.where(case >= 0, shard * wide + case, -1)
        self.incident = np.where(incident >= 0, shard * wide + incident, -1)
        self.clustered_by = "case" if len(np.unique(self.case[self.frauds])) >= self.CASES_ENOUGH else "incident"
        self.cluster = self.case if self.clustered_by == "case" else self.incident

    def columns(self) -> list[Column]:
        """What happened, in a row's own words and numbers, and who was in it (kinds ``row`` and ``entity``)."""
        return [column for column in self._columns() if column.size > 1]

    def structure(self) -> list[Column]:
        """How the rows are written: all other kinds."""
        return [column for column in self._structure() if column.size > 1]

    def _columns(self) -> Iterator[Column]:
        yield from self._time()
        yield from self._amount()
        for name in ("latitude", "longitude", "account_age_days", "prior_disputes"):
            yield self._ordered(name, "row", self._numbers(name, np.nan))
        names, words = self._encoded("merchant_name")
        yield self._ordered("length of merchant_name", "row", np.asarray(pc.utf8_length(words)), codes=names)
        yield self._valued("transaction_type/channel", "row", self.cell, self.cells)
        for name in WORDS:
            yield self._valued(name, "row", *self._encoded(name))
        for name in ENTITIES:
            yield self._valued(name, "entity", *self._encoded(name))

    def _time(self) -> Iterator[Column]:
        seconds = self._times() // 1_000_000
        minutes = seconds // 60
        yield self._ordered("hour (UTC)", "row", minutes // 60 % 24)
        yield self._ordered("minute of the day (UTC)", "row", minutes % 1440, say=_say_minute)
        yield self._ordered("minute", "row", minutes % 60)
        yield self._ordered("second", "row", seconds % 60)
        # 1970-01-01 was a Thursday
        yield self._ordered("weekday", "row", (minutes // 1440 + 3) % 7, say=lambda value: _WEEKDAYS[int(value)])

    def _amount(self) -> Iterator[Column]:
        amount = self._numbers("amount", np.nan)
        digits = max(minor_digits(currency) for currency in self._encoded("currency")[1].to_pylist())
        minor = np.rint(amount * 10**digits).astype(np.int64)
        whole, ending = np.divmod(minor, 10**digits)
        yield self._ordered("amount", "row", amount, say=lambda value: f"{value:,.{digits}f}")
        yield self._ordered("ending of amount", "row", ending, say=lambda value: f".{int(value):0{digits}}")
        yield self._ordered("last digit of amount", "row", minor % 10)
        roundness = np.zeros(len(minor), dtype=np.int64)
        for number, step in enumerate(_ROUND, 1):
            roundness[(ending == 0) & (whole % step == 0)] = number
        yield self._ordered(
            "roundness of amount",
            "row",
            roundness,
            say=lambda value: f"a multiple of {_ROUND[int(value) - 1]}" if value else "not whole",
        )
        first = (amount / 10 ** np.floor(np.log10(np.maximum(amount, 1e-9)))).astype(np.int64)
        yield self._ordered("first digit of amount", "row", np.where(amount > 0, first, 0))

    def _structure(self) -> Iterator[Column]:
        times = self._times()
        position = self._order
        # Fraud comes in waves, so in a file in time order the rows of one day hang together
        day = (times - times.min()) // 86_400_000_000
        yield self._ordered("position of the row", "row order", position, by_value=False, unit=day)
        in_time = np.empty(self.rows, dtype=np.int64)
        in_time[np.lexsort((position, times))] = np.arange(self.rows)
        yield self._ordered(
            "position of the row after its place in time",
            "row order",
            (position - in_time).astype(float),
            by_value=False,
        )
        micros = times % 1_000_000
        yield self._ordered("microseconds mod 100", "microseconds", micros % 100)
        yield self._ordered("microseconds mod 1000", "microseconds", micros % 1000, by_value=False)
        yield self._ordered("milliseconds", "microseconds", micros // 1000, by_value=False)
        yield self._ordered("zeros at the end of the microseconds", "microseconds", _trailing_zeros(micros, 6))
        yield self._null_pattern()
        for name in ("amount", "latitude", "longitude"):
            yield self._ordered(f"decimals of {name}", "decimals", _decimals(self._numbers(name, np.nan)))
        for name in IDS:
            yield from self._id_shape(name)
        yield from self._address_shape()

    def _null_pattern(self) -> Column:
        pattern = np.zeros(self.rows, dtype=np.int64)
        for bit, name in enumerate(NULLABLE):
            column = self._table.column(name)
            if column.null_count:
                pattern |= column.is_null().to_numpy().astype(np.int64) << bit
        patterns, codes = np.unique(pattern[self._order], return_inverse=True)
        words = [", ".join(name for bit, name in enumerate(NULLABLE) if int(p) >> bit & 1) for p in patterns]
        return self._valued("null columns", "null pattern", codes, [f"[{word}]" for word in words])

    def _id_shape(self, name: str) -> Iterator[Column]:
        codes, texts = self._texts(name)
        if not texts.size:
            return
        body = texts[:, 4:]
        lengths = (texts > 0).sum(axis=1)
        for what, values, say, by_value in (
            ("length", lengths, _say_number, True),
            ("first four characters", _as_number(texts[:, :4]), _say_text, True),
            ("order", _as_number(body[:, :6]), _say_text, False),
            ("letters", (body > ord("9")).sum(axis=1), _say_number, True),
        ):
            yield self._ordered(
                f"{what} of {name}", "id shape", values, codes=codes, say=say, by_value=by_value, unit=codes
            )

    def _address_shape(self) -> Iterator[Column]:
        codes, texts = self._texts("ip_address")
        if not texts.size:
            return
        lengths = (texts > 0).sum(axis=1)
        last_four = texts[np.arange(len(texts))[:, None], np.maximum(lengths[:, None] - np.arange(4, 0, -1), 0)]
        for what, values, say, by_value in (
            ("length", lengths, _say_number, True),
            ("colons", (texts == ord(":")).sum(axis=1), _say_number, True),
            ("first six characters", _as_number(texts[:, :6]), _say_text, True),
            ("third group", _as_number(texts[:, 9:13]), _say_text, False),
            ("last four characters", _as_number(last_four), _say_text, False),
        ):
            yield self._ordered(
                f"{what} of ip_address", "id shape", values, codes=codes, say=say, by_value=by_value, unit=codes
            )

    def values(self) -> Iterator[Values]:
        """Digits of the microseconds, and characters of identifiers and texts."""
        micros = self._times() % 1_000_000
        names = [f"microseconds, digit {digit + 1} of 6" for digit in range(6)]
        digits = [micros // 10 ** (5 - digit) % 10 for digit in range(6)]
        names += [f"microseconds mod {modulus}" for modulus in _MODULI]
        digits += [micros % modulus for modulus in _MODULI]
        yield Values("microseconds", names, np.array(digits, dtype=np.uint8))
        for name in IDS:
            codes, texts = self._texts(name)
            if texts.size:
                names = [f"{name}[{place}]" for place in range(4, texts.shape[1])]
                yield self._of_unit(names, codes, _HEX[texts.T[4:]])
        for name in TEXTS:
            codes, words = self._encoded(name)
            if len(words):
                spaces = np.array([[_spaces(word) for word in words.to_pylist()]], dtype=np.uint8)
                yield self._of_unit([f"spaces in {name}"], codes, spaces)

    def _of_unit(self, names: Sequence[str], unit: Ints, values: NDArray[np.uint8]) -> Values:
        missing = np.full((len(values), 1), Values.NULL, dtype=np.uint8)
        return Values("id shape", names, np.hstack([values, missing]).take(unit, axis=1, mode="wrap"), unit)

    def _ordered(
        self,
        name: str,
        kind: Kind,
        values: NDArray[Any],
        *,
        codes: Ints | None = None,
        say: Callable[[float], str] = lambda value: f"{value:g}",
        by_value: bool = True,
        unit: Ints | None = None,
    ) -> Column:
        """A column of numbers (nan is null), one a row, or one a code where ``codes`` (-1 is null) say whose."""
        if codes is None:
            of_fraud = values[self.frauds]
        else:
            whose = codes[self.frauds]
            of_fraud = values[whose[whose >= 0]]
        real = values.dtype.kind == "f"
        edges = np.unique(of_fraud[~np.isnan(of_fraud)] if real else of_fraud)
        if len(edges) > MOST_THRESHOLDS:
            edges = np.unique(np.quantile(edges, np.linspace(0, 1, MOST_THRESHOLDS), method="inverted_cdf"))
        if not len(edges) or values.min() == values.max():
            return Column(name, kind, self._order, 0, True, str)
        if not real and int(values.max()) < _LOOKED_UP:
            is_edge = np.zeros(int(values.max()) + 1, dtype=np.int64)
            is_edge[edges] = 1
            coded = (2 * np.cumsum(is_edge) - is_edge)[values]
        else:
            below = np.searchsorted(edges, values)
            coded = 2 * below + (edges[np.minimum(below, len(edges) - 1)] == values)
        if real:
            coded[np.isnan(values)] = -1
        if codes is not None:
            coded = np.append(coded, -1)[codes]
        return Column(
            name,
            kind,
            coded,
            2 * len(edges) + 1,
            True,
            lambda code: say(edges[min(code // 2, len(edges) - 1)]),
            by_value,
            unit,
        )

    def _valued(self, name: str, kind: Kind, codes: Ints, words: Sequence[str] | pa.Array) -> Column:
        """Values that some fraud has, numbered; all others share the last number."""
        if len(words) < 2 and codes.min() >= 0:
            return Column(name, kind, codes, 0, False, str)
        of_fraud = np.zeros(len(words) + 1, dtype=bool)
        of_fraud[codes[self.frauds]] = True
        of_fraud[-1] = False
        kept = np.flatnonzero(of_fraud)
        renumbered = np.full(len(words) + 1, len(kept))
        renumbered[kept] = np.arange(len(kept))
        renumbered[-1] = -1
        return Column(
            name,
            kind,
            renumbered[codes],
            len(kept) + 1,
            False,
            lambda code: str(words[kept[code]]) if code < len(kept) else "others",
        )

    def _times(self) -> Ints:
        return np.asarray(self._table.column("event_time").cast(pa.int64()))[self._order]

    def _numbers(self, name: str, null: float) -> NDArray[Any]:
        column = self._table.column(name)
        return np.asarray(column.fill_null(null) if column.null_count else column)[self._order]

    def _encoded(self, name: str) -> tuple[Ints, pa.Array]:
        """Codes into an array of distinct words; -1 is null."""
        if name not in self._known:
            codes, words = encoded(self._table, name)
            self._known[name] = codes[self._order], words
        return self._known[name]

    def _texts(self, name: str) -> tuple[Ints, NDArray[np.uint8]]:
        """Codes into rows of characters (values × longest text, 0 after the end)."""
        if name == "transaction_id":  # no value repeats
            return self._order, _characters(pa.concat_arrays(self._table.column(name).chunks))
        codes, words = self._encoded(name)
        return codes, _characters(words)


def encoded(table: pa.Table, name: str) -> tuple[Ints, pa.Array]:
    """A column of words as codes (-1 is null) into an array of distinct words."""
    column = pa.concat_arrays(table.column(name).unify_dictionaries().chunks)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices = column.indices
    return np.asarray(indices.fill_null(-1) if indices.null_count else indices).astype(np.int64), column.dictionary


def _characters(words: pa.Array) -> NDArray[np.uint8]:
    if not len(words):
        return np.zeros((0, 0), dtype=np.uint8)
    words = words.cast(pa.string())
    _, offset_buffer, data = words.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[words.offset : words.offset + len(words) + 1]
    letters = np.frombuffer(data, dtype=np.uint8)
    lengths = np.diff(offsets)
    longest = int(lengths.max())
    if (lengths == longest).all():
        return letters[offsets[0] : offsets[-1]].reshape(len(words), longest)
    reach = np.arange(longest)
    at = np.minimum(offsets[:-1, None] + reach, len(letters) - 1)
    return np.where(reach < lengths[:, None], letters[at], 0).astype(np.uint8)


def _as_number(texts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """At most six characters as one number, in the order of the texts."""
    weights = 256.0 ** np.arange(5, 5 - texts.shape[1], -1)
    return texts @ weights


def _hex() -> NDArray[np.uint8]:
    """The value of each hexadecimal character; 16 is any other, ``Values.NULL`` the end of the text."""
    values = np.full(256, 16, dtype=np.uint8)
    for value, character in enumerate(b"0123456789abcdef"):
        values[character] = value
    values[0] = Values.NULL
    return values


_HEX = _hex()


def _spaces(word: str) -> int:
    """Spaces that are too many: 1 leading, 2 trailing, 4 doubled."""
    return (word[:1] == " ") + 2 * (word[-1:] == " ") + 4 * ("  " in word)


def _say_number(number: float) -> str:
    return f"{number:g}"


def _say_text(number: float) -> str:
    return repr(int(number).to_bytes(6, "big").rstrip(b"\0").decode("utf-8", "replace"))


def _say_minute(number: float) -> str:
    return f"{int(number) // 60:02}:{int(number) % 60:02}"


def _trailing_zeros(numbers: Ints, most: int) -> Ints:
    zeros = np.zeros(len(numbers), dtype=np.int64)
    for power in range(1, most + 1):
        zeros += numbers % 10**power == 0
    return zeros


def _decimals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decimals that the shortest way to write the number needs, up to ``_DECIMALS``."""
    count = np.where(np.isnan(values), np.nan, float(_DECIMALS))
    left = np.flatnonzero(~np.isnan(values))
    for places in range(_DECIMALS):
        scaled = values[left] * 10**places
        enough = np.abs(scaled - np.rint(scaled)) < 1e-14 * np.maximum(1.0, np.abs(scaled))
        count[left[enough]] = places
        left = left[~enough]
    return count
