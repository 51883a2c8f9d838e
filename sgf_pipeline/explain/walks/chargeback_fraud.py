"""The walk of chargeback fraud."""

from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, different, lapse, money_sum


class ChargebackFraud(Walk):
    """What an incident of chargeback fraud has shown so far. Money is summed as decimals."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
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
            "purchases": len(self.frauds),
            "whole": float(money_sum(self.frauds)),
            "age": row["account_age_days"],
            "amount": row["amount"],
            "merchant": row["merchant_name"],
            "elapsed": lapse(row["event_us"] - self.bought[0]["event_us"]),
            "spent": float(money_sum(self.bought)),
            "largest": max(one["amount"] for one in self.bought),
            "merchants": different(self.bought, "merchant_id"),
            "cards": different(self.bought, "card_id"),
        }
        if len(self.bought) == 1:
            return known
        known["since_last"] = lapse(row["event_us"] - self.bought[-2]["event_us"])
        if self.last_back is None:
            return known
        return known | {
            "fact": "after_dispute" if self.charged_back else "after_refund",
            "refunds": len(self.refunded),
            "disputes": len(self.charged_back),
            "returned": float(money_sum(self.refunded + self.charged_back)),
            "since_back": lapse(row["event_us"] - self.last_back["event_us"]),
        }
