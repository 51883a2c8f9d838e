"""How real a batch looks: one small function a statistic, and the table of goals they are held against.

Belongs here: statistics of plain columns (numpy arrays or pandas columns, so that real card data can be put through the
same code), the goals of the scoreboard, and measuring a whole batch. Does not belong here: whether fraud is found too
easily and who shares devices with whom (``shortcuts``, ``detectors``), and computing the real figures (``reference``).

Definitions that the figures depend on: card statistics and amounts are measured over *settled purchases* (legitimate,
approved, type purchase), because that is what card data hold; amounts are measured over all legitimate rows as well;
days and hours are local to the customer's home, taken as the city where he most often pays in person.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from sgf_pipeline.domain.money import UNITS_PER_EUR, minor_digits, unit_amount
from sgf_pipeline.domain.profile import Profile, read_profile
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.population.places import DAY_US, MINUTE_US, cities, utc_offset_minutes
from sgf_pipeline.population.world import PRICE_LEVEL

# What ``measure`` reads of the exported schema, besides ``shard``. Clean rows have ``incident`` for ``incident_id``.
COLUMNS = (
    "event_time", "customer_id", "card_id", "transaction_type", "amount", "channel", "response_code", "merchant_id",
    "merchant_country", "merchant_city", "is_fraud", "incident_id", "hard_negative",
)  # fmt: skip

MOST_ROWS = 2_000_000  # a larger batch is measured on a seeded sample of whole customers of about this many rows
WIDEN_BELOW = 50_000  # rows; goals of a smaller batch are widened by the bootstrap 95 % interval
REPLICATES = 100
SMALLEST_BATCH = 5_000  # rows; a smaller batch is measured and held to no goal
SHORTEST_LOG = timedelta(days=20)  # a shorter period says nothing about loyalty, rows a card and gaps
BUSY = 30  # rows from which a card's own habits can be measured
FEWEST_CARDS = 10  # busy cards under which nothing is said about them
FEWEST_MERCHANTS = 20
LONGEST_LOG = timedelta(days=120)  # over a longer period salaries, refunds and returning customers weigh otherwise
FEWEST_DAYS = timedelta(days=3)  # under which a period says nothing about hours, nor about days with fraud
MOST_FRAUD = 0.2  # of the rows; above, what honest customers do is a remainder
MOST_HARD_NEGATIVES = 0.05  # asked for; more of them change what an ordinary batch looks like
FEWEST_TESTS = 30
INCIDENTS_FOR_TENTHS = 50
INCIDENTS_FOR_DAYS = 5
TENTHS = 10
TINY_UNITS = 2.0
HARD_NEGATIVES_OFF = 0.005  # by which their share may miss the one asked for
BENFORD = np.log10(1 + 1 / np.arange(1, 10))
Z_95 = 1.96

REFERENCE_SPANS = ("30 days", "1 year")

Numbers = NDArray[Any]


# --- statistics of plain columns ---------------------------------------------------------------------------------


def benford_mad(amounts: ArrayLike) -> float:
    """Mean absolute deviation of the first digits' shares from Benford's law; positive amounts in any unit."""
    values = np.asarray(amounts, dtype="float64")
    values = values[values > 0]
    # a hair above, so that 0.7 / 0.1 is 7
    digit = np.minimum((values / 10.0 ** np.floor(np.log10(values) + 1e-12) + 1e-9).astype(np.int64), 9)
    return float(np.abs(np.bincount(digit, minlength=10)[1:10] / len(values) - BENFORD).mean())


def ending_share(minor: ArrayLike, unit: int, hundredths: int) -> float:
    """Share of positive amounts (minor units) whose part below ``unit`` (minor units) is ``hundredths`` of it.

    0 gives whole amounts, 99 those that end on .99. ``unit`` is 100 for euros and cents, 100 for yen, 1,000 for won.
    """
    values = np.asarray(minor, dtype=np.int64)
    values = values[values > 0]
    return float(np.mean(values % unit == unit * hundredths // 100))


def log_spread(amounts: ArrayLike) -> tuple[float, float]:
    """Standard deviation and skewness (0 where all are equal) of ln(amount) over positive amounts."""
    values = np.asarray(amounts, dtype="float64")
    logs = np.log(values[values > 0])
    spread = float(logs.std())
    return spread, float((((logs - logs.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def zipf_slope(merchants: Any) -> float | None:
    """Slope of ln(rows) over ln(rank) by least squares over the merchants of ranks 5 to 2,000; None under 20."""
    counts = _largest_first(merchants)[:2000]
    if len(counts) < FEWEST_MERCHANTS:
        return None
    ranks = np.arange(5, len(counts) + 1)
    return float(np.polyfit(np.log(ranks), np.log(counts[4:]), 1)[0])


def top_share(merchants: Any) -> float:
    """Share of rows at the most visited 1 % of merchants (at least one)."""
    counts = _largest_first(merchants)
    return float(counts[: max(1, len(counts) // 100)].sum() / counts.sum())


def repeat_merchant_share(cards: Any, merchants: Any) -> float:
    """Share of rows at a merchant where the same card was before: 1 − distinct (card, merchant) / rows."""
    return 1 - len(np.unique(_pair(cards, merchants))) / len(cards)


def between_card_share(cards: Any, amounts: ArrayLike) -> float | None:
    """Share of the variance of ln(amount) that lies between cards of ``BUSY`` rows and more; None under 10 cards.

    One-way random effects: variance of the cards' means, less what their own spread makes of it (harmonic mean size).
    """
    card, logs, sizes = _busy(cards, amounts)
    if len(sizes) < FEWEST_CARDS:
        return None
    means = np.bincount(card, logs) / sizes
    within = float(((logs - means[card]) ** 2).sum() / (len(logs) - len(sizes)))
    between = max(0.0, float(means.var(ddof=1)) - within * float((1 / sizes).mean()))
    return between / (between + within)


def lag_1(cards: Any, amounts: ArrayLike) -> float | None:
    """Correlation of ln(amount), less the card's mean, with the row before on the same card; cards as above.

    Rows must be in order of time. Where days have no order inside (as in the reference), shuffle within days first:
    a file that is sorted by merchant within a day puts equal amounts beside each other.
    """
    card, logs, sizes = _busy(cards, amounts)
    if len(sizes) < FEWEST_CARDS:
        return None
    order = np.argsort(card, kind="stable")
    card, logs = card[order], logs[order]
    centred = logs - (np.bincount(card, logs) / sizes)[card]
    same = card[1:] == card[:-1]
    return float(np.corrcoef(centred[1:][same], centred[:-1][same])[0, 1])


def rows_a_card(cards: Any) -> tuple[float, float]:
    """Median rows a card, and the 95th percentile over the median."""
    sizes = np.bincount(_codes(cards))
    low, high = np.quantile(sizes, [0.5, 0.95])
    return float(low), float(high / low)


def burstiness_and_memory(cards: Any, days: ArrayLike) -> tuple[float, float] | None:
    """Mean over busy cards of B = (σ − μ) / (σ + μ) and M = the correlation of a gap with the next (Goh and Barabási).

    Gaps are whole days between neighbouring rows, zero included; rows in order of time. None under 10 busy cards.
    A card whose gaps are all equal has B = −1 and no part in M.
    Method: Goh, Barabási, "Burstiness and memory in complex systems", EPL 81 (2008) 48002.
    """
    card, day, sizes = _busy(cards, days, log=False)
    if len(sizes) < FEWEST_CARDS:
        return None
    order = np.argsort(card, kind="stable")
    card, day = card[order], day[order]
    inside = card[1:] == card[:-1]
    owner, gap = card[1:][inside], np.diff(day)[inside]
    mean, spread = _moments(owner, gap, len(sizes))
    moves = mean + spread > 0
    burst = float(((spread - mean)[moves] / (spread + mean)[moves]).mean())
    follows = owner[1:] == owner[:-1]
    pair, first, second = owner[1:][follows], gap[:-1][follows], gap[1:][follows]
    mean_1, spread_1 = _moments(pair, first, len(sizes))
    mean_2, spread_2 = _moments(pair, second, len(sizes))
    count = np.bincount(pair, minlength=len(sizes))
    both = np.bincount(pair, first * second, minlength=len(sizes)) / np.maximum(count, 1) - mean_1 * mean_2
    varies = (spread_1 > 1e-9) & (spread_2 > 1e-9)
    return burst, float((both[varies] / (spread_1 * spread_2)[varies]).mean()) if varies.any() else 0.0


def exact_repeats(cards: Any, days: ArrayLike, merchants: Any, amounts: ArrayLike) -> float:
    """Share of rows that repeat an earlier one in card, day, merchant and amount."""
    keys = pd.DataFrame({"card": cards, "day": days, "merchant": merchants, "amount": amounts})
    return float(keys.duplicated().mean())


def hour_entropy(hours: ArrayLike) -> float:
    """Entropy of the hour of the day (0–23) as a share of that of even hours, ln 24."""
    share = np.bincount(np.asarray(hours, dtype=np.int64), minlength=24) / np.size(hours)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum() / np.log(24))


def peak_to_trough(hours: ArrayLike) -> float:
    """Rows of the busiest hour of the day over those of the quietest; an empty hour counts as one row."""
    counts = np.bincount(np.asarray(hours, dtype=np.int64), minlength=24)
    return float(counts.max() / max(1, counts.min()))


def _codes(labels: Any) -> NDArray[np.int64]:
    """Whole numbers 0, 1, … for labels in order of appearance; −1 for an absent one."""
    if isinstance(labels, pd.Series) and isinstance(labels.dtype, pd.CategoricalDtype):
        return np.asarray(labels.cat.codes, dtype=np.int64)
    return np.asarray(pd.factorize(labels if isinstance(labels, pd.Series) else np.asarray(labels))[0], dtype=np.int64)


def _pair(one: Any, two: Any) -> NDArray[np.int64]:
    first, second = _codes(one), _codes(two)
    pair: NDArray[np.int64] = first * (second.max(initial=0) + 1) + second
    return pair


def _largest_first(labels: Any) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.bincount(_codes(labels))
    return np.sort(counts[counts > 0])[::-1]


def _busy(cards: Any, values: ArrayLike, *, log: bool = True) -> tuple[NDArray[np.int64], Numbers, NDArray[np.int64]]:
    """Rows of cards with ``BUSY`` rows and more: the card (numbered anew), the value or its logarithm, rows a card."""
    codes, numbers = _codes(cards), np.asarray(values, dtype="float64")
    if log:
        codes, numbers = codes[numbers > 0], np.log(numbers[numbers > 0])
    sizes = np.bincount(codes)
    kept = sizes[codes] >= BUSY if len(codes) else np.zeros(0, dtype=bool)
    anew = np.cumsum(sizes >= BUSY) - 1
    return anew[codes[kept]], numbers[kept], sizes[sizes >= BUSY]


def _moments(groups: Numbers, values: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation by group; zeros for an empty one."""
    sizes = np.maximum(np.bincount(groups, minlength=count), 1)
    mean = np.bincount(groups, values, minlength=count) / sizes
    square = np.bincount(groups, (values - mean[groups]) ** 2, minlength=count) / sizes
    return mean, np.sqrt(square)


