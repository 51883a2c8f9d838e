"""The walk of card testing."""

from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, approved, different, lapse, money_sum


class CardTesting(Walk):
    """What an incident of card testing has shown so far."""

    def __init__(self, frauds: list[Row]) -> None:
        super().__init__(frauds)
        self.spends = sum(1 for row in frauds if row["step_kind"] == "spend")
        self.tested: list[Row] = []
        self.spent: list[Row] = []

    def step(self, row: Row) -> dict[str, Any]:
        known = {
            "merchant": row["merchant_name"],
            "amount": row["amount"],
            "response_code": row["response_code"],
            "spends": self.spends,
        }
        if row["step_kind"] != "spend":
            self.tested.append(row)
            number = len(self.tested)
            kind = "first_test" if number == 1 else "test" if different(self.tested, "device_id") else "unseen_test"
            return {
                **known,
                "fact": kind,
                "attempt": number,
                "attempts": len(self.frauds) - self.spends,
                "elapsed": lapse(row["event_us"] - self.tested[0]["event_us"]),
                "cards": different(self.tested, "card_id"),
                "good_cards": different(approved(self.tested), "card_id"),
                "declined": number - len(approved(self.tested)),
                "devices": different(self.tested, "device_id"),
                "addresses": different(self.tested, "ip_address"),
                "merchants": different(self.tested, "merchant_id"),
            }
        self.spent.append(row)
        tests = [test for test in self.tested if test["card_id"] == row["card_id"]]
        passed = approved(tests)
        if not passed:
            return {"fact": "a spend on a card that passed no test"}
        return {
            **known,
            "fact": "spend",
            "spend": len(self.spent),
            "spent_sum": float(money_sum(self.spent)),
            "cards": different(self.tested, "card_id"),
            "good_cards": different(approved(self.tested), "card_id"),
            "card_tests": len(tests),
            "tested_amount": passed[-1]["amount"],
            "waited": lapse(row["event_us"] - passed[-1]["event_us"]),
        }
