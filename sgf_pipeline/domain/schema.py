"""The transaction: the one description of the exported columns, from which every other is derived or tested.

Belongs here: the Arrow schema of a labelled transaction, ``FEATURES`` and ``LABELS``, and what each column means.
Does not belong here: how rows are made, or how a sink stores them.
"""

from dataclasses import dataclass

import pyarrow as pa

from sgf_pipeline.domain import events

SCHEMA_VERSION = 1

WORD = pa.dictionary(pa.int32(), pa.string())  # low-cardinality strings
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Field:
    """One exported column."""

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str
    words: tuple[str, ...] | None = None  # the allowed words, where there are few


_FEATURES = (
    Field("transaction_id", pa.string(), False, "unique; HMAC of content hash, shard and index"),
    Field("event_time", MOMENT, False, "when the bank saw the authorisation or booking, UTC"),
    Field("customer_id", WORD, False, "the bank's customer"),
    Field("account_id", WORD, False, "the customer's account"),
    Field("card_id", WORD, True, "the card, on card transactions"),
    Field("transaction_type", WORD, False, "what kind of movement it is", events.TRANSACTION_TYPES),
    Field("direction", WORD, False, "debit takes from the account, credit adds to it", events.DIRECTIONS),
    Field("amount", pa.float64(), False, "billing currency, exact to its minor unit, ≥ 0"),
    Field("currency", WORD, False, "ISO 4217 code of the billing currency"),
    Field("channel", WORD, False, "where it was made", events.CHANNELS),
    Field("entry_mode", WORD, True, "how the card was read", events.ENTRY_MODES),
    Field("authentication", WORD, True, "how the holder was authenticated", events.AUTHENTICATIONS),
    Field("response_code", WORD, False, "ISO 8583 response; 00 is approved", events.RESPONSE_CODES),
    Field("merchant_id", WORD, True, "the merchant, or the terminal's owner"),
    Field("merchant_name", WORD, True, "the merchant's name, invented"),
    Field("merchant_category_code", WORD, True, "ISO 18245, four digits"),
    Field("merchant_country", WORD, True, "ISO 3166 alpha-2"),
    Field("merchant_city", WORD, True, "city of the merchant"),
    Field("counterparty_account_id", WORD, True, "the other account of a transfer or deposit"),
    Field("counterparty_country", WORD, True, "ISO 3166 alpha-2 of that account"),
    Field("linked_transaction_id", pa.string(), True, "refund or chargeback: its purchase; credit leg: its debit leg"),
    Field("dispute_reason", WORD, True, "why a chargeback was raised", events.DISPUTE_REASONS),
    Field("device_id", WORD, True, "the device that was used"),
    Field("ip_address", WORD, True, "from documentation ranges only"),
    Field("ip_country", WORD, True, "ISO 3166 alpha-2"),
    Field("latitude", pa.float64(), True, "degrees, two decimals"),
    Field("longitude", pa.float64(), True, "degrees, two decimals"),
    Field("account_age_days", pa.int32(), False, "whole days since the account was opened"),
    Field("prior_disputes", pa.int32(), False, "disputes the customer had raised before"),
)

_LABELS = (
    Field("is_fraud", pa.bool_(), False, "the truth of the simulation"),
    Field("fraud_scenarios", pa.list_(pa.string()), True, "scenarios the row belongs to, the shard's first"),
    Field("vector", WORD, True, "how the offender got in"),
    Field("authorised_by_victim", pa.bool_(), True, "whether the victim made the payment"),
    Field("explanation", pa.string(), True, "one paragraph of facts about exported rows"),
    Field("evidence", pa.string(), True, "the facts of the explanation and the rows they come from, JSON"),
    Field("case_id", WORD, True, "the model's case that was played"),
    Field("case_step", pa.int8(), True, "index of the case's step"),
    Field("incident_id", WORD, True, "one playing of a case"),
    Field("hard_negative", WORD, True, "legitimate behaviour that looks like fraud: which", events.HARD_NEGATIVES),
    Field("label_available_at", MOMENT, True, "when a bank would have known, on fraud rows"),
)

FIELDS: tuple[Field, ...] = _FEATURES + _LABELS
FEATURES: tuple[str, ...] = tuple(field.name for field in _FEATURES)
LABELS: tuple[str, ...] = tuple(field.name for field in _LABELS)

TRANSACTION_SCHEMA: pa.Schema = pa.schema(
    [pa.field(f.name, f.type, f.nullable, metadata={"meaning": f.meaning}) for f in FIELDS],
    metadata={"sgf_schema_version": str(SCHEMA_VERSION)},
)

# Hidden truth that travels with the rows until they are labelled.
_TRUTH = (
    pa.field("is_fraud", pa.bool_(), False),
    pa.field("case", pa.int32()),
    pa.field("case_step", pa.int8()),
    pa.field("incident", pa.int32()),
    pa.field("hard_negative", WORD),
    pa.field("label_delay_s", pa.int64()),
)

# What the simulation hands on: entities are still integers, money whole minor units. The shard's rows are numbered
# by ``row``; ``linked_row`` names the row that a refund, a chargeback or a credit leg belongs to.
SIMULATED_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("row", pa.int64(), False),
        pa.field("time", MOMENT, False),
        pa.field("customer", pa.int64(), False),
        pa.field("account", pa.int64(), False),
        pa.field("card", pa.int64()),
        pa.field("transaction_type", WORD, False),
        pa.field("direction", WORD, False),
        pa.field("amount", pa.int64(), False),
        pa.field("channel", WORD, False),
        pa.field("entry_mode", WORD),
        pa.field("authentication", WORD),
        pa.field("response_code", WORD, False),
        pa.field("merchant", pa.int64()),
        pa.field("counterparty", pa.int64()),
        pa.field("counterparty_country", WORD),
        pa.field("linked_row", pa.int64()),
        pa.field("dispute_reason", WORD),
        pa.field("device", pa.int64()),
        pa.field("ip", pa.int64()),
        pa.field("ip_country", WORD),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("account_age_days", pa.int32(), False),
        pa.field("prior_disputes", pa.int32(), False),
        *_TRUTH,
    ]
)

# A clean row: the exported features, and the truth.
CLEAN_SCHEMA: pa.Schema = pa.schema([*(TRANSACTION_SCHEMA.field(name) for name in FEATURES), *_TRUTH])
