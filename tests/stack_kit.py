"""Which stack the tests run on: transformers 4 with Optimum, or transformers 5."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

try:
    TRANSFORMERS = int(version("transformers").partition(".")[0])
except PackageNotFoundError:  # the tests that need it are not run
    TRANSFORMERS = 0

needs_optimum = pytest.mark.skipif(
    TRANSFORMERS >= 5, reason="needs the graphs of Optimum, which needs transformers 4"
)
needs_pipelines = pytest.mark.skipif(
    TRANSFORMERS >= 5, reason="needs a pipeline that transformers 5 does not have"
)
