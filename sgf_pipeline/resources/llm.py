"""The language model, behind one seam: ``CaseWriter``.

Belongs here: choosing the provider of a request and handing it what it needs. The models themselves live in ``llm``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from sgf_pipeline.llm.peft_backend import PeftBackend
    from sgf_pipeline.llm.writer import CaseWriter


class LLMResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Writers of cases. One loaded model serves every shard of the process.

    ``peft_base`` and ``peft_adapter`` name folders; the bundled model where they are not set.
    """

    cache_dir: str
    peft_base: str | None = None
    peft_adapter: str | None = None

    _backend: "PeftBackend | None" = PrivateAttr(default=None)

    def writer(self, seed: int, max_cost_usd: float | None = None) -> "CaseWriter":
        """A writer for one shard. Raises ``ModelError`` for a folder that holds no model."""
        from sgf_pipeline.llm.cache import DiskCaseCache
        from sgf_pipeline.llm.writer import CaseWriter

        return CaseWriter(self._model(), DiskCaseCache(Path(self.cache_dir) / "cases"), seed, max_cost_usd=max_cost_usd)

    @property
    def version(self) -> str:
        """Changes with the model: part of the code version of ``fraud_cases``. Loads no weights."""
        return self._model().version

    def _model(self) -> "PeftBackend":
        from sgf_pipeline.llm.peft_backend import PeftBackend

        if self._backend is None:
            self._backend = PeftBackend(
                Path(self.peft_base) if self.peft_base else None,
                Path(self.peft_adapter) if self.peft_adapter else None,
            )
        return self._backend
