"""``sgf``: the commands, their options, and how an error leaves the program.

Belongs here: names and help of options that one command has; those of a request are in ``options``.
Imports of anything heavy happen inside a command, so that ``sgf --help`` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sgf_pipeline.cli import options
from sgf_pipeline.cli.feature_serving import features_app
from sgf_pipeline.cli.model import model_app
from sgf_pipeline.cli.quality import quality_app
from sgf_pipeline.domain.errors import InvalidRequestError, SgfError, outcome_of

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
app.add_typer(model_app, name="model")


@app.command()
def generate(
    count: options.Count = None,
    fraud_ratio: options.FraudRatio = None,
    scenarios: options.Scenarios = None,
    currency: options.Currency = None,
    countries: options.Countries = None,
    start_date: options.StartDate = None,
    end_date: options.EndDate = None,
    seed: options.Seed = None,
    population_seed: options.PopulationSeed = None,
    population_size: options.PopulationSize = None,
    difficulty: options.Difficulty = None,
    hard_negative_share: options.HardNegativeShare = None,
    language: options.Language = None,
    provider: options.Provider = None,
    model: options.Model = None,
    max_cost_usd: options.MaxCostUsd = None,
    quote: options.Quote = False,
    batch_id: options.BatchId = None,
    tenant: options.Tenant = None,
    storage_url: options.StorageUrl = None,
    no_save: options.NoSave = False,
    no_s3: options.NoS3 = False,
    no_kafka: options.NoKafka = False,
    as_json: options.AsJson = False,
) -> None:
    """Build one batch of labelled transactions through Dagster, in this process."""
    from sgf_pipeline.cli import questions
    from sgf_pipeline.cli.building import build_batch

    content = options.default_content()
    if len(sys.argv) == 2 and sys.stdin.isatty() and sys.stderr.isatty():
        content = questions.ask(content)
    content |= options.given_content(
        count=count, fraud_ratio=fraud_ratio, scenarios=scenarios, currency=currency, countries=countries,
        start_date=start_date, end_date=end_date, seed=seed, population_seed=population_seed,
        population_size=population_size, difficulty=difficulty, hard_negative_share=hard_negative_share,
        language=language, tenant=tenant, provider=provider, model=model,
    )  # fmt: skip
    delivery = options.delivery_of(no_save, no_s3, no_kafka, max_cost_usd)
    if quote:
        from sgf_pipeline.cli.quoting import tell_quote

        tell_quote(content, delivery, as_json=as_json)
        return
    build_batch(content, delivery, batch_id=batch_id, storage_url=storage_url, as_json=as_json)


@app.command()
def launch(
    count: options.Count = None,
    fraud_ratio: options.FraudRatio = None,
    scenarios: options.Scenarios = None,
    currency: options.Currency = None,
    countries: options.Countries = None,
    start_date: options.StartDate = None,
    end_date: options.EndDate = None,
    seed: options.Seed = None,
    population_seed: options.PopulationSeed = None,
    population_size: options.PopulationSize = None,
    difficulty: options.Difficulty = None,
    hard_negative_share: options.HardNegativeShare = None,
    language: options.Language = None,
    provider: options.Provider = None,
    model: options.Model = None,
    max_cost_usd: options.MaxCostUsd = None,
    quote: options.Quote = False,
    batch_id: options.BatchId = None,
    tenant: options.Tenant = None,
    storage_url: options.StorageUrl = None,
    no_save: options.NoSave = False,
    no_s3: options.NoS3 = False,
    no_kafka: options.NoKafka = False,
    night: Annotated[
        str | None, typer.Option(metavar="DATE", help="of --tenant: that night's batch, as SGF_TENANTS describes it")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="every shard, whether it is done or not")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="show how it goes until the manifest is written")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Build one batch in a Dagster that runs elsewhere (SGF_DAGSTER_URL), a run a shard.

    --batch-id alone names a registered batch and launches what of it is neither done nor under way. --tenant and
    --night do so for a tenant's night, and register it first where the schedule has not.
    """
    from sgf_pipeline.cli.launching import launch_batch, launch_night

    given = options.given_content(
        count=count, fraud_ratio=fraud_ratio, scenarios=scenarios, currency=currency, countries=countries,
        start_date=start_date, end_date=end_date, seed=seed, population_seed=population_seed,
        population_size=population_size, difficulty=difficulty, hard_negative_share=hard_negative_share,
        language=language, tenant=tenant, provider=provider, model=model,
    )  # fmt: skip
    delivery = options.delivery_of(no_save, no_s3, no_kafka, max_cost_usd)
    if quote:
        from sgf_pipeline.cli.quoting import tell_quote

        tell_quote(options.default_content() | given, delivery, as_json=as_json)
        return
    is_without_delivery = not (no_save or no_s3 or no_kafka or max_cost_usd)
    if night is not None:
        if tenant is None or batch_id is not None or len(given) > 1 or not is_without_delivery:
            raise InvalidRequestError(
                f"--night {night} goes with --tenant, and with no other option that says what the batch is: SGF_TENANTS"
                " says that"
            )
        launch_night(
            tenant, night, requested_by=f"cli:{options.user()}", again=again, wait=wait, as_json=as_json,
            storage_url=storage_url,
        )  # fmt: skip
        return
    is_registered = batch_id is not None and not given and is_without_delivery
    launch_batch(
        None if is_registered else options.default_content() | given, delivery,
        batch_id=batch_id, again=again, wait=wait, as_json=as_json, storage_url=storage_url,
    )  # fmt: skip


