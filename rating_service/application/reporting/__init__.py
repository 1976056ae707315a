"""Reports for dashboards: usage, credit, forecasts and bills."""
