"""Mutation testing: change the code of a target and count the changes that its tests notice.

mutmut makes the changes and runs the tests, in a copy of the code. ``tools/mutants.toml`` says
which functions a target has, which tests must notice a change, and why a change that none of them
notices is harmless. It also lists changes that tests once failed to notice, each with a test that
does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Path(__file__).with_suffix(".toml")
REPORT = ROOT / "docs" / "mutants.md"
GOAL = 0.85
"""The share of changes that the tests of each target must notice."""

_OPEN = "No test fails yet."
# mutmut's status of a change that no test noticed, and of one that no test reaches.
_SURVIVED, _UNTESTED = 0, 33
# Lines that are nothing but a text of an error or its hint.
_TEXTS = [r'^\s+"[^"]*",?$', "hint="]
# Added to the tests: the same examples in each run, and no time spent on a smaller one that fails.
_EXAMPLES = """
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("mutants")
"""


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed.

    Attributes:
        name: Its name in mutmut.
        before: The changed lines as they are.
        after: The same lines with the change.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Result:
    """What the tests of one target noticed."""

    target: str
    mutants: int
    survivors: list[Survivor]

    @property
    def share(self) -> float:
        """The share of changes that were noticed."""
        return 1 - len(self.survivors) / self.mutants


def stage(folder: Path, functions: Sequence[str], tests: Sequence[str]) -> None:
    """Copy code and tests to a folder where mutmut can work.

    mutmut imports the code under test from ``src``.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "core" / "nlplug", folder / "src" / "nlplug", ignore=ignored)
    for name in ("tests", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    with (folder / "tests" / "conftest.py").open("a", encoding="utf-8") as file:
        file.write(_EXAMPLES)
    files = sorted({f"src/{module_of(name).replace('.', '/')}.py" for name in functions})
    settings = {
        "source_paths": ["src/nlplug"],
        "only_mutate": files,
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": list(tests),
        "also_copy": ["src", "tests", "tools"],
        "do_not_mutate_patterns": _TEXTS,
        "use_git_change_detection": False,
        "process_isolation": "forkserver",  # ONNX Runtime and torch start threads
    }
    # A list of strings, a string or a boolean in JSON is the same in TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text += "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def module_of(pattern: str) -> str:
    """The module of a pattern of mutants: the part before the name of the function."""
    return pattern.rpartition(".")[0]


# Several commands of mutmut in one process, each of one word and one argument.
_MUTMUT = """
import sys
from mutmut.__main__ import cli
for name in sys.argv[2:]:
    cli([sys.argv[1], name], standalone_mode=False)
"""


def mutmut(folder: Path, *command: str) -> str:
    """Run Python with these arguments in a staged folder; its output.

    Raises:
        SystemExit: It failed, for example because a test fails without any change.
    """
    command = (sys.executable, *command)
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"mutmut failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def run(target: str, functions: Sequence[str], tests: Sequence[str]) -> Result:
    """Change each of these functions and run these tests.

    Args:
        target: A name for the result.
        functions: Patterns of mutmut's names of mutants.
        tests: Files of tests, relative to the root.
    """
    with tempfile.TemporaryDirectory(prefix="nlplug-mutants-") as name:
        folder = Path(name)
        stage(folder, functions, tests)
        mutmut(folder, "-m", "mutmut", "run", "--max-children", "1", *functions)
        status: dict[str, int | None] = {}
        for meta in sorted((folder / "mutants").rglob("*.meta")):
            status |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        status = {name: code for name, code in status.items() if code is not None}
        left = [name for name, code in status.items() if code in (_SURVIVED, _UNTESTED)]
        shown = mutmut(folder, "-c", _MUTMUT, "show", *left).split("\n# ") if left else []
        survivors = [survivor(*pair) for pair in zip(left, shown, strict=True)]
        return Result(target, len(status), survivors)


def survivor(name: str, shown: str) -> Survivor:
    """Read the difference that mutmut shows."""
    lines = [line for line in shown.splitlines() if not line.startswith(("+++", "---"))]
    before = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    after = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return Survivor(name, before, after)


def notices(file: str, before: str, after: str, test: str) -> bool:
    """Whether a test fails when one place in the code is changed.

    Args:
        file: A module, relative to ``core``.
        before: A text that occurs in it once.
        after: What it becomes.
        test: A test as pytest names it.

    Raises:
        SystemExit: The text does not stand there once, or pytest cannot run the test.
    """
    with tempfile.TemporaryDirectory(prefix="nlplug-mutants-") as name:
        folder = Path(name)
        stage(folder, [], [])
        path = folder / "src" / file
        code = path.read_text(encoding="utf-8")
        if code.count(before) != 1:
            raise SystemExit(f"{before!r} occurs {code.count(before)} times in {file}, not once.")
        path.write_text(code.replace(before, after), encoding="utf-8")
        places = [str(folder / "src"), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"pytest cannot run {test}:\n{done.stdout[-4000:]}")
        return done.returncode == 1


def report(results: Sequence[Result], settings: dict[str, Any], known: Sequence[bool]) -> str:
    """The page ``docs/mutants.md``."""
    lines = [
        "# Mutation testing",
        "",
        "`make mutants` changes the code below, one place at a time, and runs the tests next to "
        "it. A change is killed when a test fails. `make mutants TARGET=cache` does so for one "
        "target and updates its part of this page. The changes are those of "
        "[mutmut](https://github.com/boxed/mutmut), without changes to texts of errors and to "
        "decorated functions, which it leaves out. `tools/mutants.toml` lists the functions and "
        f"the tests of each target. The tests must kill {GOAL:.0%} in each target.",
        "",
        "| Target | Mutants | Killed | Share |",
        "|---|---:|---:|---:|",
    ]
    lines += map(_row, results)
    lines += ["", "## Changes that tests once did not notice", ""]
    lines += ["| Change | Test that fails | Killed |", "|---|---|---|"]
    for row, killed in zip(settings["known"], known, strict=True):
        lines.append(f"| {row['title']} | `{row['test']}` | {'yes' if killed else 'no'} |")
    lines += ["", "## Survivors"]
    return "\n".join(lines) + "\n\n" + "\n".join(_survivors(one, settings) for one in results)


def updated(page: str, one: Result, settings: dict[str, Any]) -> str:
    """The page with the new row and the new survivors of one target."""
    page = re.sub(rf"^\| {one.target} \|.*$", lambda _: _row(one), page, flags=re.M)
    section = rf"^### {one.target}\n.*?(?=\n###|\Z)"
    return re.sub(section, lambda _: _survivors(one, settings), page, flags=re.M | re.S)


def _row(one: Result) -> str:
    killed = one.mutants - len(one.survivors)
    return f"| {one.target} | {one.mutants} | {killed} | {one.share:.1%} |"


def _survivors(one: Result, settings: dict[str, Any]) -> str:
    lines = [f"### {one.target}", ""]
    for left in one.survivors:
        reasons = [row["reason"] for row in settings["equivalent"] if row["after"] in left.after]
        lines.append(f"- `{left.before}` → `{left.after}`<br>{(*reasons, _OPEN)[0]}")
    return "\n".join(lines if one.survivors else [*lines, "None."]) + "\n"


def main() -> int:
    """Test the targets; 1 where too few changes are killed in one, else 0."""
    settings = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Mutation testing; see docs/mutants.md.")
    parser.add_argument("targets", nargs="*", help="all of tools/mutants.toml, and the report")
    chosen = parser.parse_args().targets
    results = []
    for name in chosen or settings["target"]:
        results.append(run(name, **settings["target"][name]))
        print(f"{name}: {results[-1].mutants} mutants, {results[-1].share:.1%} killed", flush=True)
        for one in results[-1].survivors:
            print(f"  {one.name}\n    - {one.before}\n    + {one.after}", flush=True)
    known = []
    for row in [] if chosen else settings["known"]:
        known.append(notices(row["file"], row["before"], row["after"], row["test"]))
        print(f"{row['title']}: {'killed' if known[-1] else 'survived'}", flush=True)
    if chosen:
        page = REPORT.read_text(encoding="utf-8")
        for result in results:
            page = updated(page, result, settings)
    else:
        page = report(results, settings, known)
    REPORT.write_text(page, encoding="utf-8")
    return int(not all(known) or any(one.share < GOAL for one in results))


if __name__ == "__main__":
    sys.exit(main())
