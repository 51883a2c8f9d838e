"""Recorded cases: what ``fraud_cases`` keeps of the model's answers, as rows.

Belongs here: the Arrow form of written cases and back. The simulation reads only this, never a model, so a batch
can be built again from its record without one.
"""

import json

import pyarrow as pa

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.llm.writer import WrittenCase

CASES_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("case_id", pa.string(), False),
        pa.field("brief", pa.string(), False),
        pa.field("case", pa.string(), False),
        pa.field("attempts", pa.int32(), False),
        pa.field("input_tokens", pa.int64(), False),
        pa.field("output_tokens", pa.int64(), False),
    ]
)


def record(written: list[WrittenCase], facts: dict[str, object]) -> RowStream:
    """Written cases in order, as ``CASES_SCHEMA``; ``facts`` say which model wrote them."""
    rows = [
        {
            "case_id": one.case.case_id,
            "brief": one.brief.model_dump_json(),
            "case": one.case.model_dump_json(),
            "attempts": one.attempts,
            "input_tokens": one.input_tokens,
            "output_tokens": one.output_tokens,
        }
        for one in written
    ]
    return table_stream(pa.Table.from_pylist(rows, schema=CASES_SCHEMA), facts)


def recorded_cases(rows: RowStream) -> list[FraudCase]:
    """The cases of a record, in order. Raises pydantic's ``ValidationError`` on a record that was edited."""
    return [FraudCase.model_validate(json.loads(text)) for batch in rows for text in batch.column("case").to_pylist()]
