"""Legitimate behaviour: what customers do when nobody defrauds them, hard negatives among it.

``legitimate`` is the door. Stands on ``sgf_pipeline.population`` and ``sgf_pipeline.domain``.
"""

from sgf_pipeline.traffic.legitimate import legitimate

__all__ = ["legitimate"]
