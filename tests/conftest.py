"""Hypothesis profiles: `default` is quick and repeatable, `full` searches for new examples.

Chosen by HYPOTHESIS_PROFILE.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "full",
    max_examples=2_000,
    deadline=None,
    print_blob=True,
    database=DirectoryBasedExampleDatabase("build/hypothesis"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
