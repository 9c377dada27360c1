"""What docs/parity.md says: every model of the suite is in it, and the bar is met.

Counts may differ from machine to machine, so it is not compared word for word.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from parity.compare import BAR
from parity.faults import FAULTS
from parity.generation import GRAPHS
from parity.models import ARCHITECTURES, MORE
from parity.summary import HEADER
from parity.writers import WRITERS

WRITTEN = ("summarization", "text2text-generation")
DROPPED = ("fill-mask", "zero-shot-classification")
TASKS = ("classification", "ner", "qa", *DROPPED)


def _tables(text: str) -> dict[str, list[list[str]]]:
    """The rows below each heading, without the head of the table."""
    found: dict[str, list[list[str]]] = {}
    for part in text.split("\n## ")[1:]:
        title, *lines = part.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line]
        found[title] = rows[2:]
    return found


@pytest.fixture(scope="module")
def tables(root: Path) -> dict[str, list[list[str]]]:
    return _tables((root / "docs" / "parity.md").read_text(encoding="utf-8"))


def _numbers(row: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in row[2 : 1 + len(HEADER)]]


def test_each_architecture_is_there_for_each_task(tables: dict[str, list[list[str]]]) -> None:
    there = {(row[0], row[1]) for row in tables["By task and model"]}
    assert there >= {(task, name) for task in TASKS for name in ARCHITECTURES}
    assert there >= {(task, name) for task in DROPPED for name in MORE}
    assert there >= {(task, name) for task in WRITTEN for name in WRITERS}
    assert there >= {("generation", name) for name in GRAPHS}


def test_the_embedded_models_are_there(tables: dict[str, list[list[str]]]) -> None:
    there = {row[1] for row in tables["By task and model"]}
    assert there >= {"sentiment-en", "intents-en", "ner-en", "qa-en"}


@pytest.mark.parametrize("title", ["By task and model", "By task and setting"])
def test_the_bar_is_met_in_each_row(title: str, tables: dict[str, list[list[str]]]) -> None:
    for row in tables[title]:
        compared, equal, known, other = _numbers(row)
        assert compared == equal + known + other
        assert equal >= BAR * (compared - known)


def test_enough_was_compared_for_each_task(tables: dict[str, list[list[str]]]) -> None:
    for task in (*TASKS, "generation"):
        rows = [row for row in tables["By task and model"] if row[0] == task]
        assert sum(_numbers(row)[1] for row in rows) >= 1000


def test_the_faults_are_those_that_the_suite_mends(tables: dict[str, list[list[str]]]) -> None:
    for task, fault, _, what in tables["Known faults of transformers"]:
        assert FAULTS[task][fault] == what
