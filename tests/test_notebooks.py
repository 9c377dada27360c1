"""The notebooks of the documentation run from their first cell to their last, in both languages.

`make test` runs some of them; `make long` runs all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from members import ROOT

pytestmark = pytest.mark.train

FOLDER = ROOT / "docs" / "notebooks"
ENGLISH = sorted(path for path in FOLDER.glob("*.ipynb") if not path.name.endswith(".zh.ipynb"))
OFTEN = ("plugin", "transformer")
SHELL = (
    "import subprocess as _s, sys as _y; _y.exit(1) if _s.run({!r}, shell=True).returncode else 0"
)
# In the process of the notebook, which has imported what a training or an export needs.
COMMAND = """
from nlplug.cli.main import main as _main
try:
    _main({!r})
except SystemExit as _end:
    if _end.code:
        raise
"""


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


def program(notebook: Path) -> str:
    """The code cells as one program; ``!command`` runs a command, of the shell or of nlplug."""
    sources = ["".join(c["source"]) for c in cells(notebook) if c["cell_type"] == "code"]
    return re.sub(
        r"^!(.+)$",
        lambda match: command(match[1]),
        "\n".join(sources),
        flags=re.MULTILINE,
    )


def command(line: str) -> str:
    """The code that runs a line of the shell."""
    name, *words = shlex.split(line)
    plain = name == "nlplug" and not re.search(r"[|&;<>$*`]", line)
    return COMMAND.format(words) if plain else SHELL.format(line)


@pytest.mark.parametrize(
    "notebook",
    [
        pytest.param(path, marks=() if path.stem in OFTEN else pytest.mark.long)
        # The Chinese ones have the same code with other comments and texts.
        for path in [*ENGLISH, *(path.with_suffix(".zh.ipynb") for path in ENGLISH)]
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", program(notebook)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("notebook", ENGLISH, ids=lambda path: path.stem)
def test_the_chinese_one_has_the_same_code_and_as_many_texts(notebook: Path) -> None:
    """Comments, docstrings and texts may be translated."""
    chinese = cells(notebook.with_suffix(".zh.ipynb"))
    english = cells(notebook)
    assert [cell["cell_type"] for cell in english] == [cell["cell_type"] for cell in chinese]
    for one, other in zip(english, chinese, strict=True):
        if one["cell_type"] == "code":
            assert _code(one) == _code(other)


def _code(cell: dict[str, Any]) -> str:
    return re.sub(r'""".*?"""| *#.*|"[^"\n]*"', "", "".join(cell["source"]), flags=re.DOTALL)
