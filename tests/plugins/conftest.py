"""What tests of several plugins share.

The modules of pages that train name the files of the page ``DATA``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docrunner import run
from training_kit import untrained_bert

from nlplug import Pipeline, pipeline


@pytest.fixture(scope="module")
def page_base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that has learned nothing, with the words of the page's files."""
    texts = [block.text for block in request.module.DATA]
    return untrained_bert(tmp_path_factory.mktemp("base"), texts)


@pytest.fixture(scope="module")
def page_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's files lie; a later block of the page finds what an earlier one made."""
    folder = tmp_path_factory.mktemp("page")
    for block in request.module.DATA:
        run(block, folder)
    return folder


@pytest.fixture(scope="module")
def pipes() -> Iterator[Callable[[str], Pipeline]]:
    """The pipelines of the embedded models, each made once."""
    made: dict[str, Pipeline] = {}

    def get(name: str) -> Pipeline:
        if name not in made:
            made[name] = pipeline(name, device="cpu")
        return made[name]

    yield get
    for pipe in made.values():
        pipe.close()
