"""The walk of identity theft."""

from collections import Counter
from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, lapse, money_sum


class IdentityTheft(Walk):
    """What an incident of identity theft has shown so far. Money is summed as decimals."""

    def __init__(self, totals: Counter[str]) -> None:
        super().__init__(totals)
        self.movements = totals.total()
        self.paid_quietly: list[Row] = []
        self.rows: list[Row] = []

    def pass_by(self, row: Row) -> None:
        if row["direction"] == "debit" and row["response_code"] == "00":
            self.paid_quietly.append(row)

    def step(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        out = [r for r in self.rows if r["step_kind"] != "false_repayment"]
        known: dict[str, Any] = {
            "vector": row["vector"],
            "act": row["step_kind"],
            "response_code": row["response_code"],
            "amount": row["amount"],
            "merchant": row["merchant_name"],
            "country": row["counterparty_country"],
            "row": len(self.rows),
            "rows": self.movements,
            "accounts": len({r["account_id"] for r in self.rows}),
            "elapsed": lapse(row["event_us"] - self.rows[0]["event_us"]),
            "taken": float(money_sum([r for r in out if r["response_code"] == "00"])),
            "refused": sum(1 for r in out if r["response_code"] != "00"),
            "repaid": float(money_sum([r for r in self.rows if r["step_kind"] == "false_repayment"])),
        }
        if row["step_kind"] == "false_repayment":
            return {**known, "fact": "false_repayment" if len(self.rows) > 1 else "unseen_taking"}
        if len(self.rows) > 1:
            kinds = {"cash_withdrawal": "cash", "transfer_out": "sent"}
            return {**known, "fact": kinds.get(row["step_kind"], "bought")}
        if not self.paid_quietly:
            return {**known, "fact": "unseen_turn"}
        return {
            **known,
            "fact": "turn",
            "quiet_payments": len(self.paid_quietly),
            "largest_quiet": max(r["amount"] for r in self.paid_quietly),
            "quiet_time": lapse(row["event_us"] - self.paid_quietly[0]["event_us"]),
        }
