"""What the tests of translation share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nlplug import Pipeline, pipeline


@pytest.fixture(scope="module")
def embedded() -> Iterator[Pipeline]:
    """The pipeline of the embedded model."""
    with pipeline("translation") as pipe:
        yield pipe
