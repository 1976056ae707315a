"""Whether a request may run: limits, credit and the answers about them."""
