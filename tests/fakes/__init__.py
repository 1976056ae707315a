"""Fakes of the application's ports, held to the same contract tests as the adapters."""
