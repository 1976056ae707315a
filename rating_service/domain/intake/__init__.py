"""Usage as others report it, read into quantities that count no token twice."""
