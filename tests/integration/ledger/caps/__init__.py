"""Spend caps and budgets over a real channel."""
