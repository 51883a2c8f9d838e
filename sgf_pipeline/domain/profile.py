"""``Profile``: aggregate facts of card data, without a row, a name or an identifier of it.

Belongs here: the shape of a profile, reading and writing it. Does not belong here: computing one
(``sgf_pipeline.quality.reference``) and judging a batch by it (``sgf_pipeline.quality.realism``).
"""

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgf_pipeline.domain.errors import InvalidRequestError

SMALLEST_GROUP = 10  # cards behind a figure; a figure of fewer is withheld


class SpanFacts(BaseModel):
    """Facts of a log cut into pieces of equal length; None where fewer than ``SMALLEST_GROUP`` cards stand behind one.

    Figures of rows and of cards are over all pieces together (a card counts anew in every piece), those of merchants
    are means over the pieces, because they grow with the length of the log. Definitions: ``quality.realism``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(gt=0, description="length of a piece")
    pieces: int = Field(gt=0, description="pieces that were measured; thin ones are left out")
    cards: float = Field(description="mean cards in a piece")
    rows: float = Field(description="mean settled purchases in a piece")
    amount_quantiles: dict[str, float | None] = Field(description="share of rows → amount, major units")
    benford_mad: float | None = Field(None, description="first digits, mean absolute deviation from Benford's law")
    whole: float | None = Field(None, description="share of whole amounts")
    ending_99: float | None = Field(None, description="share of amounts ending .99")
    ending_95: float | None = Field(None, description="share of amounts ending .95")
    ending_50: float | None = Field(None, description="share of amounts ending .50")
    sigma_ln: float | None = Field(None, description="standard deviation of ln(amount)")
    skew_ln: float | None = Field(None, description="skewness of ln(amount)")
    zipf_slope: float | None = Field(None, description="of merchants of ranks 5 to 2,000")
    top_merchants: float | None = Field(None, description="share of rows at the top 1 % of merchants")
    repeat_merchant: float | None = Field(None, description="share of rows at a merchant where the card was before")
    between_cards: float | None = Field(None, description="share of the variance of ln(amount), cards of ≥ 30 rows")
    lag_1: float | None = Field(None, description="correlation of ln(amount) with the row before, cards of ≥ 30 rows")
    rows_a_card: float | None = Field(None, description="median rows")
    rows_a_card_spread: float | None = Field(None, description="95th percentile over the median of rows a card")
    burstiness: float | None = Field(None, description="of the gaps in days, cards of ≥ 30 rows")
    memory: float | None = Field(None, description="correlation of a gap with the next, cards of ≥ 30 rows")
    exact_repeats: float | None = Field(None, description="share of rows that repeat card, day, merchant and amount")
    refunds: float | None = Field(None, description="refunds over purchases and refunds")


class Profile(BaseModel):
    """Aggregates of one set of card data, by the span into which it was cut ("30 days", "1 year")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str = Field(description="who published the data and where")
    licence: str
    attribution: str = Field(description="the sentence that the licence asks for")
    note: str = Field(description="what to keep in mind when reading the figures")
    currency: str = Field(description="ISO 4217")
    first_day: date
    last_day: date
    cards: int
    rows: int
    spans: dict[str, SpanFacts]


def read_profile(path: Path) -> Profile:
    """Read a profile. Raises ``InvalidRequestError`` where the file is missing or holds none."""
    try:
        return Profile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidRequestError(f"profile {str(path)!r} cannot be read ({error.strerror}): name a file") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        raise InvalidRequestError(
            f"profile {str(path)!r} is no profile ({field}: {first['msg']}): compute it with"
            " python -m sgf_pipeline.quality.reference"
        ) from error
