"""The shortcut audit: can fraud be found by a rule that learns nothing about behaviour?

Belongs here: the lines of the audit, their limits and verdicts. What a rule may look at is in
``sgf_pipeline.quality.shortcut_columns``, how the best one is found in ``sgf_pipeline.quality.shortcut_rules``. Does
not belong here: detectors that learn (gradient boosting), or whether legitimate traffic is realistic.
``docs/audit.md`` explains the method to users.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.schema import CLEAN_SCHEMA
from sgf_pipeline.quality.shortcut_columns import Bools, Ints, Observed, encoded
from sgf_pipeline.quality.shortcut_rules import Grading, Rule, Rules, Trees, clustered_variance, quantile

Status = Literal["passed", "failed", "reported", "not assessed"]

STRUCTURE = ("row order", "microseconds", "id shape", "null pattern", "decimals")
SEPARABILITY = ("one-column recall", "one-column AUC", "depth-2 tree recall", "depth-2 tree AUC")
SHARED = ("device_id", "ip_address", "merchant_id", "counterparty_account_id")
POOLED = "pooled"

STRUCTURE_AUC = 0.6
RECALL = 0.5
POOLED_AUC = 0.85
CARD_TESTING_AUC = 0.95
ONE_ENTITY_SHARE = 0.25
SEPARABLE_BELOW = 0.5  # below this difficulty, separability is reported, not judged
FRAUDS_NEEDED = 200
LEGITIMATE_NEEDED = 5_000
INCIDENTS_NEEDED = 5
# Under this many customers one customer's things are a tenth of all rows or more, whoever is defrauded: that fraud
# names few of them, or that their few identifiers differ from the others', says nothing about the generator.
CUSTOMERS_NEEDED = 10
# Above this many legitimate rows, whole customers are drawn until there are as many.
LEGITIMATE_ENOUGH = 20_000
_WAYS_TO_CONCENTRATE = 6  # three entities, by rows and by incidents


@dataclass(frozen=True)
class Finding:
    """One line of the audit: the best rule of one kind that was found, and what is thought of it.

    ``estimate`` is what ``limit`` limits (``measure`` names it); ``bound`` is its one-sided 95 % confidence limit on
    the lenient side, over all columns tried together. A line fails only where the bound is past the limit.
    ``also`` names the other columns whose estimate is past the limit. Shares and AUCs lie in 0..1.
    """

    name: str
    scenario: str
    status: Status
    rule: str
    measure: str = ""
    estimate: float | None = None
    bound: float | None = None
    limit: float | None = None
    recall: float | None = None
    false_positive_rate: float | None = None
    auc: float | None = None
    also: tuple[str, ...] = ()
    why: str = ""

    @property
    def passed(self) -> bool:
        """False only for a failed line: what is not assessed or only reported stops nothing."""
        return self.status != "failed"

    def __str__(self) -> str:
        figures = ""
        if self.estimate is not None:
            figures = f" [{self.measure} {self.estimate:.3f}"
            figures += f", 95 % bound {self.bound:.3f}" if self.bound is not None else ""
            figures += f", limit {self.limit:g}]" if self.limit is not None else "]"
        also = f"; also {', '.join(self.also)}" if self.also else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.scenario}, {self.name}: {self.status}: {self.rule}{figures}{also}{why}"


def audit(rows: pa.Table | pd.DataFrame, scenario: str, difficulty: float, *, seed: int = 0) -> list[Finding]:
    """Audit the clean rows (``CLEAN_SCHEMA``, in file order) of one shard.

    ``seed`` draws the customers where the shard is too large to look at whole. Every check of the list is answered,
    if only by "not assessed".
    """
    table = _table(rows)
    why = _too_small(table)
    names = (*STRUCTURE, *SEPARABILITY, "concentration")
    if why:
        return [Finding(name, scenario, "not assessed", "", why=why) for name in names]
    table, shard, sampled = _sample(table, np.zeros(table.num_rows, dtype=np.int64), seed)
    auc_limit = CARD_TESTING_AUC if scenario == "card_testing" else None
    with _one_thread():
        search = _Search(Observed(table, shard), scenario, difficulty, sampled)
        return [*search.structure(), *search.separability(RECALL, auc_limit), _concentration(table, scenario)]


def audit_batch(shards: Mapping[str, pa.Table | pd.DataFrame], difficulty: float, *, seed: int = 0) -> list[Finding]:
    """Audit what is judged on a whole batch: pooled separability, and entities shared by customers.

    ``shards`` maps scenario to that shard's clean rows.
    """
    tables = [_table(rows) for rows in shards.values()]
    table = pa.concat_tables(tables)
    numbers = np.repeat(np.arange(len(tables)), [part.num_rows for part in tables])
    why = _too_small(table)
    if why:
        separability = [Finding(name, POOLED, "not assessed", "", why=why) for name in SEPARABILITY]
    else:
        some, shard, sampled = _sample(table, numbers, seed)
        with _one_thread():
            separability = _Search(Observed(some, shard), POOLED, difficulty, sampled).separability(None, POOLED_AUC)
    customers = encoded(table, "customer_id")[0]
    return [*separability, *(_sharing(table, numbers, customers, name) for name in SHARED)]


def _one_thread() -> threadpool_limits:
    """Products of small matrices on one thread: on a busy machine others cost several times the work in waiting."""
    return threadpool_limits(1)


def _table(rows: pa.Table | pd.DataFrame) -> pa.Table:
    if isinstance(rows, pd.DataFrame):
        rows = pa.Table.from_pandas(rows[CLEAN_SCHEMA.names], CLEAN_SCHEMA, preserve_index=False)
    return rows


def _too_small(table: pa.Table) -> str:
    """Why nothing can be said about the rows; empty if something can."""
    fraud = _frauds(table)
    frauds = int(fraud.sum())
    legitimate = table.num_rows - frauds
    if frauds < FRAUDS_NEEDED:
        return f"{frauds} frauds, at least {FRAUDS_NEEDED} are needed"
    if legitimate < LEGITIMATE_NEEDED:
        return f"{legitimate} legitimate rows, at least {LEGITIMATE_NEEDED} are needed"
    incidents = len(np.unique(np.asarray(table.column("incident").fill_null(-1))[fraud]))
    if incidents < INCIDENTS_NEEDED:
        return f"frauds of {incidents} incidents, at least {INCIDENTS_NEEDED} are needed"
    return ""


def _too_few_customers(customers: int) -> str:
    """Why nothing can be said about customers' things; empty if something can."""
    if customers >= CUSTOMERS_NEEDED:
        return ""
    return f"{customers} customer{'s' if customers > 1 else ''} with rows, at least {CUSTOMERS_NEEDED} are needed"


