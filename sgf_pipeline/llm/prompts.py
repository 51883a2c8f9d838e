"""What a model reads, and the version that every cached answer is kept under.

Belongs here: the text around a brief. Does not belong here: the brief's own line (``CaseBrief.prompt``).
"""

from sgf_pipeline.domain.cases import CaseBrief

PROMPT_VERSION = "1"  # raise it whenever prompt_text changes: old answers are then asked for anew


def prompt_text(brief: CaseBrief) -> str:
    """The brief in one line; what follows the line break is the case's JSON."""
    return brief.prompt() + "\n"
