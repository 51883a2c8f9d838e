"""``sgf``: the commands, their options, and how an error leaves the program.

Belongs here: option names and help; numbers stay texts until the request checks them, as it does for every door.
Imports of anything heavy happen inside a command, so that ``sgf --help`` answers at once.
"""

import getpass
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from sgf_pipeline.cli.feature_serving import features_app
from sgf_pipeline.cli.quality import quality_app
from sgf_pipeline.cli.words import listed
from sgf_pipeline.domain.errors import SgfError, outcome_of

app = typer.Typer(
    name="sgf",
    help="Labelled synthetic fraud datasets: a language model writes the crime, a simulator lets it happen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cases_app = typer.Typer(help="The model's fraud cases.", no_args_is_help=True)
app.add_typer(cases_app, name="cases")
audit_app = typer.Typer(help="The audit trail of all batches.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
warehouse_app = typer.Typer(help="The warehouse (DATABASE_URL, or Supabase).", no_args_is_help=True)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(quality_app, name="quality")
app.add_typer(features_app, name="features")

# What a first try asks for: a month of a small French bank.
DEFAULT_COUNT = 1000
DEFAULT_RATIO = 0.1
DEFAULT_DAYS = 30
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@app.command()
def generate(
    count: Annotated[
        str | None, typer.Option("--count", "-c", metavar="INTEGER", help=f"transactions in all [{DEFAULT_COUNT}]")
    ] = None,
    fraud_ratio: Annotated[
        str | None,
        typer.Option("--fraud-ratio", "-r", metavar="NUMBER", help=f"share of frauds, 0 to 1 [{DEFAULT_RATIO}]"),
    ] = None,
    scenarios: Annotated[str | None, typer.Option(help="names with commas between them [all that are built]")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code [EUR]")] = None,
    countries: Annotated[str | None, typer.Option(help="ISO 3166 codes with commas between them [FR]")] = None,
    start_date: Annotated[str | None, typer.Option(help="first moment, ISO 8601 [30 days ago]")] = None,
    end_date: Annotated[str | None, typer.Option(help="last moment, ISO 8601 [yesterday]")] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="INTEGER", help="0 or more [random, printed and recorded]")
    ] = None,
    population_seed: Annotated[
        str | None, typer.Option(metavar="INTEGER", help="the same customers in every batch [the seed]")
    ] = None,
    population_size: Annotated[str | None, typer.Option(metavar="INTEGER", help="customers a shard [implied]")] = None,
    difficulty: Annotated[str | None, typer.Option(metavar="NUMBER", help="0 (easy to find) to 1 [0.5]")] = None,
    hard_negative_share: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="of legitimate rows that look like fraud, 0 to 0.2 [0.015]")
    ] = None,
    language: Annotated[str | None, typer.Option(help="of the explanations: en or fr [en]")] = None,
    batch_id: Annotated[str | None, typer.Option(help="a name of your own [gen_<date>_<time>]")] = None,
    tenant: Annotated[str | None, typer.Option(help="whose batch it is [default]")] = None,
    storage_url: Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix [SGF_STORAGE_URL]")] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="do not load the warehouse")] = False,
    no_s3: Annotated[bool, typer.Option("--no-s3", help="do not export the dataset's files")] = False,
    no_kafka: Annotated[bool, typer.Option("--no-kafka", help="do not publish to Kafka")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the result as one JSON line, and nothing else")
    ] = False,
) -> None:
    """Build one batch of labelled transactions through Dagster, in this process."""
    import secrets

    from sgf_pipeline.cli import questions
    from sgf_pipeline.cli.building import build_batch
    from sgf_pipeline.scenarios import SCENARIOS

    last_midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    defaults: dict[str, Any] = {
        "count": DEFAULT_COUNT,
        "fraud_ratio": DEFAULT_RATIO,
        "scenarios": tuple(SCENARIOS),
        "currency": "EUR",
        "countries": ("FR",),
        "start_date": (last_midnight - timedelta(days=DEFAULT_DAYS)).strftime(MOMENT),
        "end_date": (last_midnight - timedelta(seconds=1)).strftime(MOMENT),
        "seed": secrets.randbelow(2**31),
    }
    asked = {
        "count": count,
        "fraud_ratio": fraud_ratio,
        "scenarios": None if scenarios is None else listed(scenarios),
        "currency": currency,
        "countries": None if countries is None else listed(countries),
        "start_date": start_date,
        "end_date": end_date,
        "seed": seed,
    }
    if len(sys.argv) == 2 and sys.stdin.isatty() and sys.stderr.isatty():
        asked = questions.ask(defaults)
    content = {name: defaults[name] if value is None else value for name, value in asked.items()}
    optional = {
        "tenant": tenant,
        "population_seed": population_seed,
        "population_size": population_size,
        "difficulty": difficulty,
        "hard_negative_share": hard_negative_share,
        "language": language,
    }
    content.update({name: value for name, value in optional.items() if value is not None})
    delivery = {"save": not no_save, "s3": not no_s3, "kafka": not no_kafka, "requested_by": f"cli:{_user()}"}
    build_batch(content, delivery, batch_id=batch_id, storage_url=storage_url, as_json=as_json)


