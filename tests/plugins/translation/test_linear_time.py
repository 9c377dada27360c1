"""What is done with a text before it is translated takes time in proportion to its length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from linear_kit import UNITS, slow

from nlplug.testing import tiny_translator
from nlplug_translation.checks import (
    has_moved_number,
    has_quotations,
    is_faithful,
    lost_marks,
    without_repeats,
)
from nlplug_translation.excerpt import Excerpt
from nlplug_translation.invisible import visible, without_halves
from nlplug_translation.languages import languages_of
from nlplug_translation.layout import lay_out
from nlplug_translation.model import TranslationModel
from nlplug_translation.protected import Pattern, mend, spans
from nlplug_translation.sentences import halve, sentences
from nlplug_translation.task import TranslationInput, TranslationOptions

STEPS: dict[str, Callable[[str], object]] = {
    "spans": spans,
    "patterns": Pattern(r"(\w+-)+x|a.*b").spans,
    "lay_out": lay_out,
    "sentences": sentences,
    "halve": halve,
    "direction": lambda text: without_halves(
        ["\u2066", text, "\u2069" * len(text)], [False, True, False]
    ),
    "visible": lambda text: visible(text, spans(text)),
    "brackets": lambda text: Excerpt(text).at_brackets(),
    "quotes": lambda text: Excerpt(text).peeled(quotes=True),
    "mend": lambda text: mend(text, [text]),
    "checks": lambda text: (
        is_faithful(text, text, ()),
        without_repeats("a", text, "fr"),
        without_repeats(text, "a", "fr"),
        has_moved_number(text, text, "fr"),
        lost_marks(text, text),
        has_quotations(text, ["a"]),
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_takes_linear_time(step: str) -> None:
    assert slow(STEPS[step]) == []


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TranslationModel:
    return TranslationModel(tiny_translator(tmp_path_factory.mktemp("tiny")))


def test_a_text_is_taken_apart_in_linear_time(model: TranslationModel) -> None:
    options = TranslationOptions()
    units = UNITS[::4]  # each takes seconds
    assert slow(lambda text: model.parts(TranslationInput(text=text), options), units=units) == []


def test_a_mark_for_the_target_is_looked_for_in_linear_time(tmp_path: Path) -> None:
    languages = languages_of(tiny_translator(tmp_path))
    assert slow(lambda text: languages.marked(f">>{text}")) == []
