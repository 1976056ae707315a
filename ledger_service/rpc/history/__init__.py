"""HistoryService on the wire."""
