"""Stage 4: the gate. One bad row, or one rule that finds fraud too easily, fails the shard.

Belongs here: showing every answer as an asset check, then failing. The rules are ``quality.gate``'s and
``quality.shortcuts``'s. Bad rows lie in quarantine with their reasons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
from pandas.util import hash_array

from sgf_pipeline.assets.shard_context import Shard, failing_plainly, shard_of
from sgf_pipeline.assets.shown import OWNERS, Stopwatch, check, columns
from sgf_pipeline.assets.stage_files import StageFiles
from sgf_pipeline.domain.errors import ValidationFailedError
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.domain.streams import RowStream, table_stream
from sgf_pipeline.partitions import shards
from sgf_pipeline.resources.lake import LakeResource

if TYPE_CHECKING:
    from sgf_pipeline.quality.gate import Verdict

GATE_VERSION = "3"
CHECKS = {
    "schema": "every row has the schema's types, words, ranges and cross-column rules",
    "exact_counts": "rows and frauds are exactly those of the request",
    "unique_ids": "no transaction_id is repeated",
    "time_order": "rows are in time order",
    "links": "refunds and chargebacks name an earlier purchase of the same card and merchant, and do not exceed it",
    "transfers": "both legs of a transfer between two accounts of the shard agree",
    "money": "no account of a laundering scheme passes on more than the scheme brought it",
}
# The lines of ``quality.shortcuts.audit``, each a check of its own: ``shortcut_row_order`` …
AUDIT = {
    "row order": "the order of rows does not tell fraud",
    "microseconds": "the digits below a second do not tell fraud",
    "id shape": "the characters of identifiers do not tell fraud",
    "null pattern": "what is null does not tell fraud",
    "decimals": "the number of decimals does not tell fraud",
    "one-column recall": "no rule on one column finds most of the fraud with hardly a false alarm",
    "one-column AUC": "no single column orders rows by fraud too well",
    "depth-2 tree recall": "no tree of depth 2 finds most of the fraud with hardly a false alarm",
    "depth-2 tree AUC": "no tree of depth 2 orders rows by fraud too well",
    "concentration": "no customer, card or merchant has a part in too much of the fraud",
}
# Legitimate rows that the audit is handed at most, of whole customers. It draws what it needs from them.
AUDITED_ROWS = 200_000


def check_name(line: str) -> str:
    """The asset check of a line of the audit."""
    return "shortcut_" + line.lower().replace("-", "_").replace(" ", "_")


@dg.asset(
    group_name="validation",
    partitions_def=shards,
    io_manager_key="stage_files",
    code_version=GATE_VERSION,
    check_specs=[
        check("validated_transactions", name, text, shards, blocking=True)
        for name, text in {**CHECKS, **{check_name(line): text for line, text in AUDIT.items()}}.items()
    ],
    kinds={"pandera", "parquet"},
    owners=OWNERS,
    metadata=columns(CLEAN_SCHEMA),
    description="""Rows that passed the gate. Nothing downstream sees a shard that did not.

Seven checks of every row, link, transfer and sum, and the ten lines of the shortcut audit: no column, no order, no
null may give fraud away. One bad row, or one rule that finds fraud too easily, fails the shard for good; the bad rows
lie in `quarantine/` with their reasons. The rows are those of `clean_transactions`.

