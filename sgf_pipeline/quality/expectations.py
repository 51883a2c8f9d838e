"""What a batch is expected to look like, column by column, as a Great Expectations suite with data docs.

Belongs here: the suite, its goals taken from the scoreboard (``realism``), from Benford's law and from the
profile of real card data, and the HTML pages that show it. Does not belong here: rules that no row may break
(``gate``), and statistics that need more than one column of one table (``realism``).

Great Expectations is imported where it is used: that takes about three seconds. Nothing is sent anywhere: the context
lives in memory, analytics are off, and the pages name no picture on a foreign server. (Their styles and scripts come
from public CDNs when a browser opens them.)
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from sgf_pipeline.domain.money import UNITS_PER_EUR, minor_digits, unit_amount
from sgf_pipeline.domain.request import RequestContent
from sgf_pipeline.domain.schema import FIELDS
from sgf_pipeline.population.places import cities, utc_offset_minutes
from sgf_pipeline.quality.realism import BENFORD, TINY_UNITS, Statistic, shipped_profile

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation import Expectation

SUITE = "sgf_transactions"
# What ``gather`` reads of the exported schema.
COLUMNS = (
    "event_time", "customer_id", "card_id", "transaction_type", "direction", "amount", "currency", "channel",
    "entry_mode", "authentication", "response_code", "dispute_reason", "latitude", "longitude", "is_fraud",
    "hard_negative",
)  # fmt: skip
MOST_ROWS = 200_000  # a larger batch is looked at through a seeded sample of whole customers of about this many rows
FEWEST_DAYS = 3  # a shorter period has no rhythm of the day
# The reference is of corporate cards in another country: price levels may lie this factor apart. Our judgement.
PRICE_LEVELS = 4.0
CHI_SQUARE_95 = {8: 15.5, 23: 35.2}  # by degrees of freedom
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000


@dataclass(frozen=True)
class Outcome:
    """One expectation: what it is about, whether it is met, and the numbers behind it, as JSON knows them.

    ``observed`` is the statistic, or for an expectation about single values the percentage that breaks it.
    """

    expectation: str
    column: str
    met: bool
    observed: Any
    expected: dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """All outcomes; ``pages`` are the data docs, by their path below the site's folder."""

    outcomes: list[Outcome]
    pages: dict[str, bytes]

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.met]


def gather(batches: Iterable[pa.RecordBatch], content: RequestContent) -> pd.DataFrame:
    """``COLUMNS`` of a batch's rows, clean or exported; of a large batch whole customers, chosen by identifier."""
    share = min(1.0, MOST_ROWS / content.count)
    pieces = []
    for batch in batches:
        table = pa.Table.from_batches([batch]).select(COLUMNS)
        if share < 1:
            # identifiers are hashes: their last eight hexadecimal digits are as good as a draw
            customers = batch.column("customer_id")
            luck = np.array([int(word[-8:], 16) for word in customers.dictionary.to_pylist()]) / 16.0**8
            table = table.filter(pa.array((luck < share)[customers.indices.to_numpy()]))
        pieces.append(table)
    frame: pd.DataFrame = pa.concat_tables(pieces).unify_dictionaries().to_pandas()
    return frame


def expect(
    rows: pd.DataFrame, content: RequestContent, statistics: Sequence[Statistic], folder: Path | None = None
) -> Expected:
    """Hold the rows of a batch (``gather``) to the suite.

    ``statistics`` are the batch's own (``realism.measure``). They say which goals the batch is held to, and by how
    much they are widened; where it is too small for them only words, ranges and counts are expected.
    With ``folder``, an empty one, data docs are rendered into it and returned. Deterministic, pages apart.
    """
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            data_docs_sites={SUITE: site} if folder else {},
            analytics_enabled=False,
            progress_bars={"globally": False},
        ),
    )
    whole = (
        context.data_sources.add_pandas("batch")
        .add_dataframe_asset(content.tenant)
        .add_batch_definition_whole_dataframe("rows")
    )
    frame = _frame(rows, content)
    suite = gx.ExpectationSuite(name=SUITE, expectations=_suite(frame, content, statistics))
    if folder is None:  # nothing need be kept for pages: neither the suite and its result, nor what rows break it
        batch = whole.get_batch({"dataframe": frame})
        return Expected(_outcomes(batch.validate(suite, result_format="BASIC")), {})
    suite = context.suites.add(suite)
    validation = context.validation_definitions.add(gx.ValidationDefinition(name=SUITE, data=whole, suite=suite))
    # the moment of the run is the end of the period, so that pages written again take the place of the older ones
    result = validation.run(
        batch_parameters={"dataframe": frame}, run_id=RunIdentifier(run_name=SUITE, run_time=content.end_date)
    )
    context.build_data_docs(site_names=[SUITE])
    return Expected(_outcomes(result), _pages(folder))


