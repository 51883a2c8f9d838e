"""The language model, behind one seam: ``CaseWriter``.

Belongs here: choosing the provider of a request and handing it what it needs. The models themselves live in ``llm``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

from sgf_pipeline.domain.request import RequestContent

if TYPE_CHECKING:
    from sgf_pipeline.llm.peft_backend import PeftBackend
    from sgf_pipeline.llm.writer import CaseWriter


class LLMResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """``provider`` of the request → a writer of cases. One loaded model serves every shard of the process."""

    cache_dir: str
    peft_base: str | None = None
    peft_adapter: str | None = None

    _backend: "PeftBackend | None" = PrivateAttr(default=None)

    def writer(self, content: RequestContent) -> "CaseWriter":
        """A writer for one shard of the request."""
        from sgf_pipeline.llm.cache import DiskCaseCache
        from sgf_pipeline.llm.peft_backend import PeftBackend
        from sgf_pipeline.llm.writer import CaseWriter

        if self._backend is None:
            self._backend = PeftBackend(base=self.peft_base, adapters=self.peft_adapter)
        return CaseWriter(self._backend, DiskCaseCache(Path(self.cache_dir)), content.seed)
