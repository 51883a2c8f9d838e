"""The language model, behind one seam: ``CaseWriter``.

Belongs here: choosing the provider of a request, handing it what it needs, and what a request may cost. The models
themselves live in ``llm``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg
from pydantic import PrivateAttr

from sgf_pipeline.domain.errors import ConfigurationError
from sgf_pipeline.domain.request import GenerationRequest, RequestContent
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.settings import read_settings

if TYPE_CHECKING:
    from sgf_pipeline.llm.backend import Estimate
    from sgf_pipeline.llm.cache import CaseCache
    from sgf_pipeline.llm.openai_backend import OpenAIBackend
    from sgf_pipeline.llm.peft_backend import PeftBackend
    from sgf_pipeline.llm.taught import Taught
    from sgf_pipeline.llm.writer import CaseWriter

    AnyBackend: TypeAlias = PeftBackend | OpenAIBackend


class LLMResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Writers of cases. One loaded model serves every shard of the process.

    ``peft_base`` and ``peft_adapter`` name folders; the bundled model where they are not set. ``openai_model`` is that
    of requests which name none, ``prices`` a file of prices. Dagster shows these fields to everybody who may see the
    web interface, so the key is none of them: it is read from the settings when it is used.
    """

    cache_dir: str
    peft_base: str | None = None
    peft_adapter: str | None = None
    openai_model: str = "gpt-4o-mini"
    openai_base_url: str | None = None
    openai_prompt: str = "instructions"
    openai_timeout_seconds: float = 120.0
    prices: str | None = None

    _cache: "CaseCache | None" = PrivateAttr(default=None)
    _peft: "PeftBackend | None" = PrivateAttr(default=None)
    _openai: "dict[str, OpenAIBackend]" = PrivateAttr(default_factory=dict)

    def writer(
        self,
        seed: int,
        max_cost_usd: float | None = None,
        content: RequestContent | None = None,
        counts_cached: bool = False,
    ) -> "CaseWriter":
        """A writer for one shard of a request with this content; of the default provider where there is none.

        ``counts_cached`` holds the cap over several tries: see ``CaseWriter``.

        Raises ``ModelError`` for a folder that holds no model, ``ConfigurationError`` where the provider wants a
        setting that is missing.
        """
        from sgf_pipeline.llm.writer import CaseWriter

        backend = self._peft_model() if content is None else self._model(content)
        return CaseWriter(backend, self._answers(), seed, max_cost_usd=max_cost_usd, counts_cached=counts_cached)

    def taught(self, name: ScenarioName, content: RequestContent | None = None) -> "Taught | None":
        """The vectors of the user's own that the adapter of a request's model was taught, if it was any."""
        from sgf_pipeline.llm.taught import read_taught

        is_local = content is None or content.provider == "peft"
        return read_taught(Path(self.peft_adapter), name) if self.peft_adapter and is_local else None

    @property
    def version(self) -> str:
        """Changes with the model: part of the code version of ``fraud_cases``. Loads no weights."""
        return self._peft_model().version

    def check(self, request: GenerationRequest) -> None:
        """Refuse what could only fail later: a missing key, folder or cache, a cap on costs that nobody knows."""
        self.writer(0, content=request.content)
        unpriced = self.unpriced(request.content)
        if unpriced and request.delivery.max_cost_usd is not None:
            raise ConfigurationError(
                f"max_cost_usd {request.delivery.max_cost_usd:g} cannot be held: no price of model {unpriced[0]!r} is"
                " known; name it in SGF_PRICES, or leave the cap out"
            )

    def unpriced(self, content: RequestContent) -> list[str]:
        """The models of the request whose costs are counted as 0 because no table has their price."""
        if content.provider != "openai":
            return []
        backend = self._quoting(content)
        return list(dict.fromkeys(backend.model(name) for name in content.scenarios if backend.price(name) is None))

    def quote(self, content: RequestContent) -> "dict[ScenarioName, Estimate]":
        """What each shard may take at most, every case asked for once and none in the cache. Asks nobody."""
        from sgf_pipeline.llm.backend import Estimate, Prompt
        from sgf_pipeline.llm.briefs import draw_briefs
        from sgf_pipeline.scenarios import scenario
        from sgf_pipeline.simulation import cases_needed

        found: dict[ScenarioName, Estimate] = {}
        for name, counts in content.shard_counts().items():
            cases = cases_needed(name, counts.fraudulent)
            if content.provider == "openai":
                briefs = draw_briefs(scenario(name), cases, content.seed)
                found[name] = self._quoting(content).estimate([Prompt(one, 0, 1, content.seed) for one in briefs])
            else:
                found[name] = Estimate(cases, -(-cases // self._peft_model().batch_rows))
        return found

    def cap_of(self, request: GenerationRequest, name: ScenarioName) -> float | None:
        """The shard's part of ``max_cost_usd``: as its quote is of all shards' quotes.

        So a cap of what was quoted is enough for every shard to ask for each of its cases once.
        """
        cap = request.delivery.max_cost_usd
        if cap is None:
            return None
        costs = {shard: one.cost_usd for shard, one in self.quote(request.content).items()}
        total = sum(costs.values())
        return cap * costs[name] / total if total else cap

    def _answers(self) -> "CaseCache":
        """One cache for the process, so that a Redis that is away costs one warning."""
        from sgf_pipeline.llm.cache import case_cache

        if self._cache is None:
            url = read_settings().redis_url
            self._cache = case_cache(Path(self.cache_dir) / "cases", url.get_secret_value() if url else "")
        return self._cache

    def _model(self, content: RequestContent) -> "AnyBackend":
        if content.provider == "peft":
            return self._peft_model()
        from sgf_pipeline.llm.openai_backend import OpenAIBackend, Patience
        from sgf_pipeline.llm.prices import read_prices

        model = content.model or self.openai_model
        if model not in self._openai:
            key = read_settings().openai_key
            if key is None and self.openai_base_url is None:
                raise ConfigurationError(
                    "OPENAI_API_KEY is not set: set it, or set OPENAI_BASE_URL to a server of your own"
                )
            self._openai[model] = OpenAIBackend(
                model, key, read_prices(Path(self.prices) if self.prices else None), self.openai_base_url,
                Patience(reply=self.openai_timeout_seconds), self.openai_prompt == "brief",
            )  # fmt: skip
        return self._openai[model]

    def _quoting(self, content: RequestContent) -> "OpenAIBackend":
        """A backend that is never asked anything: a quote needs no key."""
        from sgf_pipeline.llm.openai_backend import OpenAIBackend
        from sgf_pipeline.llm.prices import read_prices

        prices = read_prices(Path(self.prices) if self.prices else None)
        return OpenAIBackend(
            content.model or self.openai_model, None, prices, self.openai_base_url,
            is_trained=self.openai_prompt == "brief",
        )  # fmt: skip

    def _peft_model(self) -> "PeftBackend":
        from sgf_pipeline.llm.peft_backend import PeftBackend

        if self._peft is None:
            self._peft = PeftBackend(
                Path(self.peft_base) if self.peft_base else None,
                Path(self.peft_adapter) if self.peft_adapter else None,
                read_settings().parquet_key,
            )
        return self._peft
