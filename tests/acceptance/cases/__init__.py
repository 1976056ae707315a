"""Acceptance cases: read from files, planned as timed steps, played over gRPC on one manual clock."""