def _of_transaction(column: str) -> bool:
    return "transaction_id" in column


def _frauds(table: pa.Table) -> Bools:
    return np.asarray(table.column("is_fraud"))


def _sample(table: pa.Table, shard: Ints, seed: int) -> tuple[pa.Table, Ints, str]:
    """All frauds and legitimate rows of customers drawn by the seed; with a word about it where rows were left out."""
    legitimate = ~_frauds(table)
    if np.count_nonzero(legitimate) <= LEGITIMATE_ENOUGH:
        return table, shard, ""
    customer = encoded(table, "customer_id")[0]
    sizes = np.bincount(customer[legitimate], minlength=int(customer.max()) + 1)
    drawn = rng(seed, "shortcut audit").permutation(len(sizes))
    wanted = np.zeros(len(sizes), dtype=bool)
    wanted[drawn[: int(np.searchsorted(np.cumsum(sizes[drawn]), LEGITIMATE_ENOUGH)) + 1]] = True
    kept = np.flatnonzero(~legitimate | wanted[customer])
    note = f"legitimate rows of {wanted.sum():,} of {len(sizes):,} customers, drawn by seed {seed}"
    return table.take(pa.array(kept)), shard[kept], note


@dataclass(frozen=True)
class _Candidate:
    """A rule that could be a line's: what it looks at, what it reaches, and what costs something to find out or say."""

    column: str
    estimate: float
    bound: Callable[[], float]
    text: Callable[[], str]
    figures: dict[str, float]  # for the fields of a finding


