"""``sgf features``: put a batch's features into an online store, and read them as a decision engine would.

Belongs here: options, finding the batch's files, and how answers are shown. Does not belong here: the store
(``resources.feature_store``), imported inside a command, so that ``sgf --help`` answers at once.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sgf_pipeline.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from sgf_pipeline.resources.feature_store import FeatureStore
    from sgf_pipeline.settings import Settings

features_app = typer.Typer(help="Window features in an online store (Feast).", no_args_is_help=True)

Batch = Annotated[str, typer.Argument(metavar="BATCH", help="its batch_id")]
StorageUrl = Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix [SGF_STORAGE_URL]")]


@features_app.command("materialize")
def materialize(
    batch: Batch,
    as_of: Annotated[
        str | None, typer.Option(help="the moment to serve, ISO 8601 with a time zone [after the batch's last row]")
    ] = None,
    storage_url: StorageUrl = None,
) -> None:
    """Fill the online store with every customer's, card's, merchant's … features at one moment."""
    import shlex

    from sgf_pipeline import batches
    from sgf_pipeline.definitions import lake_of
    from sgf_pipeline.features.store import LOG_COLUMNS
    from sgf_pipeline.resources.feature_store import ExportedShard, features_file

    settings = _settings(storage_url)
    lake = lake_of(settings)
    request = batches.load(lake, batch)
    shards = []
    for scenario in request.content.scenarios:
        rows = batches.shard_file(lake, request, scenario)
        features = features_file(batches.dataset_folder(lake, request), scenario)
        if not lake.exists(rows) or not lake.exists(features):
            raise InvalidRequestError(
                f"shard {scenario} of batch {batch!r} has no exported features: build it, without --no-s3"
            )
        shards.append(ExportedShard(scenario, lake.read_rows(rows, list(LOG_COLUMNS)), lake.read_rows(features)))
    store = _store(settings)
    done = store.materialise(batch, shards, _moment(as_of))
    typer.echo(f"{sum(done.keys.values())} keys as of {done.as_of.isoformat()} in {store.address}:")
    for view, count in done.keys.items():
        typer.echo(f"  {view:28} {count:9,}")
    typer.echo(f"Feast took {done.seconds:.1f} s; its repository is {store.repository(batch)}. To read it:")
    typer.echo(f"  sgf features get {batch} {shlex.join(f'{name}={value}' for name, value in done.example.items())}")


@features_app.command("get")
def get(
    batch: Batch,
    keys: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="such as customer_id=cus_1f…")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object, and nothing else")] = False,
) -> None:
    """Read the features that some identifiers answer for, together or alone."""
    import json

    from sgf_pipeline.domain.request import check_batch_id

    key = {}
    for word in keys:
        column, equals, value = word.partition("=")
        if not equals or not value:
            raise InvalidRequestError(f"key {word!r} is not of the form COLUMN=VALUE: try customer_id=cus_1f…")
        key[column] = value
    found = _store(_settings(None)).read(check_batch_id(batch), [key])[0]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, number in found.items():
        typer.echo(f"{name:34} {'-' if number is None else f'{number:,.6g}'}")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidRequestError(f"as_of {text!r} is no moment: use the form 2025-01-20T00:00:00Z")
    return moment


def _settings(storage_url: str | None) -> "Settings":
    from sgf_pipeline.settings import read_settings

    return read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))


def _store(settings: "Settings") -> "FeatureStore":
    from sgf_pipeline.resources.feature_store import FeatureStore

    redis = settings.redis_url.get_secret_value() if settings.redis_url else ""
    return FeatureStore(settings.sgf_feature_repositories, settings.sgf_feast_python, redis)
