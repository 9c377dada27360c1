"""The README's install line makes an environment in which all its other blocks run."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docrunner import Block, blocks, commands, run
from members import ROOT

pytestmark = pytest.mark.install

PAGE = ROOT / "README.md"


def install_line() -> list[str]:
    """What the first ``pip install`` of the page installs."""
    lines = [command for block in blocks(PAGE) for command, _ in commands(block)]
    return shlex.split(next(line for line in lines if line.startswith("pip install")))[2:]


@pytest.fixture(scope="module")
def environment(make_environment: Callable[[], Any], wheels: dict[str, Path]) -> Any:
    """An environment with what that line names, from the wheels of this checkout."""
    made = make_environment()
    names = [re.fullmatch(r"([\w-]+)(\[[\w,]+\])?", word) for word in install_line()]
    made.install(*(f"{wheels[match[1]]}{match[2] or ''}" for match in names if match))
    return made


def code_blocks() -> list[Block]:
    return [block for block in blocks(PAGE) if block.not_run is None and block.file is None]


@pytest.mark.parametrize("block", code_blocks(), ids=lambda block: f"line {block.line}")
def test_a_block_runs_in_it(block: Block, environment: Any, tmp_path: Path) -> None:
    run(block, tmp_path, {"PYTHONPATH": ""}, environment.bin / "python")


@pytest.fixture
def server(environment: Any) -> Iterator[str]:
    """The address of ``nlplug serve`` of that environment."""
    command = [str(environment.bin / "nlplug"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=environment.folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = ""
            for line in process.stderr or ():
                said += line
                if "Ctrl-C" in line:
                    break
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert found, said
            yield found[0]
        finally:
            process.terminate()


def test_the_client_is_answered_by_the_server_of_it(
    server: str, environment: Any, tmp_path: Path
) -> None:
    (block,) = (block for block in blocks(PAGE) if "InferenceClient" in block.text)
    there = replace(block, text=block.text.replace("http://127.0.0.1:8000", server))
    assert there.text != block.text
    run(there, tmp_path, {"PYTHONPATH": ""}, environment.bin / "python")
