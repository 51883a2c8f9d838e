"""What the simulation emits: blocks of events as equally long numpy columns.

Belongs here: the columns of an event, their dtypes and null values, and building, joining and slicing blocks.
Population, traffic and scenarios speak in these columns; ``sgf_pipeline.formatting`` turns them into the
exported transaction. ``event_kind`` keeps the block open to events that are no transactions.

Entities are integers here (``-1`` is null). They become HMAC identifiers only when they are formatted:

- ``customer``: the index of the customer in the shard
- ``account``: ``customer * ACCOUNTS_PER_CUSTOMER + n``; accounts elsewhere are ``EXTERNAL_BASE + n``
- ``card``: ``customer * CARDS_PER_CUSTOMER + n``
- ``device``, ``ip``: any key below ``ACTOR_BASE`` belongs to the population (stable over batches of one
  population seed); from ``ACTOR_BASE`` on it belongs to an offender of this batch
- ``merchant``: the key that ``sgf_pipeline.population.world`` gives; ``counterparty``: an account key
- ``link``: the position of the linked event within the same block
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.domain.cases import Channel

ACCOUNTS_PER_CUSTOMER = 4
CARDS_PER_CUSTOMER = 4
EXTERNAL_BASE = 1 << 40
ACTOR_BASE = 1 << 50

TRANSACTION = 0  # the one event kind so far

TRANSACTION_TYPES = ("purchase", "refund", "chargeback", "withdrawal", "transfer", "deposit", "verification")
DIRECTIONS = ("debit", "credit")
CHANNELS: tuple[str, ...] = get_args(Channel)
ENTRY_MODES = ("chip", "contactless", "magstripe", "manual", "stored_credential")
AUTHENTICATIONS = ("pin", "three_ds_challenge", "three_ds_frictionless", "exempt", "none")
RESPONSE_CODES = ("00", "05", "51", "54", "55", "59", "61", "65", "N7")
DISPUTE_REASONS = ("fraud", "not_received", "not_as_described", "duplicate", "cancelled")
HARD_NEGATIVES = (
    "travel",
    "new_device",
    "gift_spree",
    "subscription_burst",
    "card_verification",
    "salary_split",
    "young_account",
    "honest_dispute",
    "sale_day",
    "shared_device",
    "large_transfer",
    "pass_through",
)


@dataclass(frozen=True)
class Column:
    """dtype of a column and the value that stands for "nothing"."""

    dtype: str
    null: Any


COLUMNS: dict[str, Column] = {
    "event_kind": Column("int8", TRANSACTION),
    "time": Column("int64", 0),  # microseconds since 1970-01-01 UTC
    "customer": Column("int64", -1),
    "account": Column("int64", -1),
    "card": Column("int64", -1),
    "transaction_type": Column("int8", 0),  # index into TRANSACTION_TYPES, as below for the other words
    "direction": Column("int8", 0),
    "amount": Column("int64", 0),  # minor units of the billing currency, ≥ 0
    "channel": Column("int8", 0),
    "entry_mode": Column("int8", -1),
    "authentication": Column("int8", -1),
    "response_code": Column("int8", 0),
    "merchant": Column("int64", -1),
    "counterparty": Column("int64", -1),
    "counterparty_country": Column("int16", -1),  # index into population.places.COUNTRY_CODES
    "link": Column("int64", -1),
    "dispute_reason": Column("int8", -1),
    "device": Column("int64", -1),
    "ip": Column("int64", -1),
    "ip_country": Column("int16", -1),
    "latitude": Column("float64", np.nan),
    "longitude": Column("float64", np.nan),
    "account_age_days": Column("int32", 0),
    "prior_disputes": Column("int16", 0),
    # hidden truth
    "is_fraud": Column("bool", False),
    "case": Column("int32", -1),  # index into the shard's cases
    "case_step": Column("int8", -1),  # index into the case's steps
    "incident": Column("int32", -1),
    "hard_negative": Column("int8", -1),  # index into HARD_NEGATIVES
    "label_delay_s": Column("int64", -1),  # seconds after the event until a bank would have known
}

Array = NDArray[Any]


class EventBlock:
    """Equally long numpy columns, one per entry of ``COLUMNS``."""

    def __init__(self, columns: dict[str, Array]) -> None:
        self.columns = columns

    @classmethod
    def of(cls, length: int, values: Mapping[str, Any]) -> "EventBlock":
        """A block of ``length`` rows: given columns (arrays of that length, or scalars), nulls elsewhere.

        Raises ``KeyError`` on a column that does not exist, ``ValueError`` on an array of another length.
        """
        unknown = [name for name in values if name not in COLUMNS]
        if unknown:
            raise KeyError(f"no event column named {unknown[0]!r}")
        columns: dict[str, Array] = {}
        for name, column in COLUMNS.items():
            value = values.get(name, column.null)
            if np.ndim(value) == 0:
                columns[name] = np.full(length, value, dtype=column.dtype)
                continue
            columns[name] = np.array(value, dtype=column.dtype)
            if columns[name].shape != (length,):
                raise ValueError(f"column {name!r} has shape {columns[name].shape}, not ({length},)")
        return cls(columns)

    def __len__(self) -> int:
        return len(self.columns["time"])

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: Array) -> "EventBlock":
        """The rows at the given positions, in that order; links follow, a link to a row not taken is lost."""
        rows = np.asarray(rows, dtype=np.int64)
        taken = {name: column[rows] for name, column in self.columns.items()}
        new_position = np.full(len(self) + 1, -1, dtype=np.int64)
        new_position[rows] = np.arange(len(rows))
        taken["link"] = new_position[taken["link"]]
        return EventBlock(taken)

    @classmethod
    def concat(cls, blocks: Sequence["EventBlock"]) -> "EventBlock":
        """Blocks one after the other; links keep pointing at the same events."""
        if not blocks:
            return cls.of(0, {})
        joined = {name: np.concatenate([block[name] for block in blocks]) for name in COLUMNS}
        offsets = np.repeat(np.cumsum([0] + [len(block) for block in blocks[:-1]]), [len(block) for block in blocks])
        joined["link"] = np.where(joined["link"] >= 0, joined["link"] + offsets, -1)
        return cls(joined)


def code(words: Sequence[str], word: str) -> int:
    """The index of a word in one of the word lists above."""
    return words.index(word)
