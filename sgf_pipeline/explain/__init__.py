"""Explanations: what the exported rows show about each fraud, in words and as evidence.

``explain`` writes them, ``verify`` recomputes them by other means. Both read exported columns alone, so that
nothing can be said of a row that no user of the data can see.
"""

from sgf_pipeline.explain.explaining import explain
from sgf_pipeline.explain.verifying import verify

__all__ = ["explain", "verify"]
