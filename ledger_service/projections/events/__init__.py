"""Stored events read into narrow structs: what the projections fold of each."""
