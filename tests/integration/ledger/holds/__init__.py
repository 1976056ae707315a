"""Holds, reversals and withdrawn grants over a real channel."""
