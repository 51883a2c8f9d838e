"""How rows lie between assets: one Parquet file a shard and stage, written and read as a stream.

Belongs here: the I/O manager, and what a person sees of a stage in the web interface (counts, amounts, first rows,
a small picture). Does not belong here: the exported dataset (``lake_export``).
"""

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from upath import UPath

from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.shown import Stopwatch
from sgf_pipeline.domain.streams import RowStream
from sgf_pipeline.partitions import split_shard_key
from sgf_pipeline.resources.lake import LakeResource

FIRST_ROWS = 8
SHOWN_COLUMNS = 10


def stage_path(lake: LakeResource, asset: str, batch_id: str, scenario: str) -> UPath:
    """``assets/<asset>/<batch_id>/<scenario>.parquet``."""
    return lake.path("assets", asset, batch_id, f"{scenario}.parquet")


class StageFiles(dg.ConfigurableIOManager):
    """Stores a ``RowStream`` as the shard's file of that asset; hands the file on as a ``RowStream``."""

    lake: dg.ResourceDependency[LakeResource]
    batch_rows: int = Field(default=65_536, description="rows read at a time; never changes what is built")

    def store(
        self,
        context: dg.AssetExecutionContext,
        rows: RowStream,
        metadata: Mapping[str, Any] | None = None,
        watch: Stopwatch | None = None,
    ) -> dg.MaterializeResult[None]:
        """Write the asset's file; its data version is the hash of what was written. A stream does its work here.

        ``watch`` began with the stage, where that did work before: the seconds shown are the whole stage's.
        """
        batch_id, scenario = split_shard_key(context.partition_key)
        watch = watch or Stopwatch()
        portrait = Portrait(rows)
        path = stage_path(self.lake, context.asset_key.path[-1], batch_id, scenario)
        with failing_plainly():
            written = self.lake.write_rows(path, portrait.rows, owner=context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": written.rows,
                "seconds": watch.seconds,
                **portrait.numbers(),
                **_facts(rows.facts),
                **(metadata or {}),
                **portrait.pictures(),
                "bytes": written.bytes,
                "sha256": written.sha256,
                "dagster/uri": written.uri,
            },
            data_version=dg.DataVersion(written.sha256),
        )

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        raise TypeError(f"{context.asset_key} must store its rows itself: Dagster learns their hash from the result")

    def load_input(self, context: dg.InputContext) -> RowStream:
        batch_id, scenario = split_shard_key(context.partition_key)
        path = stage_path(self.lake, context.asset_key.path[-1], batch_id, scenario)
        with failing_plainly():
            return self.lake.read_rows(path, batch_rows=self.batch_rows)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The stream's facts, each by itself: only plain numbers can be followed over batches."""
    plain = (int, float, str)
    return {name: value if isinstance(value, plain) else dg.MetadataValue.json(value) for name, value in facts.items()}


class Portrait:
    """Watches a stream pass and keeps what a person wants to see of it."""

    def __init__(self, source: RowStream) -> None:
        self._source = source
        self._frauds = 0
        self._amount = {False: 0.0, True: 0.0}
        self._log_amounts = {False: np.zeros(60, np.int64), True: np.zeros(60, np.int64)}
        self._days: dict[bool, dict[int, int]] = {False: {}, True: {}}
        self._first: pa.Table | None = None
        self.rows = RowStream(source.schema, self._read, source.facts)

    def _read(self) -> Iterator[pa.RecordBatch]:
        names = self._source.schema.names
        for batch in self._source:
            if self._first is None or self._first.num_rows < FIRST_ROWS:
                self._first = pa.Table.from_batches([batch.slice(0, FIRST_ROWS)])
            if "is_fraud" in names:
                self._frauds += pc.sum(batch.column("is_fraud")).as_py() or 0
            if "event_time" in names:
                self._watch(batch)
            yield batch

    def _watch(self, batch: pa.RecordBatch) -> None:
        fraud = batch.column("is_fraud").to_numpy(zero_copy_only=False)
        amount = batch.column("amount").to_numpy()
        day = batch.column("event_time").cast(pa.int64()).to_numpy() // 86_400_000_000
        bins = np.clip((np.log10(np.maximum(amount, 0.01)) + 2) * 7.5, 0, 59).astype(int)
        for label in (False, True):
            chosen = fraud == label
            self._amount[label] += float(amount[chosen].sum())
            self._log_amounts[label] += np.bincount(bins[chosen], minlength=60)
            for number, count in zip(*np.unique(day[chosen], return_counts=True), strict=True):
                self._days[label][int(number)] = self._days[label].get(int(number), 0) + int(count)

    def numbers(self) -> dict[str, Any]:
        """Frauds and amounts, where rows have them."""
        shown: dict[str, Any] = {}
        if "is_fraud" in self._source.schema.names:
            shown["fraudulent"] = self._frauds
        if any(self._days.values()):
            shown["amount_legit"] = round(self._amount[False], 2)
            shown["amount_fraudulent"] = round(self._amount[True], 2)
        return shown

    def pictures(self) -> dict[str, Any]:
        """The first rows; a drawing where rows have labels and times."""
        shown: dict[str, Any] = {}
        if self._first is not None:
            shown["first_rows"] = dg.MetadataValue.md(_markdown(self._first))
        # one picture a shard: the stage that people look at
        if any(self._days.values()) and "explanation" in self._source.schema.names:
            shown["picture"] = dg.MetadataValue.md(f"![shard](data:image/png;base64,{self._picture()})")
        return shown

    def _picture(self) -> str:
        from matplotlib.figure import Figure  # 0.3 s, and only where a picture is drawn

        figure = Figure(figsize=(8, 2.7), layout="constrained")
        days, amounts = figure.subplots(1, 2)
        first = min(min(counts) for counts in self._days.values() if counts)
        edges = 10 ** (np.arange(60) / 7.5 - 2)
        for label, name, colour in ((False, "legitimate", "#4477aa"), (True, "fraud", "#cc3311")):
            counts = self._days[label]
            if counts:
                xs = np.arange(first, max(counts) + 1)
                days.plot(xs - first, [counts.get(int(x), 0) for x in xs], color=colour, label=name)
            total = max(1, int(self._log_amounts[label].sum()))
            amounts.step(edges, self._log_amounts[label] / total, color=colour, label=name)
        days.set(title="rows a day", xlabel="day of the period", yscale="symlog")
        amounts.set(title="amounts, share of each class", xscale="log", xlabel="amount")
        figure.legend(*days.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=80)
        return base64.b64encode(out.getvalue()).decode()


def _markdown(rows: pa.Table) -> str:
    names = rows.schema.names[:SHOWN_COLUMNS]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows.select(names).to_pylist():
        cells = [str(value)[:80].replace("|", "\\|").replace("\n", " ") for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
