"""What rating keeps, in PostgreSQL: one store a module, all on one pool."""
