"""What reports are made of: usage by day, remaining credit, and where a cycle is heading."""
