"""Who and what lives in the simulation: places, merchants, prices, customers, and how an event's columns are filled.

Stands on ``sgf_pipeline.domain`` alone; traffic and scenarios stand on it.
"""
