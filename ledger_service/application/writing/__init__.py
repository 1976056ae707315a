"""The writer of a shard: calls are decided on arrival and committed together. Read writer, then decider."""
