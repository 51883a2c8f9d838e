"""The walk of identity theft."""

from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, approved, different, lapse, money_sum


class IdentityTheft(Walk):
    """What an incident of identity theft has shown so far. Money is summed as decimals."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.haul = float(money_sum([r for r in approved(frauds) if r["step_kind"] != "false_repayment"]))
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
            "cash_point": row["merchant_name"],
            "country": row["counterparty_country"],
            "row": len(self.rows),
            "rows_in_all": len(self.frauds),
            "haul": self.haul,
            "age": row["account_age_days"],
            "accounts": different(self.rows, "account_id"),
            "elapsed": lapse(row["event_us"] - self.rows[0]["event_us"]),
            "taken": float(money_sum(approved(out))),
            "largest_taken": max((r["amount"] for r in approved(out)), default=0.0),
            "refused": len(out) - len(approved(out)),
            "repaid": float(money_sum([r for r in self.rows if r["step_kind"] == "false_repayment"])),
        }
        if len(self.rows) > 1:
            known["since_last"] = lapse(row["event_us"] - self.rows[-2]["event_us"])
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
            "quiet_spent": float(money_sum(self.paid_quietly)),
            "largest_quiet": max(r["amount"] for r in self.paid_quietly),
            "quiet_time": lapse(row["event_us"] - self.paid_quietly[0]["event_us"]),
        }
