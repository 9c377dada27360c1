"""The version of this package, and the range of versions that a plugin written for it accepts.

All distributions of the workspace have this version; ``make version`` copies it to them.
"""

from __future__ import annotations

__version__ = "0.2.0"


def compatible_range(version: str = __version__) -> str:
    """The requirement of a plugin that was tested with ``version``: ``>=0.2,<0.3`` for 0.2.1."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}"