# --- the table of goals ------------------------------------------------------------------------------------------

ALL, BOUGHT, TESTS = "legitimate rows", "settled purchases", "card_testing, fraud of ≤ 2 units"
ULB = "ULB"  # the card data set of the Machine Learning Group of the Université Libre de Bruxelles (2013)


@dataclass(frozen=True)
class Line:
    """One line of the scoreboard: a value's name and unit, its goal (both ends included; None is open), its scope.

    ``fact`` names the figure of the reference profile to show beside it; ``real`` says it in words where none is.
    """

    name: str
    label: str
    low: float | None
    high: float | None
    scope: str
    fact: str | None = None
    real: str = "–"


LINES: tuple[Line, ...] = (
    Line("benford", "Benford, first-digit MAD", None, 0.015, BOUGHT, "benford_mad"),
    Line("benford_all", "Benford, first-digit MAD", None, 0.015, ALL, "benford_mad"),
    Line("whole", "whole amounts, share", 0.15, 0.30, BOUGHT, "whole"),
    Line("whole_all", "whole amounts, share", 0.15, 0.30, ALL, "whole"),
    Line("ending_99", "amounts ending .99, share", 0.04, 0.10, BOUGHT, "ending_99"),
    Line("ending_99_all", "amounts ending .99, share", 0.04, 0.10, ALL, "ending_99"),
    Line("sigma_ln", "σ of ln(amount)", 1.0, 1.7, BOUGHT, "sigma_ln"),
    Line("sigma_ln_all", "σ of ln(amount)", 1.0, 1.7, ALL, "sigma_ln"),
    Line("skew_ln", "skew of ln(amount)", -0.3, 0.6, BOUGHT, "skew_ln"),
    Line("skew_ln_all", "skew of ln(amount)", -0.3, 0.6, ALL, "skew_ln"),
    Line("zipf_slope", "merchants, Zipf slope (ranks 5–2000)", -1.3, -0.8, BOUGHT, "zipf_slope"),
    Line("top_merchants", "top 1 % of merchants, share of rows", 0.25, 0.55, BOUGHT, "top_merchants"),
    Line("repeat_merchant", "repeat merchant within a card, share", 0.50, 0.75, BOUGHT, "repeat_merchant"),
    Line("between_cards", "between-card share of ln-amount variance", 0.20, 0.45, BOUGHT, "between_cards"),
    Line("lag_1", "lag-1 correlation of ln(amount) in a card", 0.03, 0.20, BOUGHT, "lag_1"),
    Line("rows_a_card", "rows a card, p95/p50", 4.0, 9.0, BOUGHT, "rows_a_card_spread"),
    Line("burstiness", "gap burstiness B (days)", 0.05, 0.35, BOUGHT, "burstiness"),
    Line("memory", "gap memory M (days)", -0.02, None, BOUGHT, "memory"),
    Line("exact_repeats", "repeats of card, day, merchant, amount", 0.01, 0.06, BOUGHT, "exact_repeats"),
    Line("hour_entropy", "hour of the day, entropy", 0.92, 0.98, ALL, real=f".956 ({ULB})"),
    Line("peak_to_trough", "hour of the day, peak to trough", 5.0, 15.0, ALL, real=f"8.3 ({ULB})"),
    Line("declines", "declined, share", 0.02, 0.08, ALL, real="2–8 %"),
    Line("refunds", "refunds, share", 0.02, 0.03, ALL, "refunds"),
    Line("tiny", "amounts of ≤ 2 units, share", 0.03, 0.06, ALL, real=f"4.8 % exactly 1.00 ({ULB})"),
    Line("tiny_declined", "amounts of ≤ 2 units, declined", 0.10, 0.20, ALL),
    Line("hard_negatives", "hard negatives, share", None, None, ALL),  # the goal is what the request asks for
    Line("tests_approved", "tests approved, share", 0.40, 0.60, TESTS),
    Line("tests_one", "tests of exactly one unit, share", 0.20, 0.40, TESTS, real=f"23 % of all fraud ({ULB})"),
    Line("tests_zero", "tests of zero, share", 0.05, 0.12, TESTS, real=f"5.5 % of all fraud ({ULB})"),
    Line("empty_tenths", "tenths of the period without fraud", None, 0, "shards of ≥ 50 incidents"),
    Line("fraud_days", "days with fraud, the fewest of a shard", 2, None, "shards of ≥ 5 incidents"),
)