@app.command()
def backfill(
    batch_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[BATCH]...", help="registered batches", show_default=False)
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="names with commas between them", show_default=False)
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="whose nightly batches, with --nights")] = None,
    nights: Annotated[str | None, typer.Option(metavar="FIRST..LAST", help="such as 2025-01-01..2025-01-31")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="show how it goes until the manifests are written")] = False,
    as_json: options.AsJson = False,
    storage_url: options.StorageUrl = None,
) -> None:
    """Build one scenario or more of registered batches again, each by its recorded request, as one backfill."""
    from sgf_pipeline.cli import launching

    launching.backfill(
        scenario, batch_ids or (), tenant=tenant, nights=nights, requested_by=f"cli:{options.user()}", wait=wait,
        as_json=as_json, storage_url=storage_url,
    )  # fmt: skip


@app.command()
def status(
    batch_id: Annotated[str | None, typer.Argument(metavar="[BATCH]", help="one batch [the newest ones]")] = None,
    last: Annotated[int, typer.Option(metavar="INTEGER", help="how many of the newest batches")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="go on looking; a batch until it is settled")] = False,
    as_json: options.AsJson = False,
    storage_url: options.StorageUrl = None,
) -> None:
    """Show where a batch and its shards stand, or the newest batches."""
    from sgf_pipeline.cli import statuses

    statuses.status(batch_id, last=last, watch=watch, as_json=as_json, storage_url=storage_url)


@app.command()
def cancel(
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="a registered batch")],
    as_json: options.AsJson = False,
    storage_url: options.StorageUrl = None,
) -> None:
    """End what is queued or running of a batch. What is done stays."""
    from sgf_pipeline.cli import launching

    launching.cancel(batch_id, as_json=as_json, storage_url=storage_url)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on")] = 8010,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, max=86_400, help="how long generate waits for its batch")
    ] = 600,
    tls_cert: Annotated[
        Path | None, typer.Option(help="certificate of this server, PEM, with its chain", show_default=False)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="its key, PEM", show_default=False)] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="only clients with a certificate of this authority, PEM", show_default=False)
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="let everybody in who reaches --host")] = False,
    storage_url: options.StorageUrl = None,
) -> None:
    """Serve the REST API: previews at once, batches through Dagster (SGF_DAGSTER_URL)."""
    from sgf_pipeline.api.listening import Listening
    from sgf_pipeline.cli import serving

    serving.serve(
        Listening(host, port, tls_cert, tls_key, client_ca, insecure), wait_seconds=wait, storage_url=storage_url
    )


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
