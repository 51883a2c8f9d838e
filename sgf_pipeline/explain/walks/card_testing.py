"""The walk of card testing."""

from collections import Counter
from typing import Any

from sgf_pipeline.explain.walks.base import Row, Walk, lapse


class CardTesting(Walk):
    """What an incident of card testing has shown so far."""

    def __init__(self, totals: Counter[str]) -> None:
        super().__init__(totals)
        self.spends = totals["spend"]
        self.attempts = totals.total() - self.spends
        self.tested: list[Row] = []
        self.spent = 0

    def step(self, row: Row) -> dict[str, Any]:
        known = {"merchant": row["merchant_name"], "amount": row["amount"], "response_code": row["response_code"]}
        if row["step_kind"] != "spend":
            self.tested.append(row)
            number = len(self.tested)
            kind = "first_test" if number == 1 else "test" if self._different("device_id") else "unseen_test"
            return {
                **known,
                "fact": kind,
                "attempt": number,
                "attempts": self.attempts,
                "elapsed": lapse(row["event_us"] - self.tested[0]["event_us"]),
                "cards": self._different("card_id"),
                "declined": sum(1 for test in self.tested if test["response_code"] != "00"),
                "devices": self._different("device_id"),
                "addresses": self._different("ip_address"),
                "merchants": self._different("merchant_id"),
            }
        self.spent += 1
        tests = [test for test in self.tested if test["card_id"] == row["card_id"]]
        passed = [test for test in tests if test["response_code"] == "00"]
        if not passed:
            return {"fact": "a spend on a card that passed no test"}
        return {
            **known,
            "fact": "spend",
            "spend": self.spent,
            "spends": self.spends,
            "cards": self._different("card_id"),
            "card_tests": len(tests),
            "tested_amount": passed[-1]["amount"],
            "waited": lapse(row["event_us"] - passed[-1]["event_us"]),
        }

    def _different(self, column: str) -> int:
        return len({test[column] for test in self.tested if test[column] is not None})
