"""What a model's tokens cost: the table that comes with the package, and a user's own beside it.

Belongs here: reading price tables and multiplying. Does not belong here: how many tokens a question has
(``sgf_pipeline.llm.openai_backend``), and caps (``sgf_pipeline.llm.writer``).
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgf_pipeline.domain.errors import ConfigurationError

BUNDLED = Path(__file__).parent / "prices.json"
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # a dated snapshot costs what its model costs

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Price(BaseModel):
    """One model's prices, in USD per million tokens.

    ``cached_input`` is that of input that the server had read before, ``input`` where it is not given.
    ``reasoning_tokens`` is how many hidden output tokens one question may take beside its answer: models that think
    before they answer bill them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    reasoning_tokens: int = Field(default=0, ge=0, le=1_000_000)

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """USD for a question with so many tokens; ``cached_tokens`` are among the input ones."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * self.input + cached_tokens * cached + output_tokens * self.output) / 1e6


class PriceTable(BaseModel):
    """Prices by model, with where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, Price]
    unit: str = "USD per million tokens"
    source: str = ""
    date: str = ""

    def of(self, model: str) -> Price | None:
        """The model's price, or that of the model that it is a dated snapshot of; None where neither is listed."""
        return self.models.get(model) or self.models.get(_SNAPSHOT.sub("", model))


def read_prices(own: Path | None = None) -> PriceTable:
    """The bundled table, with the models of ``own`` (the same form) instead of or beside its own.

    Raises ``ConfigurationError`` for a file that cannot be read or is no price table.
    """
    table = PriceTable.model_validate_json(BUNDLED.read_bytes())
    if own is None:
        return table
    remedy = '{"models": {"NAME": {"input": 0.15, "output": 0.6}}}, in USD per million tokens'
    try:
        added = PriceTable.model_validate_json(own.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"SGF_PRICES {str(own)!r} cannot be read ({error.strerror}): name a file such as {remedy}"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"SGF_PRICES {str(own)!r} is no price table ({place}: {first['msg']}): write {remedy}"
        ) from None
    return added.model_copy(update={"models": {**table.models, **added.models}})
