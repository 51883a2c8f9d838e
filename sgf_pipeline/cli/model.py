"""``sgf model``: teach the bundled model, or one's own, one's own fraud.

Belongs here: the command's options and what it prints. It runs the asset ``scenario_adapter``, as the web interface
does; what is taught, and when an adapter is refused, is the training's business.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sgf_pipeline.cli import options

model_app = typer.Typer(help="The language model that writes the cases.", no_args_is_help=True)

# Figures that people read, with their words; all of them are in --json and in Dagster.
_SHARES = {
    "valid_own": "valid at the first try, own cells",
    "valid_own_bundled_adapter": "the same by the bundled adapter",
    "valid_stock": "valid at the first try, bundled cells",
    "distinct": "structurally different",
    "new_structure": "of a structure that no taught case has",
    "too_near": "nearer to a taught case than held-out ones",
    "copied": "with all steps of a taught case",
    "copied_held_out": "the same among held-out cases",
}


@model_app.callback()
def _group() -> None:
    """A callback keeps ``train`` a word of its own while it is the only command."""


@model_app.command("train")
def train(
    scenario: Annotated[str, typer.Option(help="one scenario")],
    cases: Annotated[Path, typer.Option(metavar="DIR", help="your confirmed cases: .jsonl or .parquet files")],
    steps: Annotated[int, typer.Option(min=0, max=100_000, help="optimiser steps; 0: as many as suit")] = 0,
    share: Annotated[float, typer.Option(help="of a batch's cases that use your own vectors, above 0 to 1")] = 0.6,
    out: Annotated[
        Path | None, typer.Option(help="folder of the adapters [SGF_CACHE_DIR/models/taught]", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of what is drawn")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Train an adapter on your own confirmed cases; it is refused where it answers badly or repeats them."""
    from sgf_pipeline.cli.building import execute, open_instance, own_tags
    from sgf_pipeline.definitions import build_definitions
    from sgf_pipeline.domain.errors import InvalidRequestError
    from sgf_pipeline.domain.request import check_scenario
    from sgf_pipeline.settings import read_settings

    name = check_scenario(scenario)
    if not 0 < share <= 1:
        raise InvalidRequestError(f"share {share:g} is not above 0 and at most 1: give the part of cases, such as 0.6")
    if not cases.exists():
        raise InvalidRequestError(f"cases {str(cases)!r} does not exist: name a folder of .jsonl or .parquet files")
    if sys.stderr.isatty():
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        logging.getLogger("sgf_pipeline.training").setLevel(logging.INFO)
    settings = read_settings()
    config: dict[str, Any] = {"cases": str(cases.resolve()), "steps": steps, "share": share, "seed": seed}
    if out is not None:
        config["out"] = str(out.resolve())
    with open_instance(settings) as instance:
        result = execute(
            build_definitions(settings, with_nights=False), instance, "train_adapter", name, own_tags(),
            lambda what: None, name, {"scenario_adapter": config},
        )  # fmt: skip
    (made,) = result.get_asset_materialization_events()
    figures: dict[str, Any] = {key: value.value for key, value in made.materialization.metadata.items()}
    folder = str(Path(figures.pop("folder")).resolve())
    checks = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    if as_json:
        typer.echo(json.dumps({"scenario": name, "folder": folder, "checks": checks, "figures": figures}))
        return
    typer.echo(f"{figures['own_cases']:.0f} cases of {name} ({figures['duplicates']:.0f} duplicates left out,"
               f" {figures['held_out_cases']:.0f} held out), {figures['steps']:.0f} steps"
               f" in {figures['seconds']:.0f} s")  # fmt: skip
    typer.echo(
        f"  loss on held-out cases: {figures['loss_held_out']:.3f}, of the base alone {figures['loss_base']:.3f}"
    )
    for key, words in _SHARES.items():
        if key in figures:
            typer.echo(f"  {words:<44} {figures[key]:7.1%}")
    typer.echo(f"use it: SGF_PEFT_ADAPTER={folder}")
