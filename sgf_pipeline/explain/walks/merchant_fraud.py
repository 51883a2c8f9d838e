"""The walk of merchant fraud."""

from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, approved, different, lapse, money_sum

# What each kind of charge is told as when it stands alone, and when an earlier row of its card is exported.
_ALONE = {"undelivered_order": "order", "laundered_sale": "laundered"}
_FOLLOWING = {
    "skimmed_purchase": "skimmed",
    "skimmed_cash": "skimmed",
    "inflated_charge": "inflated",
    "repeated_charge": "repeated",
    "hidden_renewal": "renewal",
}


class MerchantFraud(Walk):
    """What an incident of merchant fraud has shown so far, genuine sales included."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.refunds = sum(1 for row in frauds if row["step_kind"] == "self_refund")
        self.haul = float(money_sum([row for row in approved(frauds) if row["direction"] == "debit"]))
        self.false: list[Row] = []
        self.genuine: list[Row] = []

    def pass_by(self, row: Row) -> None:
        if row["direction"] == "debit":
            self.genuine.append(row)

    def step(self, row: Row) -> dict[str, Any]:
        earlier = [r for r in self.false if r["card_id"] == row["card_id"]]
        self.false.append(row)
        debits = [r for r in self.false if r["direction"] == "debit"]
        known: dict[str, Any] = {
            "vector": row["vector"],
            "charge": len(self.false),
            "charges": len(self.frauds),
            "haul": self.haul,
            "merchant": row["merchant_name"],
            "amount": row["amount"],
            "response_code": row["response_code"],
            "elapsed": lapse(row["event_us"] - self.false[0]["event_us"]),
            "cards": different(self.false, "card_id"),
            "taken": float(money_sum(approved(debits))),
            "declined": len(debits) - len(approved(debits)),
            "largest": max((r["amount"] for r in debits), default=0.0),
            "on_card": len(earlier) + 1,
        }
        if len(self.false) > 1:
            known["since_last"] = lapse(row["event_us"] - self.false[-2]["event_us"])
        kind = row["step_kind"]
        if kind in ("sham_sale", "self_refund"):
            return known | self._within_the_circle(row, earlier)
        bought = [r for r in self.genuine if r["card_id"] == row["card_id"]]
        if kind == "repeated_charge":
            alike = [r for r in bought + earlier if r["direction"] == "debit" and r["amount"] == row["amount"]]
        else:
            alike = bought
        if kind in _FOLLOWING and alike:
            last = max(alike, key=lambda r: r["event_us"])
            since = lapse(row["event_us"] - last["event_us"])
            if kind == "repeated_charge":
                return known | {"fact": "repeated", "since_same": since}
            return known | {"fact": _FOLLOWING[kind], "since_genuine": since, "genuine": last["amount"]}
        return known | {"fact": "opening" if len(self.false) == 1 else _ALONE.get(kind, "charge")}

    def _within_the_circle(self, row: Row, earlier: list[Row]) -> dict[str, Any]:
        """What a card of the shop's own circle has paid and got back."""
        own = [*earlier, row]
        sold = [r for r in own if r["step_kind"] == "sham_sale"]
        paid = {"paid": float(money_sum(sold))}
        if row["step_kind"] == "sham_sale":
            return {"fact": "sham", **paid}
        if not sold:
            return {"fact": "a refund to a card to which nothing was sold"}
        back = [r for r in self.false if r["step_kind"] == "self_refund"]
        return {
            **paid,
            "fact": "refund",
            "refund": len(back),
            "refunds": self.refunds,
            "refunded": float(money_sum([r for r in back if r["card_id"] == row["card_id"]])),
            "since_sale": lapse(row["event_us"] - sold[-1]["event_us"]),
        }
