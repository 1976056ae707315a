"""Pure rules of rating: no clock, no randomness, no I/O. Read agreement, then pricing, then invoice."""
