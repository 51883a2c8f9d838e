"""How well a detector finds the fraud: from what stands in the row, and from behaviour as well.

Belongs here: the columns of a row as a detector sees them, folds that keep cases and customers apart, gradient
boosting, a junior's textbook rules, and the table of figures over difficulties. Does not belong here: the window
features (``sgf_pipeline.features``), single-column shortcuts (the audit), or thresholds of a gate.

Labels are ``is_fraud``: rows of an incident that are no fraud count as legitimate. Figures of a scenario are those of
the pooled detector on the rows of that scenario's shard.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.domain.schema import FEATURES, FIELDS
from sgf_pipeline.features.windows import window_features

FOLDS = 5
MIN_FRAUDS = 200  # below either, a figure says more about the draw than about the data
MIN_LEGITIMATE = 5_000
POOLED = "pooled"
DAY_S = 86_400
FASTEST_KMH = 500  # that a customer travels between two rows, airports and all
DRAWS = 200  # of the bootstrap
COUNTRIES = 100  # told apart; the learner's bins bound them
TRAINING_ROWS = 60_000  # at most, per fold: enough for the size of the trees, and a bound on the time

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Skill:
    """How well scores rank frauds above legitimate rows.

    ``auc_interval`` is the bootstrap 95 % interval, drawing whole cases of frauds and whole customers of legitimate
    rows. Figures are None where not assessed: under ``MIN_FRAUDS`` frauds or ``MIN_LEGITIMATE`` legitimate rows.
    """

    frauds: int
    legitimate: int
    auc: float | None
    auc_interval: tuple[float, float] | None
    average_precision: float | None

    @property
    def assessed(self) -> bool:
        return self.auc is not None


@dataclass(frozen=True)
class Detection:
    """Out-of-fold skill by ``POOLED`` and by scenario, without and with window features, and the scores behind it.

    ``scores`` has the frame's index and the columns ``rows_only`` and ``with_windows``.
    """

    rows_only: dict[str, Skill]
    with_windows: dict[str, Skill]
    scores: pd.DataFrame


_WORDS = {field.name: field.words for field in FIELDS if field.words and field.name in FEATURES}
_COUNTRIES = ("merchant_country", "counterparty_country", "ip_country")


def row_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """What stands in each row, as numbers (float64, NaN = null): no identifiers, nothing of another row.

    Words are their place in the schema's list, countries their rank among the frame's countries (the ``COUNTRIES`` most
    frequent; the others are one), merchant categories their number. Whether two columns of the row agree is in it,
    since a tree would need many splits for that.
    """
    amount = frame["amount"].to_numpy(np.float64)
    time = frame["event_time"].dt
    columns: dict[str, Any] = {
        "amount": amount,
        "amount_cents": np.round(amount % 1, 3),
        "amount_tens": np.round(amount % 10, 3),
        "hour": time.hour + time.minute / 60,
        "weekday": time.day_of_week,
        "merchant_category_code": pd.to_numeric(frame["merchant_category_code"].astype(object)),
        "account_age_days": frame["account_age_days"],
        "prior_disputes": frame["prior_disputes"],
        "latitude": frame["latitude"],
        "longitude": frame["longitude"],
    }
    for name, words in _WORDS.items():
        columns[name] = _places(frame[name], pd.Index(words))
    seen = pd.concat([frame[name].astype(object) for name in _COUNTRIES]).value_counts()
    countries = pd.Index(sorted(seen.index, key=lambda country: (-seen[country], country)))
    places = {name: _places(frame[name], countries) for name in _COUNTRIES}
    there = places["merchant_country"], places["ip_country"]
    columns["ip_in_merchant_country"] = np.where(np.isnan(there[0] + there[1]), np.nan, there[0] == there[1])
    columns |= {name: np.minimum(place, COUNTRIES) for name, place in places.items()}
    return pd.DataFrame(columns, index=frame.index).astype(np.float64)


def detect(frame: pd.DataFrame, seed: int = 0) -> Detection:
    """Train on four fifths of the cases and customers, score the rest, in turn for every fifth.

    ``frame``: transactions with their truth (``is_fraud``, ``case`` or ``case_id``) and ``shard`` (the scenario); any
    order. The same frame and seed give the same figures. Raises ``InvalidRequestError`` when no scenario has frauds of
    at least ``FOLDS`` cases, or there are no legitimate rows.
    """
    rows = row_columns(frame)
    both = pd.concat([rows, window_features(frame)], axis=1)
    fraud = frame["is_fraud"].to_numpy(bool)
    pairs = splits(frame, seed)
    scores = pd.DataFrame(
        {
            "rows_only": _out_of_fold(rows, fraud, pairs, seed),
            "with_windows": _out_of_fold(both, fraud, pairs, seed),
        },
        index=frame.index,
    )
    return Detection(
        _skills(scores["rows_only"].to_numpy(), frame, seed),
        _skills(scores["with_windows"].to_numpy(), frame, seed),
        scores,
    )


def importances(frame: pd.DataFrame, seed: int = 0, *, windows: bool = False) -> pd.DataFrame:
    """What tells: the loss of AUC when one column is shuffled among the held-out rows, per column and scenario.

    The index is the columns of ``row_columns`` (and of ``window_features`` with ``windows``), the columns are
    ``POOLED`` and the scenarios of the frame; means over folds, on all frauds and one legitimate row in four.
    (Permutation importance, Breiman 2001. Columns that say the same share their loss.)
    """
    columns = row_columns(frame)
    if windows:
        columns = pd.concat([columns, window_features(frame)], axis=1)
    fraud = frame["is_fraud"].to_numpy(bool)
    shard = frame["shard"].astype(str).to_numpy()
    values = columns.to_numpy(np.float64)
    names = [name for name in SCENARIO_NAMES if (shard == name).any()]
    losses = np.zeros((len(columns.columns), 1 + len(names)))
    for number, (model, test) in enumerate(_trained(columns, fraud, splits(frame, seed), seed)):
        deal = rng(seed, "detectors", "importances", number)
        rows = test[fraud[test] | (deal.random(len(test)) < 0.25)]
        held_out = values[rows]
        parts = [np.ones(len(rows), bool), *(shard[rows] == name for name in names)]
        whole = _aucs(model.decision_function(held_out), fraud[rows], parts)
        for place in range(held_out.shape[1]):
            kept = held_out[:, place].copy()
            held_out[:, place] = deal.permutation(kept)
            losses[place] += (whole - _aucs(model.decision_function(held_out), fraud[rows], parts)) / FOLDS
            held_out[:, place] = kept
    return pd.DataFrame(losses, index=columns.columns, columns=[POOLED, *names])


def splits(frame: pd.DataFrame, seed: int = 0) -> list[tuple[Ints, Ints]]:
    """``FOLDS`` pairs (train, test) of row positions; each row is tested once.

    No case has frauds on both sides and no customer has rows on both sides. Cases are dealt out within their
    scenario (together, where none has five) from the most frauds down, each to the fold with the fewest frauds so far;
    a customer's legitimate rows go where most of his frauds went, or anywhere; and from the training side go all rows
    of customers that are tested. (Joining cases that share a customer into one group instead leaves a scenario of many
    victims with one giant group.)
    """
    fraud = frame["is_fraud"].to_numpy(bool)
    customer, customers = pd.factorize(frame["shard"].astype(str) + "|" + frame["customer_id"].astype(str))
    guilty = pd.DataFrame({"shard": frame["shard"].astype(str)[fraud], "case": _case(frame)[fraud]})
    sizes = guilty.value_counts(sort=False).reset_index(name="frauds")
    sizes = sizes.sort_values(["frauds", "shard", "case"], ascending=[False, True, True])
    if len(sizes) < FOLDS or fraud.all():
        raise InvalidRequestError(
            f"is_fraud of {len(frame)} rows has {len(sizes)} cases; a detector needs {FOLDS}, and legitimate rows."
        )
    of_case: dict[tuple[str, str], int] = {}
    together = sizes["shard"].value_counts().max() < FOLDS  # or a fold would have no fraud at all
    load: dict[str, Floats] = {name: np.zeros(FOLDS) for name in (POOLED, *sizes["shard"])}
    for name, case, frauds in sizes.itertuples(index=False):
        dealt = load[POOLED if together else name]
        of_case[name, case] = int(np.argmin(dealt))
        dealt[of_case[name, case]] += frauds
    fold = rng(seed, "detectors", "folds").integers(0, FOLDS, len(customers))
    of_fraud = np.array([of_case[pair] for pair in zip(guilty["shard"], guilty["case"], strict=True)], np.int64)
    votes = np.bincount(customer[fraud] * FOLDS + of_fraud, minlength=len(customers) * FOLDS).reshape(-1, FOLDS)
    fold = np.where(votes.any(axis=1), votes.argmax(axis=1), fold)
    test_fold = fold[customer]
    test_fold[fraud] = of_fraud
    pairs = []
    for number in range(FOLDS):
        test = np.flatnonzero(test_fold == number)
        pairs.append((np.flatnonzero(~np.isin(customer, customer[test])), test))
    return pairs


def junior_rules(frame: pd.DataFrame) -> pd.DataFrame:
    """The alarms of textbook rules, as a junior would write them in a week: one column of booleans per rule.

    "Large" is the tenth of its transaction_type with the highest amounts, "tiny" the twentieth of all card rows with
    the lowest; a customer is known from his fourth row on, a day after his first, and a merchant's usual day from the
    fourth day of the log on. An alarm of any rule counts as found.
    """
    past = window_features(frame)
    amount, kind = frame["amount"], frame["transaction_type"].astype(str)
    large = amount >= amount.groupby(kind).transform(lambda of_kind: of_kind.quantile(0.9))
    tiny = frame["card_id"].notna() & (amount <= amount[frame["card_id"].notna()].quantile(0.05))
    known = (past["customer_count"] >= 3) & (past["account_known_days"] >= 1)
    debit, purchase = frame["direction"] == "debit", kind == "purchase"
    remote = frame["channel"].isin(["ecommerce", "mobile"])
    usual_day_known = frame["event_time"] - frame["event_time"].min() > pd.Timedelta(days=3)
    other_cards_same = past["merchant_same_amount_24h"] - past["card_same_amount_24h"]
    new_device = known & ((past["customer_device_count"] == 0) | (past["customer_device_age_s"] < DAY_S))
    rules = {
        "many rows in an hour": past["customer_count_1h"] >= 4,
        "new device, large or tiny amount": new_device & (past["customer_devices_7d"] >= 1) & (large | tiny),
        "device of three customers in a week": past["device_other_customers_7d"] >= 2,
        "new country, large amount or new device": known & (past["customer_country_count"] == 0) & (large | new_device),
        "first payment to a payee, large": debit & (past["customer_counterparty_count"] == 0) & large,
        "new payee paid again within a day": debit & (past["customer_counterparty_age_s"] < DAY_S),
        "account paid several times in a day": past["counterparty_count_24h"] >= 3,
        "money in passed on within a day": debit & large & past["account_passed_24h"].between(0.5, 1.1),
        "young account, large amount": (frame["account_age_days"] < 180) & large,
        "merchant with many refunds or disputes": (past["merchant_count_7d"] >= 5)
        & ((past["merchant_refund_share"] >= 0.2) | (past["merchant_dispute_share"] >= 0.05)),
        "new merchant, large remote purchase": (past["customer_merchant_count"] == 0) & large & remote,
        "many cards in an hour at a quiet merchant": usual_day_known
        & (past["merchant_cards_1h"] >= 2)
        & (past["merchant_count_24h"] >= past["merchant_count_7d"] / 2),
        "one amount on most cards at a merchant": (other_cards_same >= 2)
        & (past["merchant_same_amount_24h"] >= past["merchant_count_24h"] / 2),
        "too far from the last place": (past["customer_speed_kmh"] > FASTEST_KMH)
        & (past["customer_km_from_last"] > 50),
        "magnetic stripe, large amount or cash": (frame["entry_mode"] == "magstripe")
        & (large | (kind == "withdrawal")),
        "disputed twice before, purchase above the median": purchase
        & (frame["prior_disputes"] >= 2)
        & (amount >= amount[purchase].median()),
        "disputed before, large again at a shop met this week": purchase
        & (frame["prior_disputes"] >= 1)
        & large
        & (past["customer_merchant_count"] >= 1)
        & (past["customer_merchant_age_s"] < 7 * DAY_S),
    }
    return pd.DataFrame(rules, index=frame.index).astype(bool)


@dataclass(frozen=True)
class DifficultyTable:
    """Figures over difficulties.

    ``points``: one row per difficulty, seed and ``scenario`` (``POOLED`` too) with ``rows_only`` and ``with_windows``
    (AUC, NaN where not assessed), ``found`` (share of frauds under an alarm of ``junior_rules``), ``right`` (share of
    alarms that are fraud) and ``false_alarms`` (share of legitimate rows under an alarm).
    """

    points: pd.DataFrame

    def means(self) -> pd.DataFrame:
        """Means over seeds, by (scenario, difficulty), both in the order of the points."""
        return self.points.drop(columns="seed").groupby(["scenario", "difficulty"], sort=False).mean()

    def correlations(self) -> pd.DataFrame:
        """Spearman's rank correlation of each AUC with difficulty, by scenario.

        ``<figure>`` ranks the means over seeds, ``<figure>_points`` every difficulty and seed. NaN where not assessed
        at some difficulty, or where there is only one.
        """
        means = self.means().reset_index()
        found = {}
        for scenario, points in self.points.groupby("scenario", sort=False):
            mean = means[means["scenario"] == scenario]
            found[scenario] = {
                figure + suffix: _rank_correlation(of["difficulty"], of[figure])
                for figure in ("rows_only", "with_windows")
                for suffix, of in (("", mean), ("_points", points))
            }
        return pd.DataFrame.from_dict(found, orient="index")

    def markdown(self) -> str:
        """Two tables: AUC from the row alone / with behaviour, and what a junior's rules find, by difficulty."""
        means, correlations = self.means(), self.correlations()
        levels = list(dict.fromkeys(self.points["difficulty"]))
        head = " | ".join(f"{level:g}" for level in levels)
        rule = "| --- " * (len(levels) + 2) + "|"
        lines = [f"| AUC, rows only / with windows | {head} | rank correlation with difficulty |", rule]
        for scenario in correlations.index:
            cells = [f"{_figure(means.loc[(scenario, x), 'rows_only'])} / "
                     f"{_figure(means.loc[(scenario, x), 'with_windows'])}" for x in levels]  # fmt: skip
            ranks = correlations.loc[scenario]
            cells.append(f"{_figure(ranks['rows_only'])} / {_figure(ranks['with_windows'])}")
            lines.append(f"| {scenario} | {' | '.join(cells)} |")
        lines += ["", f"| a junior's rules: found / alarms that are right | {head} | false alarms |", rule]
        for scenario in correlations.index:
            cells = [f"{_figure(means.loc[(scenario, x), 'found'])} / "
                     f"{_figure(means.loc[(scenario, x), 'right'])}" for x in levels]  # fmt: skip
            cells.append(_figure(means.loc[scenario, "false_alarms"].mean(), 3))
            lines.append(f"| {scenario} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def difficulty_table(
    make_frame: Callable[[float, int], pd.DataFrame],
    difficulties: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    seeds: Sequence[int] = (1, 2, 3),
) -> DifficultyTable:
    """Figures of ``make_frame(difficulty, seed)`` for every pair, each frame as ``detect`` takes it.

    Frames are made one at a time and dropped; with 50,000 rows a pair takes about 15 s on one core. Same frames,
    same figures.
    """
    points = [
        {"scenario": scenario, "difficulty": difficulty, "seed": seed, **figures}
        for difficulty in difficulties
        for seed in seeds
        for scenario, figures in _figures(make_frame(difficulty, seed)).items()
    ]
    return DifficultyTable(pd.DataFrame(points))


