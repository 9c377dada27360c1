"""Every regular expression of the suite takes time in proportion to the text.

The patterns are found: those that the modules of all packages hold, and those written in calls.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from linear_kit import slow
from members import MEMBERS, ROOT

_CALLS = {"sub", "search", "match", "fullmatch", "split", "findall", "finditer"}


def files() -> Iterator[Path]:
    """The modules of all packages that use regular expressions."""
    for folder in MEMBERS.values():
        for path in sorted(folder.glob("nlplug*/**/*.py")):
            if "templates" not in path.parts and re.search(
                r"^import re$", path.read_text(encoding="utf-8"), re.MULTILINE
            ):
                yield path


def trains(path: Path) -> bool:
    """Whether a module needs what training needs."""
    return "train" in path.relative_to(ROOT).parts


def held(value: object) -> Iterator[re.Pattern[Any]]:
    """The patterns that something at the top of a module is, or holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | frozenset):
        for one in value:
            yield from held(one)
    elif isinstance(value, dict):
        yield from held([*value.values()])


def patterns(path: Path) -> list[re.Pattern[Any]]:
    """The patterns of one module."""
    package = next(parent for parent in path.parents if not (parent / "__init__.py").exists())
    parts = path.relative_to(package).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    names = vars(module)
    classes = [one for one in names.values() if isinstance(one, type)]
    own = [vars(one) for one in classes if one.__module__ == module.__name__]
    found = [*held([value for space in (names, *own) for value in space.values()])]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"re.{of}" for of in _CALLS}:
            form = node.args[0]
            if isinstance(form, ast.Constant):
                found.append(re.compile(form.value))
    return found


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.train] if trains(path) else [])
        for path in files()
    ],
)
def test_the_patterns_of_a_module_take_linear_time(path: Path) -> None:
    for pattern in patterns(path):
        encode = str.encode if isinstance(pattern.pattern, bytes) else str
        assert slow(lambda text, of=pattern, to=encode: of.fullmatch(to(text))) == [], pattern
        assert slow(lambda text, of=pattern, to=encode: count(of, to(text))) == [], pattern


def count(pattern: re.Pattern[Any], text: Any) -> int:
    """How many matches a text has; they are not held."""
    return sum(1 for _ in pattern.finditer(text))


def test_patterns_are_found() -> None:
    assert sum(len(patterns(path)) for path in files() if not trains(path)) > 40


def test_a_pattern_that_takes_the_square_of_the_time_is_noticed() -> None:
    careless = re.compile(r"\.+x")
    assert slow(lambda text: count(careless, text), units=(".",)) != []
