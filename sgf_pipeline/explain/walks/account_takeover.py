"""The walk of account takeover."""

from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, lapse, money_sum, other_accounts

ELSEWHERE = ("trial_transfer", "transfer_out")
TO_MULE = "own_mule_transfer"
CASH = "cash_withdrawal"


class AccountTakeover(Walk):
    """What an incident of account takeover has shown so far. Money is summed as decimals."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.haul = float(money_sum([r for r in frauds if r["direction"] == "debit" and r["response_code"] == "00"]))
        self.rows: list[Row] = []

    def step(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        asked = [r for r in self.rows if r["direction"] == "debit"]
        given = [r for r in asked if r["response_code"] == "00"]
        wired = [r for r in asked if r["step_kind"] in (*ELSEWHERE, TO_MULE)]
        shops = [r for r in asked if r["step_kind"] not in (*ELSEWHERE, TO_MULE, CASH)]
        known: dict[str, Any] = {
            "vector": row["vector"],
            "what": row["step_kind"],
            "move": len(self.rows),
            "moves": len(self.frauds),
            "haul": self.haul,
            "age": row["account_age_days"],
            "amount": row["amount"],
            "response_code": row["response_code"],
            "elapsed": lapse(row["event_us"] - self.rows[0]["event_us"]),
            "taken": float(money_sum(given)),
            "declined": len(asked) - len(given),
            "merchant": row["merchant_name"],
            "cash_point": row["merchant_name"],
            "merchants": len({r["merchant_id"] for r in shops if r["merchant_id"] is not None}),
            "devices": len({r["device_id"] for r in asked if r["device_id"] is not None}),
            "addresses": len({r["ip_address"] for r in asked if r["ip_address"] is not None}),
            "country": row["counterparty_country"],
            "receivers": other_accounts(wired),
            "withdrawn": float(money_sum([r for r in given if r["step_kind"] == CASH])),
        }
        if row["direction"] == "credit":
            if not given:
                return {"fact": "a mule who received before anything was taken"}
            here = [r for r in self.rows if r["direction"] == "credit" and r["account_id"] == row["account_id"]]
            return {**known, "fact": "received", "received": float(money_sum(here))}
        if len(asked) > 1:
            known["since_last"] = lapse(row["event_us"] - asked[-2]["event_us"])
        return {**known, "fact": self._fact(row, known["devices"])}

    def _fact(self, row: Row, devices: int) -> str:
        if len(self.rows) == 1:
            return "opening"
        if row["step_kind"] in ELSEWHERE:
            return "sent"
        if row["step_kind"] == TO_MULE:
            return "sent_inside"
        if row["step_kind"] == CASH:
            return "cash"
        return "bought" if devices else "bought_unseen"
