"""Prometheus metrics of the calls and of following."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

CALL_SECONDS: Final = Histogram(
    "rating_call_seconds",
    "Time from a call's arrival to its answer.",
    ("method", "code"),
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
CALLED_ITEMS: Final = Counter(
    "rating_call_items", "Usages in the calls; 1 for a call that is no batch.", ("method",)
)
LAG_EVENTS: Final = Gauge("rating_follower_lag_events", "Positions of the ledger's log not yet followed.")
POSITION: Final = Gauge("rating_follower_position", "Position of the ledger's log that is followed.")
UNSUMMED_EVENTS: Final = Gauge(
    "rating_usage_lag_events", "Positions of the ledger's log that are followed and not in the sums of usage."
)
SERVING: Final = Gauge("rating_serving", "1 while health says SERVING.")
QUARANTINED_USAGES: Final = Counter(
    "rating_quarantined_usages",
    "Usages answered as quarantined, repeated ones included.",
    ("domain", "reason"),
)
RETRIED_USAGES: Final = Counter(
    "rating_quarantine_retries", "Quarantined usages driven again; left is what stays.", ("outcome",)
)
DISMISSED_USAGES: Final = Counter("rating_quarantine_dismissals", "Quarantined usages given up.")
REPORTED_ROWS: Final = Histogram(
    "rating_report_rows",
    "Rows in the pages of usage reports.",
    buckets=(1, 10, 50, 100, 500, 1000),
)
