"""Commands that take more than one decision: evidence from the log, several streams, or a time to come back."""
