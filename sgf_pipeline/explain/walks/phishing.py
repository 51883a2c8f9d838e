"""The walk of phishing."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, approved, different, lapse, money_sum, other_accounts

_BY_VICTIM = {"victim_try", "victim_payment"}
_BY_STRANGER = {"credential_try", "credential_transfer", "credential_purchase"}
_BY_MULE = {"mule_transfer": "sent_on", "mule_withdrawal": "cash_out"}


class Phishing(Walk):
    """What an incident of phishing has shown so far. Money is summed as decimals."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.losses = _paying(approved(frauds))
        self.rows: list[Row] = []
        self.savings: list[Row] = []

    def pass_by(self, row: Row) -> None:
        if row["step_kind"] == "savings_in":
            self.savings.append(row)

    def step(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        known: dict[str, Any] = {
            "vector": row["vector"],
            "leg": len(self.rows),
            "legs": len(self.frauds),
            "age": row["account_age_days"],
            "amount": row["amount"],
            "country": row["counterparty_country"],
            "response_code": row["response_code"],
            "merchant": row["merchant_name"],
        }
        own = [r for r in self.rows if r["account_id"] == row["account_id"]]
        if row["direction"] == "credit" or row["step_kind"] in _BY_MULE:
            return known | self._of_mule(row, own)
        return known | self._of_victim(row, own)

    def _of_mule(self, row: Row, own: list[Row]) -> dict[str, Any]:
        receipts = [r for r in own if r["direction"] == "credit"]
        spent = [r for r in own if r["step_kind"] in _BY_MULE]
        came_in, went_out = money_sum(receipts), money_sum(spent)
        known = {"came_in": float(came_in), "went_out": float(went_out), "senders": other_accounts(receipts)}
        if row["direction"] == "credit":
            return {**known, "fact": "received"}
        if not receipts:
            return {"fact": "a mule moves on money that never came to him"}
        if went_out > came_in:
            return {"fact": "a mule moves on more than came to him"}
        passed_on = int((100 * went_out / came_in).quantize(Decimal(1), rounding=ROUND_HALF_UP))
        return {
            **known,
            "fact": _BY_MULE[row["step_kind"]],
            "last_in": receipts[-1]["amount"],
            "since_in": lapse(row["event_us"] - receipts[-1]["event_us"]),
            "passed_on": passed_on,
            "kept": 100 - passed_on,
        }

    def _of_victim(self, row: Row, own: list[Row]) -> dict[str, Any]:
        paid = _paying(own)
        strangers = [r for r in self.rows if r["step_kind"] in _BY_STRANGER and r["direction"] == "debit"]
        saved = [r for r in self.savings if r["account_id"] == row["account_id"]]
        known: dict[str, Any] = {
            "payment": len(paid),
            "paid": float(money_sum(approved(paid))),
            "loss": float(money_sum([r for r in self.losses if r["account_id"] == row["account_id"]])),
            "first_amount": paid[0]["amount"],
            "elapsed": lapse(row["event_us"] - paid[0]["event_us"]),
            "payees": other_accounts(paid),
            "merchants": different(paid, "merchant_id"),
            "robbed": different(strangers, "account_id"),
        }
        if len(paid) > 1:
            known["since_last"] = lapse(row["event_us"] - paid[-2]["event_us"])
        if saved:
            known["brought_in"] = float(money_sum(saved))
            known["since_funds"] = lapse(row["event_us"] - saved[-1]["event_us"])
        return {**known, "fact": self._told(row, alone=len(paid) == 1, funded=bool(saved))}

    def _told(self, row: Row, *, alone: bool, funded: bool) -> str:
        if row["merchant_id"] is not None:
            return "stolen_purchase" if row["step_kind"] in _BY_STRANGER else "shop_payment"
        if row["step_kind"] in _BY_VICTIM:
            return "funded_payment" if funded else "first_payment" if alone else "payment"
        return "first_theft" if alone else "theft"


def _paying(rows: list[Row]) -> list[Row]:
    """What leaves the accounts of victims."""
    return [row for row in rows if row["direction"] == "debit" and row["step_kind"] not in _BY_MULE]
