"""The best rule of each kind: a threshold, values learnt on other cases, a tree of two levels; and how sure it is.

Belongs here: search and confidence bounds. Does not belong here: what a column is
(``sgf_pipeline.quality.shortcut_columns``), limits and verdicts (``sgf_pipeline.quality.shortcuts``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgf_pipeline.quality.shortcut_columns import Bools, Column, Ints, Observed, Values

Floats = NDArray[np.float64]

FALSE_POSITIVES = 0.001
FOLDS = 5
# A column of structure is judged among the rows that carry it, where that are so many frauds of so many cases, and so
# many legitimate rows.
PRESENT_FRAUDS, PRESENT_CLUSTERS, PRESENT_OTHERS = 50, 5, 500
FRAUDS_A_TREE = 50  # a cell with fewer frauds gets no tree of its own
_CLEARLY = 2.0  # standard deviations that a value must have been fraud more often than its cell, to count
_ERROR = 0.05
_CUTS_A_TREE = 8  # a numeric column offers the tree this many quantiles of its frauds, less one
_VALUES_A_TREE = 8  # a column offers the tree at most this many values, each with a twentieth of the frauds


@dataclass(frozen=True)
class Among:
    """The rows that an AUC compares: how many frauds and legitimate rows of each cell, and what the cell counts.

    A null ties with everything, or, if only what is ``present`` counts, is left out.
    """

    frauds: Ints
    others: Ints
    weight: Floats
    present: bool = False

    @classmethod
    def of(cls, frauds: Ints, others: Ints, *, present: bool = False) -> "Among":
        # Frauds in a cell without any legitimate row say nothing about another column
        weight = np.where(others > 0, frauds, 0)
        return cls(frauds, others, weight / max(1, int(weight.sum())), present)


@dataclass(frozen=True)
class Grading:
    """Rows graded by one column: the higher the grade (< ``levels``; -1 is null), the more suspect."""

    column: Column
    text: str
    auc: float
    levels: int
    grades: Callable[[], Ints]
    among: Among


@dataclass(frozen=True)
class Rule:
    """A rule that flags rows within the false positives allowed."""

    column: str
    text: Callable[[], str]
    recall: float
    false_positive_rate: float
    flagged: Callable[[], Bools]


class Rules:
    """The rules that the columns of some rows make."""

    def __init__(self, seen: Observed) -> None:
        self._seen = seen
        self.allowed = int(FALSE_POSITIVES * (seen.others.stop - seen.others.start))
        cells = len(seen.cells)
        self._cell_frauds = np.bincount(seen.cell[seen.frauds], minlength=cells)
        self._cell_others = np.bincount(seen.cell[seen.others], minlength=cells)
        self.all = Among.of(self._cell_frauds, self._cell_others)
        self._fold = _folds(seen)
        self._stratum = (seen.cell * FOLDS + self._fold).astype(np.int64)
        self._clusters = np.unique(seen.cluster[seen.frauds], return_inverse=True)[1]

    def _counts(self, codes: Ints, size: int) -> tuple[Ints, Ints]:
        """Frauds and legitimate rows by (cell, code); nulls are left out."""
        key = self._seen.cell * (size + 1) + codes + 1
        shape = (len(self._seen.cells), size + 1)
        frauds = np.bincount(key[self._seen.frauds], minlength=shape[0] * shape[1])
        others = np.bincount(key[self._seen.others], minlength=shape[0] * shape[1])
        return frauds.reshape(shape)[:, 1:], others.reshape(shape)[:, 1:]

    def _among(self, column: Column) -> Among:
        """All rows, or, for a column of structure, those that carry it (so many in each cell), if they are enough."""
        if not column.structural:
            return self.all
        carried = column.codes >= 0
        in_frauds, in_others = carried[self._seen.frauds], carried[self._seen.others]
        if carried.all() or in_frauds.sum() < PRESENT_FRAUDS or in_others.sum() < PRESENT_OTHERS:
            return self.all
        if len(np.unique(self._clusters[in_frauds])) < PRESENT_CLUSTERS:
            return self.all
        frauds, others = (
            np.bincount(self._seen.cell[part][here], minlength=len(self._seen.cells))
            for part, here in ((self._seen.frauds, in_frauds), (self._seen.others, in_others))
        )
        return Among.of(frauds, others, present=True)

    def look_at(self, column: Column, *, flagging: bool) -> tuple[list[Grading], list[Rule]]:
        """What can be made of a column: in order (the better direction), and by values learnt on other cases.

        Rules that flag rows are only sought where ``flagging``.
        """
        gradings: list[Grading] = []
        rules: list[Rule] = []
        among = self._among(column)
        if column.ordered:
            frauds, others = self._counts(column.codes, column.size)
            auc = _stratified_auc(frauds, others, among)
            if auc >= 0.5:
                what, grades = f"high {column.name}", lambda: column.codes
            else:
                what, auc, grades = f"low {column.name}", 1 - auc, lambda: _turned(column)
            gradings.append(Grading(column, what, auc, column.size, grades, among))
            if flagging:
                rules.append(self._threshold(column, frauds, others))
        if column.by_value:
            grading_and_rule = self._by_value(column, among)
            if grading_and_rule:
                grading, rule = grading_and_rule
                gradings.append(grading)
                if flagging:
                    rules.append(rule())
        return gradings, rules

    def look_at_values(self, values: Values, least: float) -> list[Grading]:
        """What can be made of columns of few values, learnt on other cases; only an AUC above ``least`` is worth it.

        These columns should be the same everywhere, so a value is learnt over all cells together: it counts if it was
        fraud clearly more often than its rows' cells would have it.
        """
        size, cells, columns = values.NULL + 1, len(self._seen.cells), len(values.names)
        at = cells * FOLDS * size * np.arange(columns)[:, None]

        def counted(part: slice) -> Ints:
            stratum, codes = self._stratum[part], values.codes[:, part]
            every = np.bincount(stratum, minlength=cells * FOLDS)
            if values.unit is not None:  # rows without the entity are not looked at one by one
                present = np.flatnonzero(values.unit[part] >= 0)
                stratum, codes = stratum[present], codes[:, present]
            keys = (at + size * stratum + codes).ravel()
            counts = np.bincount(keys, minlength=at.size * cells * FOLDS * size).reshape(columns, -1, size)
            counts[:, :, values.NULL] += every - counts.sum(axis=2)
            return counts.reshape(columns, cells, FOLDS, size)

        frauds, others = counted(self._seen.frauds), counted(self._seen.others)
        there = slice(0, values.NULL)
        elsewhere = frauds.sum(axis=2, keepdims=True) - frauds
        rows = elsewhere + others.sum(axis=2, keepdims=True) - others
        base = elsewhere[..., there].sum(axis=3, keepdims=True)
        base = base / np.maximum(rows[..., there].sum(axis=3, keepdims=True), 1)
        seen, expected = elsewhere.sum(axis=1), (rows * base).sum(axis=1)
        clearly = seen - expected > _CLEARLY * np.sqrt(expected)
        clearly[..., values.NULL] = False
        # Even if all frauds with such a value lay above all other rows, the AUC were half their share above a half
        carried = np.maximum(frauds[..., there].sum(axis=(1, 2, 3)), 1)
        share = (frauds.sum(axis=1) * clearly).sum(axis=(1, 2)) / carried
        lift = np.round((seen + 1) / (expected + 1), 9)
        gradings = []
        for number in np.flatnonzero(0.5 + share / 2 > least):
            row = values.codes[number].astype(np.int64)
            codes = np.where(row == values.NULL, -1, row)
            column = Column(values.names[int(number)], values.kind, codes, size, False, str, True, values.unit)
            among = self._among(column)
            score = np.where(clearly[number], lift[number], 0.0)
            order, levels = _graded(score.ravel())
            kept = order.reshape(FOLDS, size)[:, there] if among.present else order
            graded_cells = (np.arange(cells)[:, None] * levels + kept.ravel()).ravel()
            by_cell = [
                np.bincount(
                    graded_cells, (part[number][..., there] if among.present else part[number]).ravel(), cells * levels
                ).reshape(cells, levels)
                for part in (frauds, others)
            ]
            worth = ", ".join(f"{value:x}" for value in np.flatnonzero(clearly[number].any(axis=0)))

            def grades(row: Ints = row, order: Ints = order, present: bool = among.present) -> Ints:
                graded: Ints = order[self._fold * size + row]
                return np.where(present & (row == values.NULL), -1, graded)

            text = f"{column.name} in {{{worth}}} (values learnt on other cases)"
            auc = _stratified_auc(by_cell[0], by_cell[1], among)
            gradings.append(Grading(column, text, auc, levels, grades, among))
        return gradings

    def _threshold(self, column: Column, frauds: Ints, others: Ints) -> Rule:
        """The best threshold, over all rows or within one cell."""
        found = np.cumsum(np.vstack([frauds, frauds.sum(axis=0)]), axis=1)
        wrong = np.cumsum(np.vstack([others, others.sum(axis=0)]), axis=1)
        low = np.where(wrong <= self.allowed, found, 0)
        high = np.where(wrong[:, -1:] - wrong <= self.allowed, found[:, -1:] - found, 0)  # codes above
        downwards = bool(low.max() >= high.max())
        if downwards:
            row, code = divmod(int(low.argmax()), column.size)
        else:  # the last of equals: it flags fewest
            row, code = divmod(high.size - 1 - int(high.ravel()[::-1].argmax()), column.size)
        inside = row < len(self._seen.cells)
        count, mistakes = (
            (low[row, code], wrong[row, code]) if downwards else (high[row, code], wrong[row, -1] - wrong[row, code])
        )

        def flagged() -> Bools:
            rows = (column.codes <= code) & (column.codes >= 0) if downwards else column.codes > code
            return rows & (self._seen.cell == row) if inside else rows

        def text() -> str:
            where = f"in {self._seen.cells[row]}, " if inside else ""
            return f"{where}{column.name} " + (f"≤ {column.say(code)}" if downwards else f"≥ {column.say(code + 1)}")

        return Rule(column.name, text, *self._shares(int(count), int(mistakes)), flagged)

    def _by_value(self, column: Column, among: Among) -> tuple[Grading, Callable[[], Rule]] | None:
        """Values are as suspect as they were, in their cell, in the cases of other folds.

        For the order within a cell a value counts by how much more often than the cell it was fraud there, so that
        folds with many frauds do not look innocent; a value that was not clearly more often fraud counts nothing.
        """
        of_fraud = self._fold[self._seen.frauds] * (column.size + 1) + column.codes[self._seen.frauds] + 1
        in_folds = np.bincount(of_fraud, minlength=FOLDS * (column.size + 1)).reshape(FOLDS, -1)
        if column.ordered:
            in_folds[:, 0] = 0  # that a number is absent is told by the null pattern
        kept = np.flatnonzero((in_folds > 0).sum(axis=0) > 1)
        if not len(kept):
            return None  # no value of a fraud is seen in two folds
        size = len(kept) + 1
        renumbered = np.zeros(column.size + 1, dtype=np.int64)
        renumbered[kept] = np.arange(1, size)
        key = self._stratum * size + renumbered[column.codes + 1]
        shape = (len(self._seen.cells), FOLDS, size)
        carried = column.codes >= 0
        frauds, others = (
            np.bincount(key[part][carried[part]] if among.present else key[part], minlength=shape[0] * FOLDS * size)
            .reshape(shape)
            for part in (self._seen.frauds, self._seen.others)
        )  # fmt: skip
        elsewhere = frauds.sum(axis=1, keepdims=True) - frauds
        rows = elsewhere + others.sum(axis=1, keepdims=True) - others
        learnt = np.flatnonzero((elsewhere > 0) & (np.arange(size) > 0))
        seen_frauds, seen_rows = elsewhere.ravel()[learnt], rows.ravel()[learnt]
        base = (elsewhere.sum(axis=2) / np.maximum(rows.sum(axis=2), 1)).ravel()[learnt // size]
        lift = np.round((seen_frauds + base) / (seen_rows + 1) / base, 9)
        own_frauds, own_others = frauds.ravel()[learnt], others.ravel()[learnt]

        def by_row(grade: Ints) -> Ints:
            table = np.zeros(frauds.size, dtype=np.int64)
            table[learnt] = grade
            graded: Ints = table[key]
            return graded

        clearly = seen_frauds - seen_rows * base > _CLEARLY * np.sqrt(seen_rows * base)
        order, levels = _graded(np.where(clearly, lift, 0.0))
        cell = learnt // (FOLDS * size) * levels + order
        by_cell = [np.bincount(cell, own, shape[0] * levels).reshape(-1, levels) for own in (own_frauds, own_others)]
        for counts, totals in zip(by_cell, (among.frauds, among.others), strict=True):
            counts[:, 0] += totals - counts.sum(axis=1)
        text = f"{column.name} (values learnt on other cases)"
        auc = _stratified_auc(by_cell[0], by_cell[1], among)
        grading = Grading(
            column, text, auc, levels, lambda: np.where(among.present & ~carried, -1, by_row(order)), among
        )

        def rule() -> Rule:
            rate, rates = _graded(seen_frauds / (seen_rows + 1.0))
            found = np.cumsum(np.bincount(rate, own_frauds, rates)[:0:-1])
            wrong = np.cumsum(np.bincount(rate, own_others, rates)[:0:-1])
            within = int(np.count_nonzero(wrong <= self.allowed))
            count, mistakes = (int(found[within - 1]), int(wrong[within - 1])) if within else (0, 0)

            def flagged() -> Bools:
                return by_row(rate) >= rates - within

            def words() -> str:
                codes = column.codes[self._seen.frauds][flagged()[self._seen.frauds]]
                chosen, times = np.unique(codes, return_counts=True)
                top = chosen[np.argsort(-times, kind="stable")[:4]]
                named = ", ".join("null" if code < 0 else column.say(int(code)) for code in top)
                more = f" and {len(chosen) - len(top)} more" if len(chosen) > len(top) else ""
                return f"{column.name} in {{{named}{more}}}"

            return Rule(column.name, words, *self._shares(count, mistakes), flagged)

        return grading, rule

    def _shares(self, found: int, wrong: int) -> tuple[float, float]:
        return found / int(self._cell_frauds.sum()), wrong / int(self._cell_others.sum())

    def auc_bound(self, grading: Grading, tried: int) -> float:
        """Lower limit of the AUC: structural components (DeLong), summed by cluster (Obuchowski).

        Frauds hang together by case, legitimate rows by customer; where a column only describes an entity, both also
        by that entity, and the wider of the two counts.
        """
        seen, grades, among = self._seen, grading.grades(), grading.among
        frauds, others = self._counts(grades, grading.levels)
        placed_frauds, placed_others = _placements(others, among.others), _placements(frauds, among.frauds)
        compared = grades >= 0 if among.present else np.ones(seen.rows, dtype=bool)
        fraud, other = compared[seen.frauds], compared[seen.others]
        of_fraud = _by_row(placed_frauds, seen.cell, grades)[seen.frauds][fraud]
        of_other = 1 - _by_row(placed_others, seen.cell, grades)[seen.others][other]
        cell_of_fraud, cell_of_other = seen.cell[seen.frauds][fraud], seen.cell[seen.others][other]
        in_cell = np.bincount(cell_of_fraud, of_fraud, len(seen.cells)) / np.maximum(among.frauds, 1)
        fraud_parts = (among.weight / np.maximum(among.frauds, 1))[cell_of_fraud] * (of_fraud - grading.auc)
        other_parts = (among.weight / np.maximum(among.others, 1))[cell_of_other] * (of_other - in_cell[cell_of_other])
        clusters, customers = self._clusters[fraud], seen.customer[seen.others][other]
        variances = [clustered_variance(fraud_parts, clusters) + clustered_variance(other_parts, customers)]
        freedom = len(np.unique(clusters)) - 1
        if grading.column.unit is not None:
            unit = grading.column.unit
            units = _or_else(unit[seen.frauds][fraud], clusters)
            variances.append(
                clustered_variance(fraud_parts, units)
                + clustered_variance(other_parts, _or_else(unit[seen.others][other], customers))
            )
            freedom = min(freedom, len(np.unique(units)) - 1)
        return max(0.0, grading.auc - quantile(tried, freedom) * float(np.sqrt(max(variances))))

    def recall_bound(self, rule: Rule, tried: int) -> float:
        """Lower limit of the recall: a ratio over clusters."""
        found = rule.flagged()[self._seen.frauds]
        variance = clustered_variance((found - rule.recall) / len(found), self._clusters)
        return max(0.0, rule.recall - quantile(tried, int(self._clusters.max())) * float(np.sqrt(variance)))


class Trees:
    """The best tree of two levels: a root and a split below each side, chosen over all pairs of conditions at once."""

    def __init__(self, seen: Observed, columns: list[Column], allowed: int) -> None:
        self._seen = seen
        self._allowed = allowed
        conditions = [
            condition for column in columns if column.kind == "row" for condition in _conditions(column, seen.frauds)
        ]
        self._texts = [text for text, _ in conditions]
        self._holds = np.array([rows for _, rows in conditions])
        cells = len(seen.cells)
        # pairs[cell][a, b]: how many of the cell's rows meet both conditions. Rows are sorted by (fraud, cell).
        self._n_others = np.bincount(seen.cell[seen.others], minlength=cells)
        self._n_frauds = np.bincount(seen.cell[seen.frauds], minlength=cells)
        ends = np.cumsum(np.append(self._n_others, self._n_frauds))
        pairs = []
        for end, length in zip(ends, np.append(self._n_others, self._n_frauds), strict=True):
            holds = self._holds[:, end - length : end].astype(np.float32)
            pairs.append(holds @ holds.T)
        self._others, self._frauds = pairs[:cells], pairs[cells:]

    def rule(self) -> Rule:
        """The leaves of one tree that find most within the false positives allowed."""
        sides = _sides(
            np.sum(self._frauds, axis=0),
            np.sum(self._others, axis=0),
            int(self._n_frauds.sum()),
            int(self._n_others.sum()),
        )
        budgets = (self._allowed, self._allowed // 2, 0)
        best: dict[tuple[int, int], tuple[Floats, Ints]] = {}
        for side, (frauds, others) in enumerate(sides):
            for number, budget in enumerate(budgets):
                within = np.where(others <= budget, frauds, 0).reshape(len(frauds), -1)
                at = within.argmax(axis=1)
                best[side, number] = within[np.arange(len(at)), at], at
        totals = {split: best[0, split][0] + best[1, 2 - split][0] for split in range(3)}
        split = max(totals, key=lambda split: float(totals[split].max()))
        root = int(totals[split].argmax())
        flagged = np.zeros(self._seen.rows, dtype=bool)
        leaves = []
        for side, number in ((0, split), (1, 2 - split)):
            found, at = best[side, number]
            if not found[root]:
                continue
            holds, below = divmod(int(at[root]), len(self._texts))
            flagged |= (self._holds[root] == (side == 0)) & (self._holds[below] == (holds == 0))
            leaves.append(f"({_said(self._texts[root], side == 0)} and {_said(self._texts[below], holds == 0)})")
        return Rule(
            "tree",
            lambda: " or ".join(leaves) or "no tree",
            float(flagged[self._seen.frauds].mean()),
            float(flagged[self._seen.others].mean()),
            lambda: flagged,
        )

    def grading(self, among: Among) -> Grading:
        """The tree with the best AUC in each cell with ``FRAUDS_A_TREE`` (or the largest); rows graded by leaf."""
        grades = np.zeros(self._seen.rows, dtype=np.int64)
        enough = min(FRAUDS_A_TREE, int(self._n_frauds[among.weight > 0].max(initial=0)))
        weight = np.where(self._n_frauds >= enough, among.weight, 0.0)
        weight = weight / max(float(weight.sum()), 1e-12)
        auc, text, heaviest = 0.0, "no tree", 0.0
        for cell in np.flatnonzero(weight > 0):
            value, root, left, right = _best_tree(
                self._frauds[cell], self._others[cell], int(self._n_frauds[cell]), int(self._n_others[cell])
            )
            auc += float(weight[cell]) * value
            rows = np.flatnonzero(self._seen.cell == cell)
            holds, if_so, if_not = (self._holds[number][rows] for number in (root, left, right))
            leaf = np.where(holds, 2 + if_so, if_not.astype(int))
            frauds = np.bincount(leaf[rows >= self._seen.frauds.start], minlength=4)
            rate = frauds / np.maximum(np.bincount(leaf, minlength=4), 1)
            grades[rows] = np.unique(rate, return_inverse=True)[1][leaf]
            if weight[cell] > heaviest:
                heaviest = float(weight[cell])
                names = [self._texts[number] for number in (root, left, right)]
                text = f"a tree ({names[0]}; if so, {names[1]}; if not, {names[2]}; in {self._seen.cells[cell]})"
        looked_at = replace(among, weight=weight)
        return Grading(Column("tree", "row", grades, 4, True, str), text, auc, 4, lambda: grades, looked_at)


def _sides(frauds: Floats, others: Floats, n_frauds: int, n_others: int) -> list[tuple[Floats, Floats]]:
    """Frauds and legitimate rows below either side of every root: (root, meets the lower one or not, lower one)."""
    sides = []
    for holds in (True, False):
        counts = []
        for both, total in ((frauds, n_frauds), (others, n_others)):
            alone = np.diag(both)
            meets = both if holds else alone[None] - both
            size = alone if holds else total - alone
            counts.append(np.stack([meets, size[:, None] - meets], axis=1))
        sides.append((counts[0], counts[1]))
    return sides


def _best_tree(frauds: NDArray[Any], others: NDArray[Any], n_frauds: int, n_others: int) -> tuple[float, int, int, int]:
    """AUC, root and the conditions below it. Each side takes the split that separates its own rows best."""
    rate = []
    chosen = []
    for f, o in _sides(frauds, others, n_frauds, n_others):
        gain = np.abs(f[:, 0] * o[:, 1] - f[:, 1] * o[:, 0])
        at = gain.argmax(axis=1)
        chosen.append(at)
        index = np.arange(len(at))
        rate += [(f[index, 0, at], o[index, 0, at]), (f[index, 1, at], o[index, 1, at])]
    leaf_frauds = np.stack([pair[0] for pair in rate], axis=1)
    leaf_others = np.stack([pair[1] for pair in rate], axis=1)
    order = np.argsort(leaf_frauds / np.maximum(leaf_frauds + leaf_others, 1), axis=1)
    leaf_frauds = np.take_along_axis(leaf_frauds, order, axis=1)
    leaf_others = np.take_along_axis(leaf_others, order, axis=1)
    below = np.cumsum(leaf_others, axis=1) - leaf_others / 2
    auc = (leaf_frauds * below).sum(axis=1) / (n_frauds * n_others)
    root = int(auc.argmax())
    return float(auc[root]), root, int(chosen[0][root]), int(chosen[1][root])


def _conditions(column: Column, frauds: slice) -> Iterable[tuple[str, Bools]]:
    """The conditions that a column offers to the tree."""
    of_fraud = column.codes[frauds]
    counts = np.bincount(of_fraud[of_fraud >= 0], minlength=column.size)
    least = max(1, len(of_fraud) // 20)
    for code in np.argsort(-counts, kind="stable")[:_VALUES_A_TREE]:
        if counts[code] >= least and (code % 2 or not column.ordered):
            yield f"{column.name} = {column.say(int(code))}", column.codes == code
    if column.ordered:
        cuts: set[int] = set()
        every = np.bincount(column.codes + 1, minlength=column.size + 1)[1:]
        for of_code, parts in ((counts, _CUTS_A_TREE), (every, 4)):
            upto = np.cumsum(of_code)
            if upto[-1]:
                cuts |= set(np.searchsorted(upto, upto[-1] * np.arange(1, parts) // parts, side="right").tolist())
        for cut in sorted(cuts):
            sign = "≤" if cut % 2 else "<"
            yield f"{column.name} {sign} {column.say(cut)}", (column.codes <= cut) & (column.codes >= 0)
    elif (column.codes < 0).any():
        yield f"{column.name} is null", column.codes < 0


def _said(condition: str, holds: bool) -> str:
    """A condition of the tree, or its opposite; a null meets no threshold."""
    if not holds:
        for sign, opposite in ((" ≤ ", " > "), (" < ", " ≥ "), (" = ", " ≠ "), (" is null", " is not null")):
            if sign in condition:
                return condition.replace(sign, opposite, 1)
    return condition


def _stratified_auc(frauds: Ints, others: Ints, among: Among) -> float:
    """AUC within the cells, weighted by their frauds; ``frauds`` and ``others`` by (cell, grade), nulls left out."""
    placed = (frauds * _placements(others, among.others)).sum(axis=1)
    placed += 0.5 * (among.frauds - frauds.sum(axis=1))
    return float((among.weight * placed / np.maximum(among.frauds, 1)).sum())


def _placements(others: Ints, totals: Ints) -> Floats:
    """(cell, code): the share of the cell's other rows that lie below, ties and nulls half."""
    below = np.cumsum(others, axis=1) - others / 2
    nulls = totals - others.sum(axis=1)
    return np.asarray((below + nulls[:, None] / 2) / np.maximum(totals, 1)[:, None])


