"""Stage 7: all requested shards are there: prove the mix, measure how real it looks, write the immutable manifest.

What is measured stops nothing: a request may ask for nine frauds in ten rows, which is legal and not realistic.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from sgf_pipeline import batches, pools
from sgf_pipeline.assets.feature_export import feature_export
from sgf_pipeline.assets.lake_export import lake_export
from sgf_pipeline.assets.shard_context import failing_plainly
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, address, check
from sgf_pipeline.assets.sinks import RETRIES
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.assets.stream_export import stream_export
from sgf_pipeline.assets.validated_transactions import worst_rules
from sgf_pipeline.assets.warehouse_export import warehouse_export
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.manifests import write_manifest
from sgf_pipeline.partitions import BATCH_TO_SHARDS, batch_ids
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.resources.stream import Stream
from sgf_pipeline.resources.warehouse import AnyWarehouse

CHECKS = {
    "realism": "statistics of the whole batch lie within the goals that real card data set",
    "expectations": "the Great Expectations suite of distributions is met",
    "shortcuts": "no rule over single rows finds the whole batch's fraud, and rings share as families and shops do",
}
DATA_DOCS = "_data_docs"
COUNTED = ("cases", "input_tokens", "output_tokens", "matrix_cells")
AUDITED_ROWS = 2_000_000  # above, the whole batch would not fit into memory: its shards were audited each


@dg.asset(
    group_name="export",
    partitions_def=batch_ids,
    deps=[
        dg.AssetDep(sink, partition_mapping=BATCH_TO_SHARDS)
        for sink in (lake_export, warehouse_export, stream_export, feature_export)
    ],
    code_version="1",
    pool=pools.DATABASE,
    retry_policy=RETRIES,
    check_specs=[check("dataset_manifest", name, text, batch_ids, blocking=False) for name, text in CHECKS.items()],
    kinds={"json"},
    owners=OWNERS,
    description="""The immutable record of a finished batch: request, exact counts, receipts, model, cost, what every
sink was read back to hold, and how real the whole batch is.

Asked for by `manifest_sensor` once every requested shard has its receipt; a shard that is built again gives the next
number. The mix is proven, each sink is read back, a row is appended to the audit trail; only then a manifest exists.
The three checks measure, they stop nothing.

- `data_docs`: the distributions, expectation by expectation; `s3_uri`: the dataset
- `realism_in_goal` of `realism_judged` statistics; `expectations_met` of `expectations`; `shortcuts_failed`;
  `worst_shortcut_auc` and `worst_shortcut_recall` of the whole batch, where it is large enough to be judged