class _Search:
    """Looks for the best rules in the rows of one shard (or of a pooled batch), and judges them."""

    def __init__(self, seen: Observed, scenario: str, difficulty: float, note: str) -> None:
        self._seen = seen
        self._rules = Rules(seen)
        self._scenario = scenario
        self._judged = difficulty >= SEPARABLE_BELOW
        self._note = note

    def structure(self) -> list[Finding]:
        columns = self._seen.structure()
        values = list(self._seen.values())
        few = _too_few_customers(len(np.unique(self._seen.customer)))
        if few:
            columns = [column for column in columns if column.kind != "id shape" or _of_transaction(column.name)]
            values = [some for some in values if some.kind != "id shape" or _of_transaction(some.names[0])]
        tried = len(columns) + sum(len(some.names) for some in values)
        lines = []
        for name in STRUCTURE:
            gradings = [
                grading
                for column in columns
                if column.kind == name
                for grading in self._rules.look_at(column, flagging=False)[0]
            ]
            for some in values:
                if some.kind == name:
                    gradings += self._rules.look_at_values(some, STRUCTURE_AUC)
            line = self._auc_line(name, gradings, STRUCTURE_AUC, tried, judged=True)
            if few and name == "id shape" and line.passed:
                why = f"{few} to look at the identifiers of entities; those of transactions show nothing"
                line = Finding(name, self._scenario, "not assessed", "", why=why)
            lines.append(line)
        return lines

    def separability(self, recall_limit: float | None, auc_limit: float | None) -> list[Finding]:
        columns = self._seen.columns()
        gradings: list[Grading] = []
        rules: list[Rule] = []
        for column in columns:
            some_gradings, some_rules = self._rules.look_at(column, flagging=True)
            gradings += some_gradings
            rules += some_rules
        trees = Trees(self._seen, columns, self._rules.allowed)
        tried, judged = len(columns), self._judged
        return [
            self._recall_line("one-column recall", rules, recall_limit, tried),
            self._auc_line("one-column AUC", gradings, auc_limit, tried, judged=judged),
            self._recall_line("depth-2 tree recall", [trees.rule()], recall_limit, tried),
            self._auc_line("depth-2 tree AUC", [trees.grading(self._rules.all)], auc_limit, tried, judged=judged),
        ]

    def _auc_line(
        self, name: str, gradings: list[Grading], limit: float | None, tried: int, *, judged: bool
    ) -> Finding:
        candidates = [
            _Candidate(
                grading.column.name,
                grading.auc,
                partial(self._rules.auc_bound, grading, tried),
                partial(_ordering, grading),
                {"auc": grading.auc},
            )
            for grading in gradings
        ]
        return self._line(name, "AUC", candidates, limit, judged=judged)

    def _recall_line(self, name: str, rules: list[Rule], limit: float | None, tried: int) -> Finding:
        candidates = [
            _Candidate(
                rule.column,
                rule.recall,
                partial(self._rules.recall_bound, rule, tried),
                partial(_flagging, rule),
                {"recall": rule.recall, "false_positive_rate": rule.false_positive_rate},
            )
            for rule in rules
        ]
        return self._line(name, "recall", candidates, limit, judged=self._judged)

    def _line(
        self, name: str, measure: str, candidates: list[_Candidate], limit: float | None, *, judged: bool
    ) -> Finding:
        """The candidate that is most surely past the limit, or else the one with the highest estimate."""
        if not candidates:
            return Finding(name, self._scenario, "passed", "no column of this kind varies", limit=limit)
        candidates = sorted(candidates, key=lambda one: -one.estimate)
        suspects = [one for one in candidates if limit is not None and one.estimate > limit] or candidates[:1]
        bound, worst = max(((one.bound(), one) for one in suspects), key=lambda pair: pair[0])
        return Finding(
            name,
            self._scenario,
            _status(bound, limit, judged=judged),
            worst.text(),
            measure=measure,
            estimate=worst.estimate,
            bound=bound,
            limit=limit,
            also=_also([one.column for one in suspects], worst.column),
            why=self._note,
            **worst.figures,
        )


def _ordering(grading: Grading) -> str:
    return f"{grading.text} orders rows with AUC {grading.auc:.3f} within (transaction_type, channel)"


def _flagging(rule: Rule) -> str:
    return f"{rule.text()} finds {rule.recall:.0%} of fraud at {rule.false_positive_rate:.2%} false positives"


def _status(bound: float, limit: float | None, *, judged: bool) -> Status:
    if limit is None:
        return "reported"
    if bound <= limit:
        return "passed"
    return "failed" if judged else "reported"


