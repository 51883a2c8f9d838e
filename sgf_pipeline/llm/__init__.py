"""Who writes the cases: prompts, backends, cache, and the writer that asks, checks, asks again and counts.

Imports nothing of Dagster and reads no settings: callers pass in folders, seeds and caches.
"""
