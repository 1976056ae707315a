"""Simulations on the command line, and their report."""