- `cases`, `input_tokens`, `output_tokens`, `cost_usd`: the model's part, cached answers included
- `matrix_cells` that the cases cover; `least_different`: structurally, in the shard whose cases are most alike
""",
)
def dataset_manifest(
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    warehouse: dg.ResourceParam[AnyWarehouse],
    stream: dg.ResourceParam[Stream],
) -> Iterator[Any]:
    """Fails while shards are missing; the same receipts add nothing."""
    watch = Stopwatch()
    with failing_plainly():
        request = batches.load(lake, context.partition_key)
        manifest = write_manifest(
            lake, warehouse, stream, request, lambda: _metrics(lake, request, owner=context.run.run_id)
        )
    docs = batches.dataset_folder(lake, request) / DATA_DOCS / "index.html"
    shown = {"data_docs": address(lake.uri(docs))} if request.delivery.s3 else {}
    yield dg.MaterializeResult(
        metadata={
            **shown,
            "s3_uri": address(manifest["s3_uri"]) if manifest["s3_uri"] else "not exported",
            "number": manifest["number"],
            "dagster/row_count": manifest["rows"],
            "fraudulent": manifest["fraudulent"],
            "legit": manifest["legit"],
            "seconds": watch.seconds,
            **_figures(manifest),
            "receipts_sha": manifest["receipts_sha"],
            "audit_position": manifest["audit"]["position"],
            "sinks": dg.MetadataValue.md(_sinks_table(manifest["sinks"])),
            "shards": dg.MetadataValue.md(
                "| shard | rows | fraudulent | incidents | shortened | most plays of one case |\n"
                "| --- | --- | --- | --- | --- | --- |\n"
                + "\n".join(
                    f"| {name} | {r['rows']} | {r['fraudulent']} | {r['incidents']}"
                    f" | {r['shortened_incidents'] + r['cut_incidents']} | {r['plays_of_one_case']} |"
                    for name, r in manifest["shards"].items()
                )
            ),
        },
        data_version=dg.DataVersion(manifest["receipts_sha"]),
        check_results=[
            _realism_check(manifest["metrics"].get("realism", {})),
            _expectations_check(manifest["metrics"].get("expectations", []), shown),
            _shortcuts_check(manifest["metrics"].get("shortcuts", [])),
        ],
    )


def _figures(manifest: Mapping[str, Any]) -> dict[str, float]:
    """The batch in numbers that can be followed over batches."""
    models = [receipt.get("model", {}) for receipt in manifest["shards"].values()]
    different = [model["structurally_different"] for model in models if "structurally_different" in model]
    measured = manifest["metrics"]
    judged = [line for line in measured.get("realism", {}).values() if line["judged"]]
    expectations = measured.get("expectations", [])
    shortcuts = measured.get("shortcuts", [])
    return {
        "fraud_share": round(manifest["fraudulent"] / manifest["rows"], 6),
        "incidents": sum(receipt["incidents"] for receipt in manifest["shards"].values()),
        **{name: sum(model.get(name, 0) for model in models) for name in COUNTED},
        **({"least_different": round(min(different), 4)} if different else {}),
        "cost_usd": float(sum(model.get("cost_usd", 0.0) for model in models)),
        "realism_judged": len(judged),
        "realism_in_goal": sum(line["in_goal"] for line in judged),
        "expectations": len(expectations),
        "expectations_met": sum(outcome["met"] for outcome in expectations),
        "shortcuts_failed": sum(line["status"] == "failed" for line in shortcuts),
        **worst_rules([line for line in shortcuts if line["estimate"] is not None]),
    }


def _metrics(lake: LakeResource, request: GenerationRequest, owner: str) -> dict[str, Any]:
    """What the manifest records of the rows; on the way the data docs are written beside the dataset."""
    from sgf_pipeline.quality import expectations, realism  # pandas, and three seconds of Great Expectations

    content = request.content
    shards = ((name, _rows(lake, request, name, realism.COLUMNS)) for name in content.scenarios)
    statistics = realism.measure(realism.collect(shards, content), content)
    rows = expectations.gather(
        (batch for name in content.scenarios for batch in _rows(lake, request, name, expectations.COLUMNS)), content
    )
    with tempfile.TemporaryDirectory() as folder:
        expected = expectations.expect(rows, content, statistics, Path(folder) if request.delivery.s3 else None)
    for page, html in expected.pages.items():
        lake.write_bytes(batches.dataset_folder(lake, request) / DATA_DOCS / page, html, owner)
    return {
        "realism": {
            line.name: {
                "label": line.label,
                "scope": line.scope,
                "value": _rounded(line.value),
                "low": line.low,
                "high": line.high,
                "margin": _rounded(line.margin),
                "real": line.real,
                "judged": line.judged,
                "unjudged": line.unjudged,
                "in_goal": line.in_goal if line.judged else None,
            }
            for line in statistics
        },
        "expectations": [
            {
                "expectation": outcome.expectation,
                "column": outcome.column,
                "met": outcome.met,
                "observed": outcome.observed,
                "expected": outcome.expected,
            }
            for outcome in expected.outcomes
        ],
        "shortcuts": _shortcuts(lake, request),
    }


def _shortcuts(lake: LakeResource, request: GenerationRequest) -> list[dict[str, Any]]:
    """The audit's lines over the whole batch; none above ``AUDITED_ROWS``."""
    from sgf_pipeline.quality.shortcuts import audit_batch

    content = request.content
    if content.count > AUDITED_ROWS:
        return []
    shards: dict[str, pa.Table] = {
        name: pa.Table.from_batches(
            lake.read_rows(stage_path(lake, "validated_transactions", request.batch_id, name)), CLEAN_SCHEMA
        )
        for name in content.scenarios
    }
    return [
        {
            "name": finding.name,
            "status": finding.status,
            "rule": finding.rule or finding.why,
            "measure": finding.measure,
            "estimate": _rounded(finding.estimate),
            "bound": _rounded(finding.bound),
            "limit": _rounded(finding.limit),
        }
        for finding in audit_batch(shards, content.difficulty, seed=content.seed)
    ]


