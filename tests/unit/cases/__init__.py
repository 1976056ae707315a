"""The acceptance-case runner, without services."""
