"""Pure rules of rating: no clock, no randomness, no I/O. Read agreements, then prices, then invoicing."""
