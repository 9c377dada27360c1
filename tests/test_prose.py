"""The checks of the English of pages and help: `make lint` runs them on the whole repository."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import click
import pytest
from members import ROOT

pytest.importorskip("proselint")


@pytest.fixture
def prose(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import prose

    yield prose
    sys.modules.pop("prose", None)


def test_code_is_not_read_and_lines_stay_in_place(prose: ModuleType) -> None:
    page = "# Title\n\n```console\n$ very\nvery\n```\n\nA `very` good [text](very.md).\n"

    text = prose.prose(page)

    assert "very" not in text
    assert text.splitlines()[7] == "A … good [text] ."


def test_an_avoided_phrase_is_reported_on_its_line_also_where_the_line_ends_in_it(
    prose: ModuleType,
) -> None:
    from proselint.tools import LintFile

    settings = {"max_errors": 9, "checks": prose.linter()}

    (word,) = LintFile("page", "One line.\n\nSimply run it.").lint(settings)
    (phrase,) = LintFile("page", "One line.\n\nThey are measured in\nturns.").lint(settings)

    assert (word.pos[0], phrase.pos[0]) == (3, 3)
    assert "Simply" in word.check_result.message
    assert "alternating" in phrase.check_result.message


def test_the_help_of_options_of_subcommands_is_read(prose: ModuleType) -> None:
    @click.group()
    def program() -> None:
        """All."""

    @program.command()
    @click.option("--much", help="How much.")
    def run(much: str) -> None:
        """Run it."""

    texts = dict(prose.help_texts(program, "program"))

    assert texts["program run --much"] == "How much."
    assert texts["program run"] == "Run it."