# Lines that need a log, and grow with its length.
LOG_LINES = ("zipf_slope", "top_merchants", "repeat_merchant", "rows_a_card", "burstiness", "memory", "lag_1")
# Lines that leave their goals in a long log, for another mix of salaries, refunds and returning customers.
LONG_LINES = ("refunds", "repeat_merchant", "whole_all", "sigma_ln_all", "skew_ln_all")
DAY_LINES = ("hour_entropy", "peak_to_trough", "empty_tenths", "fraud_days")
MIX_LINES = ("sigma_ln_all", "repeat_merchant")
TEST_LINES = ("tests_approved", "tests_one", "tests_zero")  # a dozen incidents decide them in a batch of any size


@dataclass(frozen=True)
class Statistic:
    """One measured line.

    ``value`` is None where there is too little to measure. ``low`` and ``high`` are the goal's ends, None for an open
    one; both are None where the line is held to no goal, as every line is in a batch of fewer than ``SMALLEST_BATCH``
    rows. ``margin`` is half the bootstrap 95 % interval, by which the goals of a small batch and those of
    ``TEST_LINES`` are widened, 0 elsewhere. ``real`` is the figure of real data, as text; ``unjudged`` says why the
    line is held to no goal, and is empty where it is held to one.
    """

    name: str
    label: str
    value: float | None
    low: float | None
    high: float | None
    real: str
    scope: str
    margin: float = 0.0
    unjudged: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a value and a goal to hold it against."""
        return self.value is not None and (self.low is not None or self.high is not None)

    @property
    def in_goal(self) -> bool:
        """Whether the value lies in its goal; so does what is not judged."""
        if self.value is None:
            return True
        above = self.low is None or self.value >= self.low - self.margin
        return above and (self.high is None or self.value <= self.high + self.margin)


# --- measuring a batch -------------------------------------------------------------------------------------------


def measure(rows: pd.DataFrame, content: RequestContent, replicates: int = REPLICATES) -> list[Statistic]:
    """Every line of ``LINES`` for a whole batch: ``COLUMNS`` and ``shard`` of all its shards, clean or exported.

    Deterministic. ``replicates`` bootstrap draws are made where the request counts fewer than ``WIDEN_BELOW`` rows,
    and for ``TEST_LINES`` in any batch that is judged (0: never).
    """
    numbers = _Rows.of(rows, content)
    values = _values(numbers)
    margins: dict[str, float] = {}
    if content.count >= SMALLEST_BATCH and replicates:
        margins = _margins(numbers, content.seed, replicates, tests_only=content.count >= WIDEN_BELOW)
    found = []
    for line in LINES:
        why = _unjudged(line.name, content)
        low, high = (None, None) if why else (line.low, line.high)
        if not why and line.name == "hard_negatives":
            low, high = (content.hard_negative_share + off for off in (-HARD_NEGATIVES_OFF, HARD_NEGATIVES_OFF))
        value, margin = values.get(line.name), margins.get(line.name, 0.0)
        why = why or ("too little to measure" if value is None else "")
        found.append(Statistic(line.name, line.label, value, low, high, _real(line), line.scope, margin, why))
    return found


def _unjudged(name: str, content: RequestContent) -> str:
    """Why a request's batch is not held to a line's goal; empty where it is."""
    length = content.end_date - content.start_date
    reasons = (
        (content.count < SMALLEST_BATCH, None, f"fewer than {SMALLEST_BATCH:,} rows"),
        (length < FEWEST_DAYS, DAY_LINES, f"the period is shorter than {FEWEST_DAYS.days} days"),
        (length < SHORTEST_LOG, LOG_LINES, f"the period is shorter than {SHORTEST_LOG.days} days"),
        (length > LONGEST_LOG, LONG_LINES, f"the period is longer than {LONGEST_LOG.days} days"),
        (content.fraud_ratio > MOST_FRAUD, MIX_LINES, f"more than {MOST_FRAUD:.0%} of the rows are to be fraud"),
        (
            content.hard_negative_share > MOST_HARD_NEGATIVES,
            MIX_LINES,
            f"more than {MOST_HARD_NEGATIVES:.0%} of the legitimate rows are to be hard negatives",
        ),
    )
    return next((why for so, lines, why in reasons if so and (lines is None or name in lines)), "")


def collect(shards: Iterable[tuple[str, Iterable[pa.RecordBatch]]], content: RequestContent) -> pd.DataFrame:
    """What ``measure`` needs of the named shards' batches (clean or exported), as compact columns.

    Above ``MOST_ROWS`` rows only a sample of whole customers is kept, chosen by their identifiers.
    """
    share = min(1.0, MOST_ROWS / content.count)
    pieces: list[pa.Table] = []
    for name, batches in shards:
        for batch in batches:
            kept = [column for column in (*COLUMNS, "incident") if column in batch.schema.names]
            table = pa.Table.from_batches([batch]).select(kept)
            if share < 1:
                customers = table.column("customer_id").to_pandas()
                luck = pd.util.hash_array(customers.cat.categories.to_numpy(dtype=object)) / 2.0**64
                table = table.filter(pa.array((luck < share)[customers.cat.codes.to_numpy()]))
            word = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(table), dtype=np.int32)), [name])
            pieces.append(table.append_column("shard", word))
    frame: pd.DataFrame = pa.concat_tables(pieces).unify_dictionaries().to_pandas()
    return frame


@lru_cache(maxsize=1)
def shipped_profile() -> Profile:
    """The profile of the reference that is shipped with the package."""
    return read_profile(Path(__file__).with_name("reference_profile.json"))


Columns = dict[str, Numbers]  # equally long numeric columns


def _values(rows: "_Rows") -> dict[str, float]:
    legitimate = _traffic(rows.legitimate, rows.unit, rows.tiny)
    return _measured({**legitimate, **_tests(rows.fraud, rows.unit), **_over_time(rows.fraud)})


def _measured(found: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if value is not None}


def _traffic(rows: Columns, unit: int, most_tiny: float) -> dict[str, float | None]:
    """The lines about legitimate rows, which are in order of time within each card."""
    amount, declined = rows["amount"], rows["declined"]
    if not len(amount):
        return {}
    bought = {name: column[rows["bought"]] for name, column in rows.items()}
    tiny = amount <= most_tiny
    found: dict[str, float | None] = {
        "hour_entropy": hour_entropy(rows["hour"]),
        "peak_to_trough": peak_to_trough(rows["hour"]),
        "declines": declined.mean(),
        "refunds": rows["refund"].mean(),
        "tiny": tiny.mean(),
        "tiny_declined": declined[tiny].mean() if tiny.any() else None,
        "hard_negatives": rows["hard_negative"].mean(),
    }
    for suffix, amounts in (("", bought["amount"]), ("_all", amount)):
        if not np.count_nonzero(amounts > 0) > 1:
            continue
        found[f"benford{suffix}"] = benford_mad(amounts)
        found[f"whole{suffix}"] = ending_share(amounts, unit, 0)
        found[f"ending_99{suffix}"] = ending_share(amounts, unit, 99)
        found[f"sigma_ln{suffix}"], found[f"skew_ln{suffix}"] = log_spread(amounts)
    card, day, merchant = bought["card"], bought["day"], bought["merchant"]
    if len(card) < BUSY:
        return found
    found |= {
        "zipf_slope": zipf_slope(merchant),
        "top_merchants": top_share(merchant),
        "repeat_merchant": repeat_merchant_share(card, merchant),
        "between_cards": between_card_share(card, bought["amount"]),
        "lag_1": lag_1(card, bought["amount"]),
        "rows_a_card": rows_a_card(card)[1],
        "exact_repeats": exact_repeats(card, day, merchant, bought["amount"]),
    }
    rhythm = burstiness_and_memory(card, day)
    if rhythm is not None:
        found["burstiness"], found["memory"] = rhythm
    return found


def _tests(fraud: Columns, unit: int) -> dict[str, float | None]:
    """What card testers try: the shard's fraud rows of at most two units."""
    test = fraud["card_testing"] & (fraud["amount"] <= TINY_UNITS * unit)
    if np.count_nonzero(test) < FEWEST_TESTS:
        return {}
    amount = fraud["amount"][test]
    return {
        "tests_approved": float(1 - fraud["declined"][test].mean()),
        "tests_one": float((amount == unit).mean()),
        "tests_zero": float((amount == 0).mean()),
    }


