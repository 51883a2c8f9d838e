"""Causal features of transactions: what a detector, or an online store, could have known when a row arrived."""
