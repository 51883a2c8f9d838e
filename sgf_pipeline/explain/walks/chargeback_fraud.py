"""The walk of chargeback fraud."""

from collections import Counter
from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, lapse, money_sum


class ChargebackFraud(Walk):
    """What an incident of chargeback fraud has shown so far. Money is summed as decimals."""

    def __init__(self, totals: Counter[str]) -> None:
        super().__init__(totals)
        self.purchases = totals.total()
        self.bought: list[Row] = []
        self.refunded: list[Row] = []
        self.charged_back: list[Row] = []
        self.last_back: Row | None = None

    def pass_by(self, row: Row) -> None:
        if row["step_kind"] == "kept_purchase":
            return
        (self.charged_back if row["step_kind"] == "dispute" else self.refunded).append(row)
        self.last_back = row

    def step(self, row: Row) -> dict[str, Any]:
        self.bought.append(row)
        known: dict[str, Any] = {
            "fact": "purchase" if len(self.bought) > 1 else "first_purchase",
            "vector": row["vector"],
            "purchase": len(self.bought),
            "purchases": self.purchases,
            "amount": row["amount"],
            "merchant": row["merchant_name"],
            "elapsed": lapse(row["event_us"] - self.bought[0]["event_us"]),
            "spent": float(money_sum(self.bought)),
            "merchants": len({one["merchant_id"] for one in self.bought}),
            "cards": len({one["card_id"] for one in self.bought}),
        }
        if self.last_back is None:
            return known
        return known | {
            "fact": "after_dispute" if self.charged_back else "after_refund",
            "refunds": len(self.refunded),
            "disputes": len(self.charged_back),
            "returned": float(money_sum(self.refunded + self.charged_back)),
            "since_back": lapse(row["event_us"] - self.last_back["event_us"]),
        }