def _figures(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    detection = detect(frame)
    alarm = junior_rules(frame).any(axis=1).to_numpy(bool)
    fraud = frame["is_fraud"].to_numpy(bool)
    shard = frame["shard"].astype(str).to_numpy()
    figures = {}
    for name, skill in detection.rows_only.items():
        part = (shard == name) | (name == POOLED)
        with_windows = detection.with_windows[name].auc
        figures[name] = {
            "rows_only": np.nan if skill.auc is None else skill.auc,
            "with_windows": np.nan if with_windows is None else with_windows,
            "found": _share(alarm, part & fraud),
            "right": _share(fraud, part & alarm),
            "false_alarms": _share(alarm, part & ~fraud),
        }
    return figures


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(of[among].mean()) if among.any() else float("nan")


def _rank_correlation(difficulty: "pd.Series[float]", figure: "pd.Series[float]") -> float:
    if figure.isna().any() or difficulty.nunique() < 2 or figure.nunique() < 2:
        return float("nan")
    return round(float(spearmanr(difficulty, figure).statistic), 9)  # so that -0.9 is -0.9


def _figure(value: Any, digits: int = 2) -> str:
    return "not assessed" if np.isnan(value) else f"{value:.{digits}f}"


def _model(columns: pd.Index, seed: int) -> HistGradientBoostingClassifier:
    """Small and fixed, so that figures compare over batches; not tuned to this data."""
    words = [name in _WORDS or name in _COUNTRIES for name in columns]
    return HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        l2_regularization=1.0,
        max_bins=127,
        categorical_features=words,
        early_stopping=False,
        random_state=seed,
    )