def _over_time(fraud: Columns) -> dict[str, float | None]:
    """How fraud spreads over the period, by shard, where a shard has incidents enough."""
    empty: list[int] = []
    days: list[int] = []
    for shard in np.unique(fraud["shard"]):
        own = fraud["shard"] == shard
        incidents = len(np.unique(fraud["incident"][own]))
        if incidents >= INCIDENTS_FOR_TENTHS:
            empty.append(TENTHS - len(np.unique(fraud["tenth"][own])))
        if incidents >= INCIDENTS_FOR_DAYS:
            days.append(len(np.unique(fraud["utc_day"][own])))
    return {"empty_tenths": sum(empty) if empty else None, "fraud_days": min(days) if days else None}


def _margins(rows: "_Rows", seed: int, replicates: int, *, tests_only: bool) -> dict[str, float]:
    """Half of each value's bootstrap 95 % interval (1.96 × the replicates' standard deviation).

    Customers are drawn for legitimate rows, whole incidents for fraud rows; both with replacement. ``tests_only``:
    ``TEST_LINES`` alone.
    """
    generator = rng(seed, "realism", "bootstrap")
    drawn: dict[str, list[float]] = {}
    tests = {name: column[rows.fraud["card_testing"]] for name, column in rows.fraud.items()}
    for _ in range(replicates):
        if tests_only:
            found = _measured(_tests(_drawn(tests, "incident", generator), rows.unit))
        else:
            found = _values(
                replace(
                    rows,
                    legitimate=_drawn(rows.legitimate, "customer", generator),
                    fraud=_drawn(rows.fraud, "incident", generator),
                )
            )
        for name, value in found.items():
            drawn.setdefault(name, []).append(value)
    margins = {name: float(Z_95 * np.std(values)) for name, values in drawn.items() if len(values) > 1}
    return {name: margin for name, margin in margins.items() if name not in ("empty_tenths", "fraud_days")}


