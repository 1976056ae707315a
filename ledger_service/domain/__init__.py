"""Pure rules: no clock, no randomness, no I/O. Read events, then wallet, then one decision."""
