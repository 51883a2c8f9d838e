"""Proofs about rows: gates, and later realism, shortcut audit, detectors and the report."""
