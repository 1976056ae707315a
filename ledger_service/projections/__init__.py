"""Projections: views folded from the notification log, each equal to a rebuild from zero."""