@app.command()
def replay(
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="a finished batch, exported to the lake")],
    rate: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="transactions a second, held [5000]", show_default=False)
    ] = None,
    speed_up: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="follow the batch's own time, so many times as fast, instead of a rate"),
    ] = None,
    late_share: Annotated[
        float, typer.Option(metavar="NUMBER", help="of transactions that come behind newer ones, 0 to 1")
    ] = 0.0,
    duplicate_share: Annotated[
        float, typer.Option(metavar="NUMBER", help="of transactions that come twice, 0 to 1")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="INTEGER", min=0, help="which are late or double")] = 0,
    skip: Annotated[
        int, typer.Option(metavar="INTEGER", min=0, help="go on behind so many records, as an interrupted replay says")
    ] = 0,
    storage_url: Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix [SGF_STORAGE_URL]")] = None,
) -> None:
    """Play a batch on Kafka against the clock: transactions at a held rate, labels when they are due."""
    from sgf_pipeline.cli import replaying

    replaying.replay(
        batch_id, rate=rate, speed_up=speed_up, late_share=late_share, duplicate_share=duplicate_share, seed=seed,
        skip=skip, storage_url=storage_url,
    )  # fmt: skip


def _user() -> str:
    """Who typed the command, for the audit trail; a user id where the machine has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


@cases_app.command("show")
def show_cases(
    scenario: Annotated[str, typer.Option(help="one scenario")],
    batch_id: Annotated[str | None, typer.Option(help="the cases of a batch; new ones when absent")] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=500, help="how many")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="of new cases")] = 0,
    storage_url: Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix [SGF_STORAGE_URL]")] = None,
) -> None:
    """Print fraud cases as an analyst would tell them."""
    from sgf_pipeline.cli.showing import show

    show(scenario, batch_id=batch_id, count=count, seed=seed, storage_url=storage_url)


@warehouse_app.command("sql")
def warehouse_sql(
    since: Annotated[str | None, typer.Option(metavar="VERSION", help="only what came after this version")] = None,
) -> None:
    """Print the SQL that makes the warehouse's tables: for Supabase's SQL editor, where only its REST API is used."""
    from sgf_pipeline.resources.supabase import setup_sql

    typer.echo(setup_sql(since))


@audit_app.command("verify")
def verify_audit(
    storage_url: Annotated[
        list[str] | None,
        typer.Option(help="where the batches of this warehouse lie; may be repeated [SGF_STORAGE_URL]"),
    ] = None,
) -> None:
    """Walk the audit trail and hold it to the manifests; name the first row that was changed, removed or forged."""
    from sgf_pipeline.cli.auditing import verify

    verify(storage_url or ())


def main() -> None:
    """Run the command; an error of ours is one sentence on stderr and its exit code."""
    try:
        app()
    except SgfError as error:
        typer.echo(f"sgf: {error}", err=True)
        raise SystemExit(outcome_of(error).exit_code) from None


if __name__ == "__main__":
    main()
