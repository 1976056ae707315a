"""Simulations: other prices on recorded or synthetic usage, beside the live service."""
