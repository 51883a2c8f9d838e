"""SGF: labelled synthetic fraud datasets, built as Dagster assets.

Nothing is imported here, so that ``sgf --help`` and a run that needs one part pay for that part only.
"""

__version__ = "0.1.0"
