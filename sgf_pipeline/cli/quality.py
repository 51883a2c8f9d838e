"""``sgf quality``: the options of the commands that measure what SGF makes.

Belongs here: option names and help. Does not belong here: building and measuring (``scoreboard``), imported inside a
command, so that ``sgf --help`` answers at once.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from sgf_pipeline.cli.words import listed

quality_app = typer.Typer(help="How real the data are, and how hard the fraud is to find.", no_args_is_help=True)

SIZES = (10_000, 50_000, 1_000_000)
SEEDS = (1, 2, 3)
MISSED = 1  # exit code where a line is out of its goal

Currency = Annotated[str, typer.Option(help="ISO 4217 code")]
Countries = Annotated[str, typer.Option(help="ISO 3166 codes with commas between them")]
Scenarios = Annotated[str | None, typer.Option(help="names with commas between them [all]")]
Seeds = Annotated[list[int] | None, typer.Option("--seed", min=0, help="may be repeated [1, 2, 3]")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON line, and nothing else")]
Markdown = Annotated[Path | None, typer.Option(help="write the table between the markers of this page, too")]


@quality_app.command("scoreboard")
def scoreboard(
    rows: Annotated[
        list[int] | None, typer.Option(min=1, help="size of a batch, may be repeated [10000, 50000, 1000000]")
    ] = None,
    seed: Seeds = None,
    currency: Currency = "EUR",
    countries: Countries = "FR,DE,IT",
    scenarios: Scenarios = None,
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 (easy to find) to 1")] = 0.5,
    as_json: AsJson = False,
    markdown: Markdown = None,
) -> None:
    """Build batches of each size and seed, hold every line against its goal; exit 1 where one is out of it."""
    from sgf_pipeline.cli.scoreboard import scoreboard as run

    content = {**_content(currency, countries, scenarios), "difficulty": difficulty}
    if not run(rows or SIZES, seed or SEEDS, content, as_json=as_json, markdown=markdown):
        raise typer.Exit(MISSED)


@quality_app.command("difficulty")
def difficulty(
    rows: Annotated[int, typer.Option(min=1, help="size of each batch")] = 50_000,
    seed: Seeds = None,
    currency: Currency = "EUR",
    countries: Countries = "FR,DE,IT",
    scenarios: Scenarios = None,
    as_json: AsJson = False,
    markdown: Markdown = None,
) -> None:
    """How hard fraud is to find at difficulty 0, .25, .5, .75 and 1; exit 1 where a detector's AUC does not fall."""
    from sgf_pipeline.cli.scoreboard import difficulty as run

    content = _content(currency, countries, scenarios)
    if not run(rows, seed or SEEDS, content, as_json=as_json, markdown=markdown):
        raise typer.Exit(MISSED)


def _content(currency: str, countries: str, scenarios: str | None) -> dict[str, Any]:
    asked: dict[str, Any] = {"currency": currency, "countries": listed(countries)}
    return asked if scenarios is None else {**asked, "scenarios": listed(scenarios)}
