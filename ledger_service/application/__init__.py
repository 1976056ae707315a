"""Use cases: what happens between a request and the log. Knows the domain and its own ports, nothing else."""