def _also(names: list[str], worst: str) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name != worst)


def _concentration(table: pa.Table, scenario: str) -> Finding:
    """What rests on one customer, card or merchant: the largest share of fraud rows that name it, or of incidents of
    which it carries half the fraud rows or more. That a popular shop occurs in many incidents is no fault."""
    few = _too_few_customers(len(np.unique(encoded(table, "customer_id")[0])))
    if few:
        return Finding("concentration", scenario, "not assessed", "", why=few)
    frauds = table.filter(table.column("is_fraud"))
    incident = np.unique(np.asarray(frauds.column("incident").fill_null(-1)), return_inverse=True)[1]
    sizes = np.bincount(incident)
    every = np.arange(len(sizes))
    lines = []
    for name in ("customer_id", "card_id", "merchant_id"):
        codes, words = encoded(frauds, name)
        present = codes >= 0
        if not present.any():
            continue
        pairs, counts = np.unique(codes[present] * len(sizes) + incident[present], return_counts=True)
        entity, of_incident = np.divmod(pairs, len(sizes))
        carries = 2 * counts >= sizes[of_incident]
        named, carrier = (
            int(np.bincount(codes[present]).argmax()),
            int(np.bincount(entity[carries], minlength=1).argmax()),
        )
        for what, most, part, clusters in (
            ("is named by {share:.0%} of fraud rows", named, codes == named, incident),
            (
                "carries at least half the fraud rows of {share:.0%} of incidents",
                carrier,
                np.isin(every, of_incident[carries & (entity == carrier)]),
                every,
            ),
        ):
            share = float(part.mean())
            spread = float(np.sqrt(clustered_variance((part - share) / len(part), clusters)))
            bound = max(0.0, share - quantile(_WAYS_TO_CONCENTRATE, len(sizes) - 1) * spread)
            lines.append((bound, share, f"{name} {words[most]} {what.format(share=share)}"))
    bound, share, text = max(lines, key=lambda line: (line[0] > ONE_ENTITY_SHARE, line[1]))
    status = _status(bound, ONE_ENTITY_SHARE, judged=True)
    return Finding("concentration", scenario, status, text, "share", share, bound, ONE_ENTITY_SHARE)


def _sharing(table: pa.Table, shard: Ints, customers: Ints, name: str) -> Finding:
    """Of the rows that carry the entity: the share whose entity two or more customers use, fraud against legitimate."""
    line = f"shared {name}"
    codes = encoded(table, name)[0]
    present = codes >= 0
    fraud = _frauds(table)
    frauds, others = np.flatnonzero(fraud & present), np.flatnonzero(~fraud & present)
    if len(frauds) < FRAUDS_NEEDED or len(others) < LEGITIMATE_NEEDED:
        why = f"{len(frauds)} frauds and {len(others)} legitimate rows carry it, at least "
        why += f"{FRAUDS_NEEDED} and {LEGITIMATE_NEEDED} are needed"
        return Finding(line, POOLED, "not assessed", "", why=why)
    # An entity is shared if a row of it names another customer than the one that is noted for it, whichever that is.
    noted = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    noted[codes[present]] = customers[present]
    shared = np.zeros(len(noted), dtype=bool)
    shared[codes[present & (customers != noted[codes])]] = True
    shared = shared[codes]
    of_fraud, of_others = float(shared[frauds].mean()), float(shared[others].mean())
    incident = np.asarray(table.column("incident").fill_null(-1)).astype(np.int64)[frauds]
    clusters = np.unique(shard[frauds] * (incident.max() + 1) + incident, return_inverse=True)[1]
    variance = clustered_variance((shared[frauds] - of_fraud) / len(frauds), clusters)
    variance += clustered_variance((shared[others] - of_others) / len(others), customers[others])
    bound = min(1.0, of_fraud + quantile(1, int(clusters.max())) * float(np.sqrt(variance)))
    rule = f"{of_fraud:.0%} of fraud rows and {of_others:.0%} of legitimate rows have a {name} of two or more customers"
    status: Status = "failed" if bound < of_others else "passed"
    return Finding(line, POOLED, status, rule, "share among fraud (the limit is a floor)", of_fraud, bound, of_others)
