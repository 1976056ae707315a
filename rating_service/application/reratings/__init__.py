"""Phases for the past: shown, accepted or rejected, and put right to the end."""
