"""Asking for a request on a terminal, one field at a time."""

from typing import Any

import typer

from sgf_pipeline.cli.words import listed


def ask(defaults: dict[str, Any]) -> dict[str, Any]:
    """Answers to the main fields; Enter takes the default. They are checked where every request is."""
    typer.echo("A new batch. Enter takes the value in brackets.", err=True)

    def prompt(text: str, default: Any) -> str:
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        answer: str = typer.prompt(text, default=shown, err=True)
        return answer.strip()

    return {
        "count": prompt("Transactions", defaults["count"]),
        "fraud_ratio": prompt("Share of frauds", defaults["fraud_ratio"]),
        "scenarios": listed(prompt("Scenarios", defaults["scenarios"])),
        "currency": prompt("Currency", defaults["currency"]),
        "countries": listed(prompt("Countries", defaults["countries"])),
        "start_date": prompt("First moment", defaults["start_date"]),
        "end_date": prompt("Last moment", defaults["end_date"]),
        "seed": prompt("Seed", defaults["seed"]),
    }
