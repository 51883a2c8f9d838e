"""JSON Schemas (draft 2020-12) of what the two Kafka topics carry, derived from the one description of the columns.

Belongs here: the derivation, and beside it the published files that other programs read from the package
(``importlib.resources.files(...) / "transaction.v1.json"``). Written anew by
``python -m sgf_pipeline.domain.json_schemas``; a test holds the files to the code.
Does not belong here: making records.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from sgf_pipeline.domain.schema import FEATURES, FIELDS, LABELS, SCHEMA_VERSION, Field

FOLDER = Path(__file__).parent
# A label says which transaction it belongs to; that name alone is on both topics.
LABEL_RECORD: tuple[str, ...] = ("transaction_id", *LABELS)
MOMENT_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"


def transaction_schema() -> dict[str, Any]:
    """The value of a record of ``sgf.transactions.v1``."""
    return _object("transaction", "One transaction as a bank sees it when it happens, keyed by account_id.", FEATURES)


def label_schema() -> dict[str, Any]:
    """The value of a record of ``sgf.labels.v1``."""
    about = "The truth about one fraudulent transaction, keyed by account_id. No record means no fraud."
    return _object("label", about, LABEL_RECORD)


def published() -> dict[str, str]:
    """File name → content, for every schema."""
    schemas = (transaction_schema(), label_schema())
    return {
        f"{schema['title']}.v{SCHEMA_VERSION}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for schema in schemas
    }


def _object(title: str, description: str, names: Iterable[str]) -> dict[str, Any]:
    fields = {field.name: field for field in FIELDS}
    properties = {name: _property(fields[name]) for name in names}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:sgf:{title}:v{SCHEMA_VERSION}",
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),  # a null is written, not left out
        "additionalProperties": False,
    }


def _property(field: Field) -> dict[str, Any]:
    made = {"description": field.meaning, **_type(field.type)}
    if field.words is not None:
        made["enum"] = list(field.words)
    if field.nullable:
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"].append(None)
    return made


def _type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_list(kind):
        return {"type": "array", "items": _type(kind.value_type)}
    if pa.types.is_timestamp(kind):
        return {"type": "string", "format": "date-time", "pattern": MOMENT_PATTERN}
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    return {"type": "number" if pa.types.is_floating(kind) else "string"}
