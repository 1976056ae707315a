"""One suite per port, run on every adapter and fake of it."""
