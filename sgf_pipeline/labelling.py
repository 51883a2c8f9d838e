"""The truth becomes labels.

Belongs here: joining cases and explanations to rows, and when a bank would have known. Does not belong here: what
an explanation says (``explain``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sgf_pipeline.domain.cases import FraudCase, known_vector
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import FEATURES, MOMENT, TRANSACTION_SCHEMA
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.explain import explain, verify
from sgf_pipeline.scenarios import scenario


@dataclass(frozen=True)
class Labelled:
    """Rows as ``TRANSACTION_SCHEMA``; how many have an explanation; what is untrue of the explanations."""

    rows: RowStream
    explained: int
    problems: list[str]


def label(
    rows: RowStream, cases: Sequence[FraudCase], content: RequestContent, name: ScenarioName, identifiers: Identifiers
) -> Labelled:
    """Label clean rows. The shard's incident rows are held in memory; all others stream."""
    incident_rows = _incident_rows(rows, cases, name, identifiers)
    said = explain(incident_rows, scenario=name, currency=content.currency, language=content.language)
    explained = incident_rows.assign(explanation=said["explanation"], evidence=said["evidence"])
    labels = _Labels(explained, cases, name)
    return Labelled(
        RowStream(TRANSACTION_SCHEMA, lambda: labels.join(rows)),
        explained=int(explained["explanation"].notna().sum()),
        problems=verify(explained),
    )


def _incident_rows(
    rows: RowStream, cases: Sequence[FraudCase], name: ScenarioName, identifiers: Identifiers
) -> pd.DataFrame:
    """Every row that belongs to an incident, with the words of its case, in time order."""
    pieces = [batch.filter(batch.column("incident").is_valid()) for batch in rows]
    frame = pa.Table.from_batches(pieces, rows.schema).to_pandas()
    numbers = frame["incident"].to_numpy(dtype=np.int64)
    distinct, inverse = np.unique(numbers, return_inverse=True)
    incident_ids = np.array(identifiers.incidents(distinct.tolist()), dtype=object)
    case_of = frame["case"].to_numpy(dtype=np.int64)
    step_of = frame["case_step"].to_numpy(dtype=np.int64)
    kinds = np.full((max(len(cases), 1), 12), "", dtype=object)
    for number, case in enumerate(cases):
        kinds[number, : len(case.steps)] = [step.kind for step in case.steps]
    # Sentences are written for the known vectors: a user's own one is told as the one whose rules it follows.
    vectors = np.array([known_vector(case.vector) for case in cases] or [""], dtype=object)
    labelled: pd.DataFrame = frame[[*FEATURES, "is_fraud", "case", "case_step", "label_delay_s"]].assign(
        incident_id=incident_ids[inverse] if len(frame) else "",
        vector=vectors[case_of],
        step_kind=kinds[case_of, step_of],
    )
    return labelled


class _Labels:
    """The label columns of the incident rows, in row order, ready to be joined to the stream they came from."""

    def __init__(self, incident_rows: pd.DataFrame, cases: Sequence[FraudCase], name: ScenarioName) -> None:
        table = scenario(name)
        fraud = incident_rows["is_fraud"].to_numpy(dtype=bool)
        delay = pd.to_numeric(incident_rows["label_delay_s"]).to_numpy(dtype="float64")
        known = (fraud & ~np.isnan(delay)) if len(fraud) else fraud
        times = incident_rows["event_time"].astype("int64").to_numpy() if len(fraud) else np.empty(0, np.int64)
        available = times + np.where(known, np.nan_to_num(delay), 0).astype(np.int64) * 1_000_000
        authorised = np.array(
            [table.step_kinds[kind].authorised_by_victim for kind in incident_rows["step_kind"]], dtype=bool
        )
        case_ids = np.array([case.case_id for case in cases] or [""], dtype=object)
        vectors = np.array([case.vector for case in cases] or [""], dtype=object)
        case_of = incident_rows["case"].to_numpy(dtype=np.int64)
        not_fraud = ~fraud
        scenarios = pa.array([[name] if is_fraud else None for is_fraud in fraud], pa.list_(pa.string()))
        self._columns = {
            "fraud_scenarios": scenarios,
            "vector": pa.array(vectors[case_of], pa.string(), mask=not_fraud),
            "authorised_by_victim": pa.array(authorised, pa.bool_(), mask=not_fraud),
            "explanation": pa.array(incident_rows["explanation"], pa.string(), from_pandas=True),
            "evidence": pa.array(incident_rows["evidence"], pa.string(), from_pandas=True),
            "case_id": pa.array(case_ids[case_of], pa.string()),
            "incident_id": pa.array(incident_rows["incident_id"].to_numpy(dtype=object), pa.string()),
            "label_available_at": pa.array(available, pa.int64(), mask=~known).cast(MOMENT),
        }

    def join(self, rows: RowStream) -> Iterator[pa.RecordBatch]:
        """The stream's rows with every label column."""
        taken = 0
        for batch in rows:
            belongs = batch.column("incident").is_valid()
            count = pc.sum(belongs).as_py() or 0
            # positions into this batch's slice of the label columns; null where the row has no incident
            position = pc.subtract(pc.cumulative_sum(belongs.cast(pa.int64())), 1)
            position = pc.if_else(belongs, position, pa.scalar(None, pa.int64()))
            arrays = []
            for field in TRANSACTION_SCHEMA:
                if field.name in self._columns:
                    array = self._columns[field.name].slice(taken, count).take(position)
                else:
                    array = batch.column(field.name)
                arrays.append(array if array.type == field.type else array.cast(field.type))
            yield pa.RecordBatch.from_arrays(arrays, schema=TRANSACTION_SCHEMA)
            taken += count
