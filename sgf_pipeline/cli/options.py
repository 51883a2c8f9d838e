"""The options that say what a batch is: shared by every command that takes a request.

Belongs here: their names and help, what is meant where one is left out, and how they become a request's raw values.
Numbers stay texts: the request checks them, as it does for every door. Imports nothing heavy.
"""

import getpass
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from sgf_pipeline.cli.words import listed

# What a first try asks for: a month of a small French bank.
DEFAULT_COUNT = 1000
DEFAULT_RATIO = 0.1
DEFAULT_DAYS = 30
MOMENT = "%Y-%m-%dT%H:%M:%SZ"

Count = Annotated[
    str | None, typer.Option("--count", "-c", metavar="INTEGER", help=f"transactions in all [{DEFAULT_COUNT}]")
]
FraudRatio = Annotated[
    str | None,
    typer.Option("--fraud-ratio", "-r", metavar="NUMBER", help=f"share of frauds, 0 to 1 [{DEFAULT_RATIO}]"),
]
Scenarios = Annotated[str | None, typer.Option(help="names with commas between them [all that are built]")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217 code [EUR]")]
Countries = Annotated[str | None, typer.Option(help="ISO 3166 codes with commas between them [FR]")]
StartDate = Annotated[str | None, typer.Option(help="first moment, ISO 8601 [30 days ago]")]
EndDate = Annotated[str | None, typer.Option(help="last moment, ISO 8601 [yesterday]")]
Seed = Annotated[str | None, typer.Option(metavar="INTEGER", help="0 or more [random, printed and recorded]")]
PopulationSeed = Annotated[
    str | None, typer.Option(metavar="INTEGER", help="the same customers in every batch [the seed]")
]
PopulationSize = Annotated[str | None, typer.Option(metavar="INTEGER", help="customers a shard [implied]")]
Difficulty = Annotated[str | None, typer.Option(metavar="NUMBER", help="0 (easy to find) to 1 [0.5]")]
HardNegativeShare = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="of legitimate rows that look like fraud, 0 to 0.2 [0.015]")
]
Language = Annotated[str | None, typer.Option(help="of the explanations: en or fr [en]")]
BatchId = Annotated[str | None, typer.Option(help="a name of your own [gen_<date>_<time>]")]
Tenant = Annotated[str | None, typer.Option(help="whose batch it is [default]")]
StorageUrl = Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix [SGF_STORAGE_URL]")]
NoSave = Annotated[bool, typer.Option("--no-save", help="do not load the warehouse")]
NoS3 = Annotated[bool, typer.Option("--no-s3", help="do not export the dataset's files")]
NoKafka = Annotated[bool, typer.Option("--no-kafka", help="do not publish to Kafka")]
Provider = Annotated[str | None, typer.Option(help="who writes the cases: peft (on this machine) or openai [peft]")]
Model = Annotated[str | None, typer.Option(help="of openai, or of the server OPENAI_BASE_URL [OPENAI_MODEL]")]
MaxCostUsd = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="stop before the model costs more, in USD [no limit]")
]
Quote = Annotated[bool, typer.Option("--quote", help="say what the model may cost at most, and build nothing")]
AsJson = Annotated[bool, typer.Option("--json", help="print the result as one JSON line, and nothing else")]


def default_content() -> dict[str, Any]:
    """The content of a request that says nothing."""
    import secrets

    from sgf_pipeline.scenarios import SCENARIOS

    last_midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "count": DEFAULT_COUNT,
        "fraud_ratio": DEFAULT_RATIO,
        "scenarios": tuple(SCENARIOS),
        "currency": "EUR",
        "countries": ("FR",),
        "start_date": (last_midnight - timedelta(days=DEFAULT_DAYS)).strftime(MOMENT),
        "end_date": (last_midnight - timedelta(seconds=1)).strftime(MOMENT),
        "seed": secrets.randbelow(2**31),
    }


def given_content(**options: str | None) -> dict[str, Any]:
    """The options that were given, by the names of the content's fields."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in ("scenarios", "countries"):
        if name in given:
            given[name] = listed(given[name])
    return given


def delivery_of(no_save: bool, no_s3: bool, no_kafka: bool, max_cost_usd: str | None = None) -> dict[str, Any]:
    """The delivery, with who typed the command."""
    return {
        "save": not no_save, "s3": not no_s3, "kafka": not no_kafka, "max_cost_usd": max_cost_usd,
        "requested_by": f"cli:{user()}",
    }  # fmt: skip


def user() -> str:
    """Who typed the command, for the audit trail; a user id where the machine has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())
