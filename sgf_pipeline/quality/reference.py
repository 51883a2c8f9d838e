"""Aggregates of real card data: ``python -m sgf_pipeline.quality.reference FILE --out PROFILE``.

Belongs here: cutting a log of real card transactions into spans and computing its ``Profile`` with the very statistics
that measure a batch (``realism``). Does not belong here: rows of the reference; only aggregates leave this module, and
none over fewer than ``SMALLEST_GROUP`` cards.

The file holds the purchase card transactions of Birmingham City Council (2014-04 to 2018-01) as Parquet with columns
``date``, ``amount`` (refunds are negative), ``merchant`` and ``card``.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sgf_pipeline.domain.profile import SMALLEST_GROUP, Profile, SpanFacts
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.quality import realism

FIRST_DAY = pd.Timestamp("2014-04-01")  # three rows are dated before it
PENCE = 100
# A month with fewer rows is one of which only a part was published: May 2014, April, August 2015, December 2017,
# February 2018. Pieces are cut from runs of whole months.
THIN_MONTH = 2_000
# Four cards are departments' accounts with one hotel chain, 5 % of all rows at £ 960 each time. Every figure of
# variance between cards would be about them.
BOOKING_ACCOUNT = 0.01  # share of all rows from which a card is taken for such an account
SPANS = {"30 days": 30, "1 year": 365}
SAME_CARDS = 500  # both spans once more, each piece cut to as many cards
QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
SEED = 1

NOTE = (
    "Corporate cards at day resolution: they show how amounts end, how merchants and cards are distributed, how"
    " sequences repeat and burst; they show neither a consumer's rate of use nor hours and weekends. The order of rows"
    " within a day is unknown and drawn at random. Cards that hold 1 % of all rows and more (departments' accounts with"
    " one hotel chain) are left out, and so are months of which only a part was published."
)


def profile_of(rows: pd.DataFrame) -> Profile:
    """The profile of the reference's rows (columns ``date``, ``amount``, ``merchant``, ``card``)."""
    log = rows[["amount", "merchant", "card"]].assign(day=(pd.to_datetime(rows["date"]) - FIRST_DAY).dt.days)
    log = log[log["day"] >= 0]
    runs = list(_whole_runs(log["day"]))
    held = log["card"].value_counts(normalize=True)
    log = log[~log["card"].isin(held.index[held >= BOOKING_ACCOUNT])]
    log = log.iloc[rng(SEED, "order within a day").permutation(len(log))].sort_values("day", kind="stable")
    spans = {}
    for name, days in SPANS.items():
        pieces = list(_pieces(log, runs, days))
        if not pieces:
            continue
        spans[name] = _facts(pieces, days)
        cut = [_cut(piece, number) for number, piece in enumerate(pieces)]
        spans[f"{name}, {SAME_CARDS} cards"] = _facts(cut, days)
    return Profile(
        name="Birmingham City Council purchase cards",
        source="Birmingham City Council, purchase card transactions, published monthly, 2014-04 to 2018-01",
        licence="Open Government Licence v3.0"
        " (https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/)",
        attribution="Contains public sector information licensed under the Open Government Licence v3.0.",
        note=NOTE,
        currency="GBP",
        first_day=(FIRST_DAY + pd.Timedelta(days=int(log["day"].min()))).date(),
        last_day=(FIRST_DAY + pd.Timedelta(days=int(log["day"].max()))).date(),
        cards=int(log["card"].nunique()),
        rows=len(log),
        spans=spans,
    )


def _whole_runs(day: "pd.Series[int]") -> Iterator[tuple[int, int]]:
    """First day and day after the last of each run of months that were published whole."""
    counts = (FIRST_DAY + pd.to_timedelta(day, unit="D")).dt.to_period("M").value_counts().sort_index()
    whole = list(counts.index[counts >= THIN_MONTH])
    first: pd.Period | None = None
    for month in whole:
        first = first or month
        if month + 1 not in whole:
            yield (first.start_time - FIRST_DAY).days, ((month + 1).start_time - FIRST_DAY).days
            first = None


def _pieces(log: pd.DataFrame, runs: Sequence[tuple[int, int]], days: int) -> Iterator[pd.DataFrame]:
    """Pieces of equal length, one after the other in each run."""
    for start, end in runs:
        for day in range(start, end - days + 1, days):
            yield log[(log["day"] >= day) & (log["day"] < day + days)]