def _drawn(rows: Columns, cluster: str, generator: np.random.Generator) -> Columns:
    """As many clusters as there are, drawn with replacement; a card of a customer drawn twice becomes two cards."""
    order = np.argsort(rows[cluster], kind="stable")
    names, starts, sizes = np.unique(rows[cluster][order], return_index=True, return_counts=True)
    if not len(names):
        return rows
    chosen = np.sort(generator.integers(0, len(names), len(names)))
    again = np.arange(len(chosen)) - np.searchsorted(chosen, chosen)  # 0 at the first draw of a cluster, then 1, …
    lengths = sizes[chosen]
    offsets = np.repeat(np.cumsum(lengths) - lengths, lengths)
    taken = order[np.repeat(starts[chosen], lengths) + np.arange(lengths.sum()) - offsets]
    result = {name: column[taken] for name, column in rows.items()}
    result["card"] = result["card"] * (int(again.max()) + 1) + np.repeat(again, lengths)
    return result


def _real(line: Line) -> str:
    """The figure beside a line: of the reference over 30 days and a year, or in words."""
    if line.fact is None:
        return line.real
    spans = shipped_profile().spans
    figures = [getattr(spans[name], line.fact) for name in REFERENCE_SPANS]
    return " / ".join("–" if figure is None else f"{figure:.3f}" for figure in figures)


