"""What the service does, on ports: read ports and refusals, then rate_usage and invoices."""
