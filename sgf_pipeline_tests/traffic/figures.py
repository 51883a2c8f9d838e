"""Prints how real the legitimate traffic looks: ``python -m sgf_pipeline_tests.traffic.figures [rows]``.

Belongs here: the statistics by which the traffic was tuned, over the traffic alone. Does not belong here: limits (the
quality part judges whole batches). Each statistic takes plain columns, so that real card data can be put through it.
"""

import sys
from typing import Any

import numpy as np
import pandas as pd

from sgf_pipeline.domain.events import COLUMNS, TRANSACTION_TYPES, code
from sgf_pipeline.domain.scenario_names import SCENARIO_NAMES
from sgf_pipeline.population.customers import default_population_size, population
from sgf_pipeline.population.places import DAY_US
from sgf_pipeline.population.world import world
from sgf_pipeline.traffic import legitimate

START_DAY = 20_089  # 2025-01-01
BENFORD = np.log10(1 + 1 / np.arange(1, 10))


def scoreboard_traffic(rows: int = 48_000, days: int = 31, seed: int = 12345) -> pd.DataFrame:
    """The legitimate rows of the seven shards together, with ``shard`` and local ``hour``; amounts in euros."""
    the_world = world(seed, ("FR", "DE", "IT"), "EUR")
    frames = []
    for shard, name in enumerate(SCENARIO_NAMES):
        quota = rows // 7 + (shard < rows % 7)
        people = population(seed, name, default_population_size(quota, days), the_world, START_DAY)
        start, end = START_DAY * DAY_US, (START_DAY + days) * DAY_US - 1
        for block in legitimate(people, seed=seed, scenario=name, rows=quota, start_us=start, end_us=end):
            frame = pd.DataFrame({column: block[column] for column in COLUMNS})
            frame["hour"] = people.local_minutes(block["customer"], block["time"]) // 60
            frame["shard"] = shard
            frames.append(frame)
    joined = pd.concat(frames, ignore_index=True)
    joined["card"] = np.where(joined["card"] >= 0, joined["card"] + joined["shard"].astype("int64") * (1 << 40), -1)
    joined["euros"] = joined["amount"] / 100
    return joined


def amount_figures(euros: np.ndarray[Any, Any]) -> dict[str, float]:
    """Benford, price endings, spread of the positive amounts."""
    cents = np.rint(euros[euros > 0] * 100).astype(np.int64)
    digit = (cents / 10.0 ** np.floor(np.log10(cents))).astype(int)
    share = np.bincount(digit, minlength=10)[1:10] / len(cents)
    logs = np.log(cents)
    z = (logs - logs.mean()) / logs.std()
    return {
        "benford_mad": float(np.abs(share - BENFORD).mean()),
        "whole": float((cents % 100 == 0).mean()),
        "ending_99": float((cents % 100 == 99).mean()),
        "sigma_ln": float(logs.std()),
        "skew_ln": float((z**3).mean()),
    }


def card_figures(card: pd.Series, merchant: pd.Series, day: pd.Series, euros: pd.Series) -> dict[str, float]:
    """Merchants, loyalty, variance between cards, memory and bursts; rows in order of time within a card."""
    frame = pd.DataFrame({"card": card, "merchant": merchant, "day": day, "euros": euros})
    counts = frame["merchant"].value_counts().to_numpy()
    ranks = np.arange(5, min(2000, len(counts)) + 1)
    slope = np.polyfit(np.log(ranks), np.log(counts[ranks - 1]), 1)[0]
    per_card = frame.groupby("card").size()
    busy = frame[frame["card"].map(per_card) >= 30]
    logs = np.log(busy["euros"].clip(lower=0.01))
    groups = logs.groupby(busy["card"])
    n, within = groups.size(), float((groups.var() * (groups.size() - 1)).sum() / (len(busy) - groups.ngroups))
    between = max(0.0, float(groups.mean().var()) - within / float(1 / (1 / n).mean()))
    centred = logs - groups.transform("mean")
    previous = centred.groupby(busy["card"]).shift()
    both = previous.notna()
    gaps = busy.groupby("card")["day"].diff()
    bursts, memories = [], []
    for _, gap in gaps.dropna().groupby(busy["card"]):
        mean, spread = gap.mean(), gap.std()
        if mean + spread > 0:
            bursts.append((spread - mean) / (spread + mean))
        if gap.iloc[:-1].std() > 0 and gap.iloc[1:].std() > 0:
            memories.append(np.corrcoef(gap.iloc[:-1], gap.iloc[1:])[0, 1])
    repeats = frame.duplicated(["card", "day", "merchant", "euros"], keep=False).mean()
    return {
        "zipf_slope": float(slope),
        "top_1_percent": float(counts[: max(1, len(counts) // 100)].sum() / counts.sum()),
        "repeat_merchant": float(1 - len(frame.drop_duplicates(["card", "merchant"])) / len(frame)),
        "rows_a_card_p50": float(per_card.median()),
        "rows_a_card_p95/p50": float(per_card.quantile(0.95) / per_card.median()),
        "between_cards": between / (between + within),
        "lag_1": float(np.corrcoef(centred[both], previous[both])[0, 1]),
        "burstiness": float(np.mean(bursts)),
        "memory": float(np.mean(memories)),
        "exact_repeats": float(repeats),
    }


def traffic_figures(rows: pd.DataFrame) -> dict[str, float]:
    """All figures of ``scoreboard_traffic`` rows."""
    rows = rows.sort_values(["shard", "time"], kind="stable")
    kind = rows["transaction_type"]
    bought = rows[kind == code(TRANSACTION_TYPES, "purchase")]
    hours = np.bincount(rows["hour"], minlength=24) / len(rows)
    tiny = bought[bought["amount"] <= 200]
    figures = {f"all_{name}": value for name, value in amount_figures(rows["euros"].to_numpy()).items()}
    figures |= amount_figures(bought["euros"].to_numpy())
    figures |= card_figures(bought["card"], bought["merchant"], bought["time"] // DAY_US, bought["euros"])
    figures |= {
        "hour_entropy": float(-(hours * np.log(hours)).sum() / np.log(24)),
        "peak_to_trough": float(hours.max() / hours.min()),
        "declines": float((rows["response_code"] > 0).mean()),
        "refunds": float((kind == code(TRANSACTION_TYPES, "refund")).mean()),
        "tiny": len(tiny) / len(bought),
        "tiny_declined": float((tiny["response_code"] > 0).mean()),
        "exactly_one": float((bought["amount"] == 100).mean()),
        "hard_negatives": float((rows["hard_negative"] >= 0).mean()),
    }
    for number, name in enumerate(TRANSACTION_TYPES):
        figures[f"share_{name}"] = float((kind == number).mean())
    return figures


if __name__ == "__main__":
    for name, value in traffic_figures(scoreboard_traffic(int(sys.argv[1]) if len(sys.argv) > 1 else 48_000)).items():
        print(f"{name:22} {value:8.4f}")