def _by_row(table: Floats, cell: Ints, codes: Ints) -> Floats:
    return np.where(codes >= 0, table[cell, np.maximum(codes, 0)], 0.5)


def _or_else(units: Ints, clusters: Ints) -> Ints:
    """Numbers of units, and after them of clusters for the rows that have no unit."""
    return np.where(units >= 0, units, int(units.max()) + 1 + clusters)


def clustered_variance(parts: Floats, clusters: Ints) -> float:
    """Variance of the sum of parts that hang together within clusters."""
    sums = np.bincount(clusters, parts)
    count = np.count_nonzero(np.bincount(clusters))
    return float((sums**2).sum() * count / max(count - 1, 1))


def quantile(tried: int, freedom: int) -> float:
    """One-sided 95 % point of Student's t over ``tried`` columns together (Bonferroni; expansion of Hill, 1970)."""
    z = NormalDist().inv_cdf(1 - _ERROR / tried)
    n = max(freedom, 1)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def _graded(score: Floats) -> tuple[Ints, int]:
    """Scores as grades from 1 (0 is kept for a score of 0), and how many grades there are."""
    values, grade = np.unique(np.append(0.0, score), return_inverse=True)
    return grade[1:], len(values)


def _turned(column: Column) -> Ints:
    return np.where(column.codes >= 0, column.size - 1 - column.codes, -1)


def _folds(seen: Observed) -> Ints:
    """Fold of each row: cases are dealt out by size; a customer's other rows go with the case that touched them."""
    cases = seen.case[seen.frauds]
    groups = cases if len(np.unique(cases)) >= FOLDS else seen.incident[seen.frauds]
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    dealt = np.empty(len(counts), dtype=np.int64)
    dealt[np.argsort(-counts, kind="stable")] = np.arange(len(counts)) % FOLDS
    of_customer = np.arange(int(seen.customer.max()) + 1) % FOLDS
    of_customer[seen.customer[seen.frauds]] = dealt[group]
    return np.concatenate([of_customer[seen.customer[seen.others]], dealt[group]])
