"""Verification of what was issued and adjusted, recomputed from history."""