def _trained(
    columns: pd.DataFrame, fraud: NDArray[np.bool_], pairs: list[tuple[Ints, Ints]], seed: int
) -> Iterator[tuple[HistGradientBoostingClassifier, Ints]]:
    """Each fold's model with the rows that it has not seen."""
    values = columns.to_numpy(np.float64)
    with threadpool_limits(1):  # the sums of histograms are then always added in the same order
        for number, (train, test) in enumerate(pairs):
            kept = train
            if len(train) > TRAINING_ROWS:
                kept = np.sort(rng(seed, "detectors", "rows", number).choice(train, TRAINING_ROWS, replace=False))
            known = values[kept]
            known[:, np.isnan(known).all(axis=0)] = 0  # the learner cannot bin a column of nulls; no split uses it
            yield _model(columns.columns, seed).fit(known, fraud[kept]), test


def _out_of_fold(columns: pd.DataFrame, fraud: NDArray[np.bool_], pairs: list[tuple[Ints, Ints]], seed: int) -> Floats:
    values = columns.to_numpy(np.float64)
    scores = np.zeros(len(values))
    for model, test in _trained(columns, fraud, pairs, seed):
        scores[test] = model.decision_function(values[test])
    return scores


def _skills(scores: Floats, frame: pd.DataFrame, seed: int) -> dict[str, Skill]:
    fraud = frame["is_fraud"].to_numpy(bool)
    shard = frame["shard"].astype(str)
    together = shard + "|" + _case(frame).where(fraud, frame["customer_id"].astype(str))
    cluster = pd.factorize(together)[0].astype(np.int64)
    skills = {POOLED: _skill(scores, fraud, cluster, rng(seed, "detectors", "bootstrap", POOLED))}
    for name in SCENARIO_NAMES:
        part = (shard == name).to_numpy(bool)
        if part.any():
            deal = rng(seed, "detectors", "bootstrap", name)
            skills[name] = _skill(scores[part], fraud[part], cluster[part], deal)
    return skills