def _frame(rows: pd.DataFrame, content: RequestContent) -> pd.DataFrame:
    """The exported columns, and what the suite looks at beside them.

    A derived column is null on rows that it does not speak of: ``purchase_*`` on all but settled purchases (legitimate,
    approved), ``legit_*`` on fraud. Hours are those of the largest city of the first country. Words stay categories: GX
    searches every object of another column for decimals.
    """
    minor = np.rint(rows["amount"].to_numpy() * 10 ** minor_digits(content.currency)).astype(np.int64)
    unit = unit_amount(content.currency) * 10 ** minor_digits(content.currency)
    fraud = rows["is_fraud"].to_numpy(dtype=bool)
    declined = (rows["response_code"] != "00").to_numpy()
    kind = rows["transaction_type"]
    settled = ~fraud & ~declined & (kind == "purchase").to_numpy() & (minor > 0)
    euros = rows["amount"].to_numpy() / UNITS_PER_EUR[content.currency]
    moment = rows["event_time"].dt.as_unit("us").astype("int64").to_numpy()
    local = moment + utc_offset_minutes(cities(content.countries[0]).timezone[0], moment) * MINUTE_US
    logs = np.log(np.maximum(euros, 1e-9))

    def where(chosen: Any, values: Any) -> Any:
        return pd.Series(np.where(chosen, values, np.nan), index=rows.index)

    words = {
        name: rows[name].cat.remove_unused_categories()
        for name in COLUMNS
        if name in rows and isinstance(rows[name].dtype, pd.CategoricalDtype) and name != "customer_id"
    }
    return pd.DataFrame(
        {
            **words,
            "amount": rows["amount"],
            "latitude": rows["latitude"],
            "longitude": rows["longitude"],
            "is_fraud": fraud.astype(float),
            "day_of_period": (moment - int(content.start_date.timestamp()) * 1_000_000) // DAY_US,
            "purchase_in_euros": where(settled, euros),
            "ln_purchase": where(settled, logs),
            "purchase_first_digit": where(settled, _first_digit(minor)),
            "purchase_is_whole": where(settled, minor % unit == 0),
            "purchase_ends_99": where(settled, minor % unit == unit * 99 // 100),
            "legit_local_hour": where(~fraud, local % DAY_US // (60 * MINUTE_US)),
            "legit_is_declined": where(~fraud, declined),
            "legit_is_refund": where(~fraud, kind == "refund"),
            "legit_is_tiny": where(~fraud, minor <= TINY_UNITS * unit),
            "legit_is_hard_negative": where(~fraud, rows["hard_negative"].notna()),
        }
    )


def _first_digit(minor: NDArray[np.int64]) -> NDArray[np.int64]:
    digits: NDArray[np.int64] = minor // 10 ** np.floor(np.log10(np.maximum(minor, 1)) + 1e-12).astype(np.int64)
    return digits


# Columns of zeros and ones whose mean is a share, and the line of the scoreboard that is its goal.
_SHARES = {
    "purchase_is_whole": "whole",
    "purchase_ends_99": "ending_99",
    "legit_is_declined": "declines",
    "legit_is_refund": "refunds",
    "legit_is_tiny": "tiny",
    "legit_is_hard_negative": "hard_negatives",
}


def _suite(frame: pd.DataFrame, content: RequestContent, statistics: Sequence[Statistic]) -> list["Expectation"]:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    legitimate = Column("is_fraud") == 0
    suite: list[Expectation] = [
        gxe.ExpectColumnValuesToBeInSet(column=field.name, value_set=list(field.words))
        for field in FIELDS
        if field.words and field.name in frame
    ]
    suite += [
        gxe.ExpectColumnValuesToBeInSet(column="currency", value_set=[content.currency]),
        gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="latitude", min_value=-90, max_value=90),
        gxe.ExpectColumnValuesToBeBetween(column="longitude", min_value=-180, max_value=180),
        gxe.ExpectColumnValuesToNotBeNull(column="transaction_type"),
    ]
    if content.count <= MOST_ROWS:
        suite += [
            gxe.ExpectTableRowCountToEqual(value=content.count),
            gxe.ExpectColumnMeanToBeBetween(
                column="is_fraud",
                min_value=content.fraudulent / content.count - 1e-9,
                max_value=content.fraudulent / content.count + 1e-9,
            ),
        ]
    goals = {line.name: _goal(line) for line in statistics if line.judged}
    for column, name in _SHARES.items():
        if name in goals:
            low, high = goals[name]
            suite.append(gxe.ExpectColumnMeanToBeBetween(column=column, min_value=low, max_value=high))
    if not {"sigma_ln", "hour_entropy", "benford"} <= set(goals):  # too few rows to judge a distribution
        return suite
    low, high = goals["sigma_ln"]
    suite.append(gxe.ExpectColumnStdevToBeBetween(column="ln_purchase", min_value=low, max_value=high))
    suite += _prices()
    # A mean absolute deviation d from Benford's law is a divergence of about the sum of d² / 2p over the digits p.
    benford = float(((goals["benford"][1] or 0.0) ** 2 / (2 * BENFORD)).sum())
    # Entropy e (a share of ln 24) is a divergence of (1 − e) ln 24 from even hours.
    rhythm = (1 - (goals["hour_entropy"][0] or 0.0)) * float(np.log(24))
    purchases, legit = (max(1, int(frame[name].notna().sum())) for name in ("ln_purchase", "legit_local_hour"))
    days = (content.end_date - content.start_date).days + 1
    suite += [
        gxe.ExpectColumnKLDivergenceToBeLessThan(
            column="purchase_first_digit",
            partition_object={"values": list(map(float, range(1, 10))), "weights": BENFORD.tolist()},
            threshold=benford + CHI_SQUARE_95[8] / (2 * purchases),
        ),
        gxe.ExpectColumnDistinctValuesToContainSet(column="channel", value_set=["pos", "ecommerce", "mobile"]),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="day_of_period", min_value=min(days, legit // 50)),
        # our judgement of a retail bank: most rows are of cards, few are disputed
        gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(
            column="card_id", min_value=0.6, max_value=0.95, row_condition=legitimate
        ),
        gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(
            column="dispute_reason", max_value=0.02, row_condition=legitimate
        ),
    ]
    if days >= FEWEST_DAYS:
        suite += [
            gxe.ExpectColumnKLDivergenceToBeLessThan(
                column="legit_local_hour",
                partition_object={"values": list(map(float, range(24))), "weights": [1 / 24] * 24},
                threshold=rhythm + CHI_SQUARE_95[23] / (2 * legit),
            ),
            gxe.ExpectColumnMostCommonValueToBeInSet(
                column="legit_local_hour", value_set=list(map(float, range(10, 22)))
            ),
        ]
    return suite


def _prices() -> list["Expectation"]:
    """Purchases against the reference: the median, and nearly all between its outer quantiles."""
    import great_expectations.expectations as gxe

    profile = shipped_profile()
    quantiles = profile.spans["30 days"].amount_quantiles
    euros = {share: (amount or 0.0) / UNITS_PER_EUR[profile.currency] for share, amount in quantiles.items()}
    return [
        gxe.ExpectColumnMedianToBeBetween(
            column="purchase_in_euros",
            min_value=euros["0.50"] / PRICE_LEVELS,
            max_value=euros["0.50"] * PRICE_LEVELS,
        ),
        # not ``ExpectColumnQuantileValuesToBeBetween``: with numpy 2 its result cannot be stored (GX 1.24)
        gxe.ExpectColumnValuesToBeBetween(
            column="purchase_in_euros",
            min_value=euros["0.01"] / PRICE_LEVELS,
            max_value=euros["0.99"] * PRICE_LEVELS,
            mostly=0.97,
        ),
    ]


def _goal(line: Statistic) -> tuple[float | None, float | None]:
    """The ends of a line's goal, widened as the scoreboard widens them."""
    return None if line.low is None else line.low - line.margin, None if line.high is None else line.high + line.margin


_NUMBERS = ("min_value", "max_value", "mostly", "threshold", "value", "value_set")


def _outcomes(result: "ExpectationSuiteValidationResult") -> list[Outcome]:
    outcomes = []
    for one in result.results:
        asked, found = one.expectation_config.kwargs, one.result
        outcomes.append(
            Outcome(
                one.expectation_config.type.removeprefix("expect_"),
                asked.get("column", "table"),
                bool(one.success),
                _plain(found.get("observed_value", found.get("unexpected_percent"))),
                {name: _plain(value) for name, value in asked.items() if name in _NUMBERS and value is not None},
            )
        )
    return outcomes


def _plain(value: Any) -> Any:
    """What GX hands out as numbers of any kind, as what JSON knows, to six digits."""
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    return round(float(value), 6) if isinstance(value, int | float | np.number) else value


def _pages(folder: Path) -> dict[str, bytes]:
    """The site's files, without the animations of a tour that the pages do not offer and fonts that they do not use."""
    pages = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.suffix in (".gif", ".otf") or path.name.startswith("."):
            continue
        name = path.relative_to(folder)
        page = path.read_bytes()
        if path.suffix == ".html":
            logo = "../" * (len(name.parts) - 1) + "static/images/logo-long.png"
            page = re.sub(rb"https://great-expectations-web-assets[^\"')]*", logo.encode(), page)
        pages[name.as_posix()] = page
    return pages
