"""Usage on its way in: priced and debited, or kept in quarantine; answers metered while they are given."""