@dataclass(frozen=True)
class _Rows:
    """A batch as numeric columns, in order of time: legitimate rows, fraud rows; minor units of a round amount, and
    of the largest amount that is tiny for legitimate rows.
    """

    legitimate: Columns
    fraud: Columns
    unit: int
    tiny: float

    @classmethod
    def of(cls, frame: pd.DataFrame, content: RequestContent) -> "_Rows":
        moment = frame["event_time"].dt.as_unit("us").astype("int64").to_numpy()
        order = np.argsort(moment, kind="stable")
        frame, moment = frame.iloc[order], moment[order]
        digits = 10 ** minor_digits(content.currency)
        unit = unit_amount(content.currency) * digits
        # two units, or what two euros buy where a unit buys more (one dinar of Kuwait buys three euros' worth)
        tiny = TINY_UNITS * min(unit, UNITS_PER_EUR[content.currency] * PRICE_LEVEL.get(content.currency, 1.0) * digits)
        customer, shard = _codes(frame["customer_id"]), _codes(frame["shard"])
        incident = _codes(frame["incident" if "incident" in frame else "incident_id"])
        kind = frame["transaction_type"].to_numpy()
        declined = (frame["response_code"] != "00").to_numpy()
        fraud = frame["is_fraud"].to_numpy(dtype=bool)
        local = moment + _local_minutes(frame, customer, moment, content) * MINUTE_US
        start, end = (int(day.timestamp()) * 1_000_000 for day in (content.start_date, content.end_date))
        columns: Mapping[str, Numbers] = {
            "customer": customer,
            "card": _codes(frame["card_id"]),
            "amount": np.rint(frame["amount"].to_numpy() * 10 ** minor_digits(content.currency)).astype(np.int64),
            "merchant": _codes(frame["merchant_id"]),
            "bought": (kind == "purchase") & ~declined,
            "refund": kind == "refund",
            "declined": declined,
            "hard_negative": frame["hard_negative"].notna().to_numpy(),
            "day": local // DAY_US,
            "hour": local % DAY_US // (60 * MINUTE_US),
            "utc_day": moment // DAY_US,
            "tenth": np.clip((moment - start) * TENTHS // (end - start + 1_000_000), 0, TENTHS - 1),
            "card_testing": (frame["shard"] == "card_testing").to_numpy(),
            "shard": shard,
            "incident": incident * (shard.max(initial=0) + 1) + shard,
        }
        return cls(
            {name: column[~fraud] for name, column in columns.items()},
            {name: column[fraud] for name, column in columns.items()},
            unit,
            tiny,
        )


def _local_minutes(
    frame: pd.DataFrame, customer: NDArray[np.int64], moment: NDArray[np.int64], content: RequestContent
) -> NDArray[np.int64]:
    """Minutes by which each row's customer is ahead of UTC: at the city where he most often pays in person.

    Customers who never do are taken to live in the largest city of the first country asked for.
    """
    country, city = frame["merchant_country"], frame["merchant_city"]
    there = np.flatnonzero(((frame["channel"] == "pos") & country.notna()).to_numpy())
    place = _pair(country, city)
    _, first, place = np.unique(place, return_index=True, return_inverse=True)
    names = list(zip(country.iloc[first], city.iloc[first], strict=True))
    zones = sorted({_zone(content.countries[0], None), *(_zone(*name) for name in names if isinstance(name[0], str))})
    zone_of = np.array([zones.index(_zone(*name)) if isinstance(name[0], str) else 0 for name in names], dtype=np.int64)
    pairs, counts = np.unique(customer[there] * len(names) + place[there], return_counts=True)
    by_count = np.argsort(counts, kind="stable")  # the last one written is the most frequent
    home = np.full(customer.max(initial=0) + 1, zones.index(_zone(content.countries[0], None)), dtype=np.int64)
    home[pairs[by_count] // len(names)] = zone_of[pairs[by_count] % len(names)]
    ahead = np.zeros(len(frame), dtype=np.int64)
    for number, zone in enumerate(zones):
        own = home[customer] == number
        ahead[own] = utc_offset_minutes(zone, moment[own])
    return ahead


def _zone(country: str, city: str | None) -> str:
    """The time zone of a city by name; of the country's largest where it has none of that name."""
    known = cities(country)
    names = known.name.tolist()
    return known.timezone[names.index(city)] if city in names else known.timezone[0]
