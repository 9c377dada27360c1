"""``make mutants``: changed code makes the named tests fail, and code as it is does not."""

from __future__ import annotations

import ast
import fnmatch
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mutants
import pytest

SETTINGS: dict[str, Any] = tomllib.loads(mutants.SETTINGS.read_text(encoding="utf-8"))
FILE, TEST = "nlplug/text/windows.py", "tests/core/text/test_windows.py"
STEP = "step = room - stride"


def test_a_change_is_noticed_and_code_that_does_the_same_is_not() -> None:
    assert mutants.notices(FILE, STEP, "step = room", TEST)
    assert not mutants.notices(FILE, STEP, "step = -stride + room", TEST)


def test_a_change_of_what_stands_nowhere_is_no_result() -> None:
    with pytest.raises(SystemExit, match="occurs 0 times"):
        mutants.notices(FILE, "no such code", "", TEST)


@pytest.mark.long
def test_the_changes_of_mutmut_are_counted_and_survivors_shown() -> None:
    pytest.importorskip("mutmut", reason="mutmut comes with the development tools")
    one = mutants.run("one", ["nlplug.text.windows.x_window_spans__mutmut_1"], [TEST])
    assert (one.target, one.mutants, one.survivors, one.share) == ("one", 1, [], 1.0)


def test_the_report_tells_the_reason_of_each_survivor() -> None:
    given = SETTINGS["equivalent"][0]
    left = [
        mutants.Survivor("a", "before", given["after"]),
        mutants.Survivor("b", "x = 1", "x = 2"),
    ]
    known = [True] * (len(SETTINGS["known"]) - 1) + [False]
    page = mutants.report([mutants.Result("cache", 8, left)], SETTINGS, known)
    assert "| cache | 8 | 6 | 75.0% |" in page
    assert f"- `before` → `{given['after']}`<br>{given['reason']}" in page
    assert "- `x = 1` → `x = 2`<br>No test fails yet." in page
    assert page.count("| yes |") == len(known) - 1 and page.count("| no |") == 1


def test_the_part_of_one_target_is_updated() -> None:
    left = [mutants.Survivor("a", "x = 1", "x = 2")]
    known = [True] * len(SETTINGS["known"])
    first, second = (mutants.Result(name, 8, left) for name in ("cache", "gate"))
    page = mutants.report([first, second], SETTINGS, known)
    better = mutants.Result("cache", 9, [])
    assert mutants.updated(page, first, SETTINGS) == page
    page = mutants.updated(page, better, SETTINGS)
    assert page == mutants.report([better, second], SETTINGS, known)
    assert mutants.updated(page, second, SETTINGS) == page


def test_a_survivor_shows_the_changed_lines_alone() -> None:
    shown = (
        "# name: survived\n--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n def f():\n-    x = 1\n+    x = 2"
    )
    assert mutants.survivor("name", shown) == mutants.Survivor("name", "x = 1", "x = 2")


@pytest.mark.parametrize("row", SETTINGS["known"], ids=lambda row: row["title"])
def test_a_known_change_fits_the_code_and_names_a_test(row: dict[str, str], root: Path) -> None:
    code = (root / "core" / row["file"]).read_text(encoding="utf-8")
    assert code.count(row["before"]) == 1
    file, _, name = row["test"].partition("::")
    assert f"def {name}(" in (root / file).read_text(encoding="utf-8")


def mutmut_names(path: Path) -> Iterator[str]:
    """The functions and methods of a module, as mutmut names them."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield f"x_{node.name}__mutmut_1"
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield f"xǁ{node.name}ǁ{method.name}__mutmut_1"


@pytest.mark.parametrize("target", SETTINGS["target"])
def test_a_target_names_functions_and_tests_that_exist(target: str, root: Path) -> None:
    for pattern in SETTINGS["target"][target]["functions"]:
        module, _, name = pattern.rpartition(".")
        path = root / "core" / f"{module.replace('.', '/')}.py"
        assert fnmatch.filter(mutmut_names(path), name), pattern
    for test in SETTINGS["target"][target]["tests"]:
        assert (root / test).is_file()