def _skill(scores: Floats, fraud: NDArray[np.bool_], cluster: Ints, deal: np.random.Generator) -> Skill:
    frauds, legitimate = int(fraud.sum()), int((~fraud).sum())
    if frauds < MIN_FRAUDS or legitimate < MIN_LEGITIMATE:
        return Skill(frauds, legitimate, None, None, None)
    return Skill(
        frauds,
        legitimate,
        float(roc_auc_score(fraud, scores)),
        _auc_interval(scores, fraud, cluster, deal),
        float(average_precision_score(fraud, scores)),
    )


def _auc_interval(
    scores: Floats, fraud: NDArray[np.bool_], cluster: Ints, deal: np.random.Generator
) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the AUC over ``DRAWS`` draws of clusters with replacement."""
    order = np.argsort(scores, kind="stable")
    order = order[~fraud[order]]
    guilty = np.flatnonzero(fraud)
    below = np.searchsorted(scores[order], scores[guilty], "left")
    upto = np.searchsorted(scores[order], scores[guilty], "right")
    case, cases = pd.factorize(cluster[guilty])
    customer, customers = pd.factorize(cluster[order])
    aucs = []
    for _ in range(DRAWS):
        weight = np.bincount(deal.integers(0, len(cases), len(cases)), minlength=len(cases))[case]
        other = np.bincount(deal.integers(0, len(customers), len(customers)), minlength=len(customers))[customer]
        running = np.concatenate([[0], np.cumsum(other)])
        aucs.append(weight @ (running[below] + running[upto]) / (2 * weight.sum() * running[-1]))
    low, high = np.percentile(aucs, [2.5, 97.5])
    return float(low), float(high)


def _aucs(scores: Floats, fraud: NDArray[np.bool_], parts: list[NDArray[np.bool_]]) -> Floats:
    """The AUC of each part of the rows; one half where a part lacks either kind."""
    return np.array([
        roc_auc_score(fraud[part], scores[part]) if 0 < fraud[part].sum() < part.sum() else 0.5 for part in parts
    ])  # fmt: skip


def _case(frame: pd.DataFrame) -> "pd.Series[str]":
    return frame["case_id" if "case_id" in frame.columns else "case"].astype(str)


def _places(values: "pd.Series[Any]", words: pd.Index) -> Floats:
    place = words.get_indexer(pd.Index(values.astype(object))).astype(np.float64)
    return np.where(place < 0, np.nan, place)