- `checks_passed`; `shortcuts_judged`: lines that the shard is large enough for; `shortcuts_failed`: 0, or it failed
- `worst_shortcut_auc`, `worst_shortcut_recall`: of the rule that finds fraud best, judged or only reported
""",
)
def validated_transactions(
    context: dg.AssetExecutionContext,
    clean_transactions: RowStream,
    lake: LakeResource,
    stage_files: dg.ResourceParam[StageFiles],
) -> Iterator[Any]:
    """Answer every check, then let the shard through or fail it."""
    from sgf_pipeline.quality.gate import judge  # pandera and pandas: a second that only this stage pays

    watch = Stopwatch()
    with failing_plainly():
        shard = shard_of(context, lake)
    verdict = judge(clean_transactions, shard.request.content, shard.scenario)
    answers = [
        *(dg.AssetCheckResult(passed=c.passed, check_name=c.name, metadata=c.numbers) for c in verdict.checks),
        *_audit(clean_transactions, shard, verdict),
    ]
    yield from answers
    quarantine = lake.path("quarantine", shard.request.batch_id, f"{shard.scenario}.parquet")
    with failing_plainly():
        lake.remove(quarantine)
        if not all(answer.passed for answer in answers):
            where = ""
            if verdict.bad_rows is not None:
                lake.write_rows(quarantine, table_stream(verdict.bad_rows), owner=context.run.run_id)
                where = f": the bad rows lie in {lake.uri(quarantine)}"
            failed = "; ".join(_what_failed(answer) for answer in answers if not answer.passed)
            raise ValidationFailedError(
                f"shard {shard.scenario} of {shard.request.batch_id} failed the gate ({failed}){where}"
            )
    yield stage_files.store(context, clean_transactions, _figures(answers), watch)


def _figures(answers: list[dg.AssetCheckResult]) -> dict[str, float]:
    """The gate in numbers that can be followed over batches."""
    lines = [{name: value.value for name, value in answer.metadata.items()} for answer in answers[-len(AUDIT) :]]
    judged = [line for line in lines if line["status"] != "not assessed"]
    figures: dict[str, float] = {
        "checks_passed": sum(answer.passed for answer in answers),
        "shortcuts_judged": sum(line["status"] in ("passed", "failed") for line in judged),
        "shortcuts_failed": sum(line["status"] == "failed" for line in judged),
    }
    return {**figures, **worst_rules(judged)}


def worst_rules(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """AUC and recall of the rules that find fraud best, where the audit has tried any."""
    found = {
        measure: [float(line["estimate"]) for line in lines if line.get("measure") == measure]
        for measure in ("AUC", "recall")
    }
    return {f"worst_shortcut_{name.lower()}": round(max(all_), 4) for name, all_ in found.items() if all_}


def _what_failed(answer: dg.AssetCheckResult) -> str:
    """The check's name; for a line of the audit also the rule that finds fraud too easily, and how well."""
    shown = {name: value.value for name, value in answer.metadata.items()}
    if "rule" not in shown:
        return str(answer.check_name)
    return f"{answer.check_name}: {shown['rule']}, {shown['measure']} {shown['estimate']:.3f}, limit {shown['limit']:g}"


def _audit(rows: RowStream, shard: Shard, verdict: "Verdict") -> Iterator[dg.AssetCheckResult]:
    """The shortcut audit's lines as checks. Rows that broke a rule are not audited: they are no data yet."""
    from sgf_pipeline.quality.shortcuts import audit

    if not verdict.passed:
        for line in AUDIT:
            yield dg.AssetCheckResult(
                passed=True,
                check_name=check_name(line),
                metadata={"status": "not assessed", "why": "the rows broke the gate"},
            )
        return
    content = shard.request.content
    handed = _whole_customers(rows, min(1.0, AUDITED_ROWS / max(shard.counts.legit, 1)))
    for finding in audit(handed, shard.scenario, content.difficulty, seed=content.seed):
        said = {name: value for name, value in asdict(finding).items() if value not in (None, "", ())}
        yield dg.AssetCheckResult(
            passed=finding.passed,
            check_name=check_name(finding.name),
            metadata={
                name: list(value) if isinstance(value, tuple) else value
                for name, value in said.items()
                if name not in ("name", "scenario")
            },
        )


def _whole_customers(rows: RowStream, share: float) -> pa.Table:
    """All frauds, and the legitimate rows of about ``share`` of the customers, chosen by their identifiers."""

    def chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
        customers = batch.column("customer_id")
        # Not by characters of the identifiers themselves: the audit would find that honest customers differ in these.
        luck = hash_array(customers.dictionary.to_numpy(zero_copy_only=False)) / 2.0**64
        drawn = (luck < share)[customers.indices.to_numpy()]
        return batch.filter(pa.array(drawn | batch.column("is_fraud").to_numpy(zero_copy_only=False)))

    return pa.Table.from_batches([batch if share == 1 else chosen(batch) for batch in rows], rows.schema)