def _rows(
    lake: LakeResource, request: GenerationRequest, name: ScenarioName, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """The shard's rows as they were exported, or would have been."""
    exported = batches.shard_file(lake, request, name)
    kept = stage_path(lake, "labelled_transactions", request.batch_id, name)
    yield from lake.read_rows(exported if request.delivery.s3 else kept, columns=list(columns))


def _sinks_table(sinks: Mapping[str, Mapping[str, Any]]) -> str:
    """What each sink was read back to hold, all the same where they are done."""
    lines = [
        "| sink | state | rows | minor units | XOR of transaction ids | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {sink['state']} | {sink.get('rows', '')} | {sink.get('minor_units', '')}"
        f" | {sink.get('transaction_ids_xor', '')} | {sink.get('why', '')} |"
        for name, sink in sinks.items()
    ]
    return "\n".join(lines)


def _realism_check(lines: Mapping[str, Mapping[str, Any]]) -> dg.AssetCheckResult:
    outside = [name for name, line in lines.items() if line["judged"] and not line["in_goal"]]
    judged = sum(line["judged"] for line in lines.values())
    table = "\n".join(
        f"| {line['label']} | {line['scope']} | {_said(line['value'])} | {_said(line['low'])} … {_said(line['high'])}"
        f" | ± {line['margin']:.3f} | {line['real']} | {_verdict(line)} |"
        for line in lines.values()
    )
    return dg.AssetCheckResult(
        passed=not outside,
        check_name="realism",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "status": "judged" if judged else "not assessed: too few rows",
            "judged": judged,
            "outside": ", ".join(outside) or "none",
            "statistics": dg.MetadataValue.md(
                "| statistic | of | value | goal | widened by | real | |\n| --- | --- | --- | --- | --- | --- | --- |\n"
                + table
            ),
        },
    )


def _expectations_check(outcomes: list[Mapping[str, Any]], shown: Mapping[str, Any]) -> dg.AssetCheckResult:
    unmet = [outcome for outcome in outcomes if not outcome["met"]]
    table = "\n".join(
        f"| {outcome['column']} | {outcome['expectation']} | {outcome['expected']} | {outcome['observed']}"
        f" | {'met' if outcome['met'] else '**not met**'} |"
        for outcome in [*unmet, *(outcome for outcome in outcomes if outcome["met"])]
    )
    return dg.AssetCheckResult(
        passed=not unmet,
        check_name="expectations",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "evaluated": len(outcomes),
            "unmet": ", ".join(f"{outcome['column']}: {outcome['expectation']}" for outcome in unmet) or "none",
            "outcomes": dg.MetadataValue.md(
                "| column | expectation | expected | observed | |\n| --- | --- | --- | --- | --- |\n" + table
            ),
            **shown,
        },
    )


def _shortcuts_check(lines: list[Mapping[str, Any]]) -> dg.AssetCheckResult:
    failed = [line["name"] for line in lines if line["status"] == "failed"]
    return dg.AssetCheckResult(
        passed=not failed,
        check_name="shortcuts",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed": ", ".join(failed) or "none",
            "lines": dg.MetadataValue.md(
                "| line | status | rule | measure | estimate | bound | limit |\n"
                "| --- | --- | --- | --- | --- | --- | --- |\n"
                + "\n".join(
                    f"| {line['name']} | {line['status']} | {line['rule']} | {line['measure']}"
                    f" | {_said(line['estimate'])} | {_said(line['bound'])} | {_said(line['limit'])} |"
                    for line in lines
                )
            ),
        },
    )


def _verdict(line: Mapping[str, Any]) -> str:
    if not line["judged"]:
        why = line.get("unjudged")  # manifests of earlier versions do not say
        return f"not assessed: {why}" if why else "not assessed"
    return "in goal" if line["in_goal"] else "**outside**"


def _said(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"


def _rounded(number: float | None) -> float | None:
    """To six digits: more would be noise in an immutable record."""
    return None if number is None else round(number, 6)