def _cut(piece: pd.DataFrame, number: int) -> pd.DataFrame:
    """The rows of ``SAME_CARDS`` of the piece's cards."""
    cards = np.sort(piece["card"].unique())
    kept = rng(SEED, "cards", number).permutation(cards)[:SAME_CARDS]
    return piece[piece["card"].isin(kept)]


def _facts(pieces: Sequence[pd.DataFrame], days: int) -> SpanFacts:
    whole = pd.concat([piece.assign(piece=number) for number, piece in enumerate(pieces)], ignore_index=True)
    withheld = whole.loc[whole["amount"] > 0, "card"].nunique() < SMALLEST_GROUP
    # a card counts anew in every piece, and a merchant in a piece is nobody's in the next
    whole["card"] = whole["piece"] * 1_000_000 + whole["card"]
    whole["merchant"] = whole["piece"].astype(str) + "|" + whole["merchant"]
    bought = whole[whole["amount"] > 0].sort_values(["piece", "day"], kind="stable")
    figures = {} if withheld else _figures(bought, float((whole["amount"] < 0).mean()))
    quantiles = QUANTILES if withheld else np.quantile(bought["amount"], QUANTILES)
    return SpanFacts(
        days=days,
        pieces=len(pieces),
        cards=round(bought["card"].nunique() / len(pieces), 1),
        rows=round(len(bought) / len(pieces), 1),
        amount_quantiles={
            f"{share:.2f}": None if withheld else round(float(value), 2)
            for share, value in zip(QUANTILES, quantiles, strict=True)
        },
        **{name: None if value is None else round(value, 4) for name, value in figures.items()},
    )


def _figures(bought: pd.DataFrame, refunds: float) -> dict[str, float | None]:
    """The figures of settled purchases in order of time, by their names in ``SpanFacts``."""
    amount = bought["amount"].to_numpy()
    minor = np.rint(amount * PENCE).astype(np.int64)
    card, merchant, day = (bought[name].to_numpy() for name in ("card", "merchant", "day"))
    sigma, skew = realism.log_spread(amount)
    median, spread = realism.rows_a_card(card)
    rhythm = realism.burstiness_and_memory(card, day) or (None, None)

    def by_piece(statistic: Callable[[Any], float | None]) -> float | None:
        found = [statistic(own["merchant"].to_numpy()) for _, own in bought.groupby("piece")]
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known else None

    return {
        "benford_mad": realism.benford_mad(amount),
        "whole": realism.ending_share(minor, PENCE, 0),
        "ending_99": realism.ending_share(minor, PENCE, 99),
        "ending_95": realism.ending_share(minor, PENCE, 95),
        "ending_50": realism.ending_share(minor, PENCE, 50),
        "sigma_ln": sigma,
        "skew_ln": skew,
        "zipf_slope": by_piece(realism.zipf_slope),
        "top_merchants": by_piece(realism.top_share),
        "repeat_merchant": realism.repeat_merchant_share(card, merchant),
        "between_cards": realism.between_card_share(card, amount),
        "lag_1": realism.lag_1(card, amount),
        "rows_a_card": median,
        "rows_a_card_spread": spread,
        "burstiness": rhythm[0],
        "memory": rhythm[1],
        "exact_repeats": realism.exact_repeats(card, day, merchant, minor),
        "refunds": refunds,
    }


def markdown(profile: Profile) -> str:
    """The spans of a profile as a table, one column each."""
    lines = [f"| | {' | '.join(profile.spans)} |", "| --- " * (len(profile.spans) + 1) + "|"]
    for name, field in SpanFacts.model_fields.items():
        values = [getattr(span, name) for span in profile.spans.values()]
        if name not in ("days", "amount_quantiles"):
            cells = ["withheld" if value is None else _cell(value) for value in values]
            lines.append(f"| {name.replace('_', ' ')}: {field.description} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() or value >= 100 else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the reference, write its profile."""
    parser = argparse.ArgumentParser(prog="python -m sgf_pipeline.quality.reference", description=__doc__)
    parser.add_argument("file", type=Path, help="the reference, Parquet")
    parser.add_argument("--out", type=Path, default=Path(realism.__file__).with_name("reference_profile.json"))
    options = parser.parse_args(arguments)
    profile = profile_of(pd.read_parquet(options.file))
    options.out.write_text(profile.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(markdown(profile))


if __name__ == "__main__":
    main()
