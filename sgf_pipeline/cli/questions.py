"""Asking for a request on a terminal, one field at a time."""

from typing import Any

import typer


def ask(asked: dict[str, Any], count: int, ratio: float, scenarios: tuple[str, ...]) -> dict[str, Any]:
    """Every field with its default; Enter takes it. Answers are checked where every request is."""
    typer.echo("A new batch. Enter takes the value in brackets.", err=True)

    def prompt(text: str, default: Any, kind: type) -> Any:
        return typer.prompt(text, default=default, type=kind, err=True)

    names = prompt("Scenarios", ",".join(scenarios), str)
    places = prompt("Countries", "FR", str)
    seed = prompt("Seed (empty: random)", "", str)
    return {
        **asked,
        "count": prompt("Transactions", count, int),
        "fraud_ratio": prompt("Share of frauds", ratio, float),
        "scenarios": tuple(part.strip() for part in names.split(",") if part.strip()),
        "currency": prompt("Currency", "EUR", str),
        "countries": tuple(part.strip() for part in places.split(",") if part.strip()),
        "seed": int(seed) if seed.strip().isdecimal() else (seed.strip() or None),
    }
