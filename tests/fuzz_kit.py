"""How many random inputs a test tries: few in ``make test``, many in ``make fuzz``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("NLPLUG_FUZZ", "1"))
"""How many times as many inputs as usual."""


def bounded(examples: int, **more: Any) -> settings:
    """Settings of a test that tries ``examples`` inputs, or a multiple of it in ``make fuzz``."""
    given = {"deadline": None, "suppress_health_check": list(HealthCheck), **more}
    return settings(max_examples=examples * TIMES, **given)
