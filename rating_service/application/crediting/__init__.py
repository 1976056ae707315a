"""Credit notes, asked for or due."""
