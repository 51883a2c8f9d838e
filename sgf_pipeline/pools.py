"""The pools: what there is only so much of, so that steps which use it wait for one another.

Belongs here: their names, and making them known to an instance. How many steps each lets in is the instance's
affair (``dagster.yaml``, or the web interface).
"""

import dagster as dg

MODEL = "model"
DATABASE = "database"


def prepare_pools(instance: dg.DagsterInstance) -> None:
    """Make the pools known before a run needs them.

    Dagster makes a pool when a step first asks for it; on PostgreSQL two runs that ask at the same moment break each
    other (dagster 1.13: the second INSERT aborts the transaction that then goes on).
    """
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for pool in {MODEL, DATABASE} - storage.get_concurrency_keys():
            storage.initialize_concurrency_limit_to_default(pool)
