"""The one schema against every other description of the same rows."""

import re
from pathlib import Path

import pyarrow as pa

from sgf_pipeline.domain.events import COLUMNS
from sgf_pipeline.domain.schema import (
    CLEAN_SCHEMA,
    FEATURES,
    FIELDS,
    LABELS,
    SIMULATED_SCHEMA,
    TRANSACTION_SCHEMA,
)


def test_features_and_labels_part_the_schema():
    """Guards against a label that a detector is given as a feature."""
    assert list(FEATURES + LABELS) == TRANSACTION_SCHEMA.names
    assert not set(FEATURES) & set(LABELS)
    for name in ("is_fraud", "case_id", "incident_id", "hard_negative", "label_available_at", "vector"):
        assert name in LABELS


def test_every_column_explains_itself_and_types_are_those_of_the_design():
    """Guards against a column that nobody can look up, and against a changed type."""
    assert all(field.meaning for field in FIELDS)
    assert TRANSACTION_SCHEMA.field("event_time").type == pa.timestamp("us", tz="UTC")
    assert TRANSACTION_SCHEMA.field("amount").type == pa.float64()
    assert TRANSACTION_SCHEMA.field("fraud_scenarios").type == pa.list_(pa.string())


def test_simulated_rows_hold_every_event_column():
    """Guards against an event column that is simulated and silently lost on its way out."""
    renamed = {"link": "linked_row"}
    dropped = {"event_kind"}  # every exported row is a transaction
    expected = {renamed.get(name, name) for name in COLUMNS if name not in dropped}
    assert set(SIMULATED_SCHEMA.names) == expected | {"row"}
    assert set(CLEAN_SCHEMA.names) >= set(FEATURES)


def test_the_schema_page_describes_every_column():
    """Guards against a documentation page that lags behind the columns."""
    page = (Path(__file__).parents[2] / "docs" / "schema.md").read_text()
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \| (yes|no) \| ([^|]+) \|", page, re.MULTILINE)
    expected = [(field.name, "yes" if field.nullable else "no", field.meaning) for field in FIELDS]
    assert [(name, null, meaning.strip()) for name, null, meaning in described] == expected
