"""The walk of money laundering."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, approved, different, lapse, money_sum, other_accounts


class MoneyLaundering(Walk):
    """What an incident of money laundering has shown so far. Money is summed as decimals."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.scheme_accounts = different(frauds, "account_id")
        self.rows: list[Row] = []

    def step(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        own = [r for r in self.rows if r["account_id"] == row["account_id"]]
        credits = approved([r for r in own if r["direction"] == "credit"])
        debits = approved([r for r in own if r["direction"] == "debit"])
        cash = [r for r in own if r["step_kind"] == "cash_deposit"]
        came_in, went_out = money_sum(credits), money_sum(debits)
        known: dict[str, Any] = {
            "vector": row["vector"],
            "leg": len(self.rows),
            "legs": len(self.frauds),
            "scheme_accounts": self.scheme_accounts,
            "age": row["account_age_days"],
            "amount": row["amount"],
            "elapsed": lapse(row["event_us"] - self.rows[0]["event_us"]),
            "country": row["counterparty_country"],
            "deposits": len(cash),
            "largest": max((r["amount"] for r in cash), default=0.0),
            "senders": other_accounts(credits),
            "receivers": other_accounts(debits),
            "accounts": different(self.rows, "account_id"),
            "came_in": float(came_in),
            "went_out": float(went_out),
        }
        if len(self.rows) > 1:
            known["since_last"] = lapse(row["event_us"] - self.rows[-2]["event_us"])
        kind = row["step_kind"]
        if row["direction"] == "debit":
            if came_in <= 0:
                return {"fact": "money carried on that never came in"}
            passed_on = int((100 * went_out / came_in).quantize(Decimal(1), rounding=ROUND_HALF_UP))
            known |= {
                "last_in": credits[-1]["amount"],
                "since_in": lapse(row["event_us"] - credits[-1]["event_us"]),
                "passed_on": passed_on,
                "kept": 100 - passed_on,
            }
            if went_out > came_in:
                return {"fact": "more money carried on than came in"}
            return {
                **known,
                "fact": {"internal_transfer": "sent", "outbound_transfer": "outbound"}.get(kind, "cash_out"),
            }
        if kind == "cash_deposit":
            return {**known, "fact": "cash" if len(cash) > 1 else "first_cash"}
        if kind == "inbound_transfer":
            return {**known, "fact": "inbound"}
        at_origin = row["vector"] == "cycle" and row["account_id"] == self.rows[0]["account_id"]
        return {**known, "fact": "returned" if at_origin else "received"}
