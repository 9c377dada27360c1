"""What people paste and which models they name: the error card or the right answer; no browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from nlplug.models.bundle import Bundle
from nlplug.plugins import PluginHost
from nlplug.server.pool import ModelPool
from nlplug.task import Display
from nlplug.testing import (
    tiny_question_answerer,
    tiny_text_classifier,
    tiny_text_generator,
    tiny_token_classifier,
    tiny_translator,
)
from nlplug_webui.answering import Answering, PageRequest
from nlplug_webui.fields import input_controls, option_controls
from nlplug_webui.result import ResultCard

# Written from right to left, and with marks over and under the letters.
HEBREW = "אַנָּה"
ARABIC = "مُحَمَّدٌ"
TASKS: dict[str, Callable[[Path], Bundle]] = {
    "classification": tiny_text_classifier,
    "generation": tiny_text_generator,
    "ner": tiny_token_classifier,
    "qa": tiny_question_answerer,
    "sentiment": tiny_text_classifier,
    "translation": tiny_translator,
}

Ask = Callable[..., "Card"]


class Card:
    """What the result card shows.

    Args:
        values: Of its components: HTML, and where a text is marked the marks and more HTML.
    """

    def __init__(self, values: list[Any]) -> None:
        head, *rest = values
        marked, tail = rest or ({}, "")
        self.html = f"{head}{tail}"
        self.segments: list[tuple[str, str | None]] = marked.get("value") or []
        for text in (self.html, *(text for text, _ in self.segments)):
            text.encode("utf-8")  # what cannot be sent never reaches the page

    @property
    def marks(self) -> list[tuple[str, str | None]]:
        return [segment for segment in self.segments if segment[1]]

    def complains_of(self, title: str, *words: str) -> bool:
        """Whether it is an error card of this title that says these words and what to do."""
        told = unescape(self.html)
        return all(
            part in told
            for part in ("np-card-message", f"<strong>{title}</strong>", "np-hint", *words)
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each task, and with some whose labels do not fit."""
    folder = tmp_path_factory.mktemp("models")
    for name, make in TASKS.items():
        make(folder / name)
    three = {"id2label": {"0": "a", "1": "b", "2": "c"}}
    tiny_text_classifier(folder / "three-of-two", config=three)
    tiny_token_classifier(folder / "three-of-five", config=three)
    tiny_text_classifier(folder / "gap", config={"id2label": {"0": "a", "5": "b"}})
    tiny_token_classifier(folder / "bare", labels=("O", "PER", "MORE", "LOC", "TAIL"))
    tiny_token_classifier(folder / "unsendable", labels=("O", "B-LONE", "I-LONE", "X", "Y"))
    config = folder / "unsendable" / "config.json"
    config.write_text(config.read_text().replace("LONE", r"\ud800"))
    tiny_token_classifier(folder / "marks", {"אנה": (0, 6, 0, 0, 0), "محمد": (0, 0, 0, 6, 0)})
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    """Fills in the form of a task's page, runs it, and gives the card."""
    host = PluginHost.discover(only=set(TASKS))
    pool = ModelPool(host)

    def asked(name: str, *texts: str, model: Path | None = None) -> Card:
        task = host.task(name)
        inputs, options = input_controls(task), option_controls(task)
        card = ResultCard(task.display, "", str)  # type: ignore[arg-type]
        card.outputs = [None] * (3 if task.display is Display.HIGHLIGHT else 1)  # not laid out
        answering = Answering(task, pool, inputs, options, card)
        given = [*texts, *(control.to_form(control.initial) for control in inputs[len(texts) :])]
        values = [*given, *(control.to_form(control.initial) for control in options)]
        question = PageRequest("me", "en", str(model or folder / name), "auto", {}, values)
        if task.family.streams:
            return Card(list(answering.growing(question, ""))[-1])
        return Card(answering.whole(question))

    yield asked
    pool.close()


@pytest.mark.parametrize(
    ("name", "texts", "field"),
    [
        ("classification", ("\ud800",), "text"),
        ("classification", ("good", "a\udfffb"), "text_pair"),
        ("generation", ("once \ud83d",), "text"),
        ("ner", ("Anna \ud800 Smith",), "text"),
        ("qa", ("Where\udc00?", "In Paris."), "question"),
        ("qa", ("Where?", "In \ud800 Paris."), "context"),
        ("sentiment", ("good\ud800",), "text"),
        ("translation", ("the cat \udfff",), "text"),
    ],
)
def test_half_a_character_is_an_error_that_names_the_field(
    ask: Ask, name: str, texts: tuple[str, ...], field: str
) -> None:
    card = ask(name, *texts)
    assert card.complains_of(
        "The input cannot be processed", f"{name!r}: {field} ", "lone surrogate"
    )
    assert card.marks == []


def test_entities_are_marked_with_all_marks_over_and_under_their_letters(
    ask: Ask, folder: Path
) -> None:
    text = f"({HEBREW}) \u2067{ARABIC}\u2069, e\u0301 {HEBREW}"
    card = ask("ner", text, model=folder / "marks")
    assert "".join(part for part, _ in card.segments) == text
    assert card.marks == [(HEBREW, "PER"), (ARABIC, "LOC"), (HEBREW, "PER")]


def test_places_behind_combined_characters_are_right(ask: Ask) -> None:
    before = f"{HEBREW} {ARABIC} cafe\u0301 \U0001f469\u200d\U0001f680 "
    assert ask("ner", f"{before}Anna Smith").marks == [("Anna Smith", "PER")]
    card = ask("qa", "איפה?", f"{before}Paris {ARABIC}")
    assert card.segments == [(before, None), ("Paris", "1"), (f" {ARABIC}", None)]


@pytest.mark.parametrize("name", ["classification", "sentiment"])
def test_a_text_from_right_to_left_gets_its_labels(ask: Ask, name: str) -> None:
    card = ask(name, f"{HEBREW} good {ARABIC}")
    assert "np-answer" in card.html
    assert card.html.index("positive") < card.html.index("negative")


def test_a_prompt_from_right_to_left_stands_before_its_text(ask: Ask) -> None:
    assert (
        f'<span class="np-given">{HEBREW} once</span>' in ask("generation", f"{HEBREW} once").html
    )


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("sentiment", "three-of-two", "gives 2 logits, but its config.json names 3 labels"),
        ("classification", "three-of-two", "gives 2 logits, but its config.json names 3 labels"),
        ("classification", "gap", "have the ids 0, 5, not 0 to 1"),
        ("classification", "qa", "gives start_logits, end_logits, but this task needs logits"),
        ("ner", "three-of-five", "gives 5 logits per token, but its config.json names 3 labels"),
        ("ner", "sentiment", "is for another task, text classification"),
        ("ner", "unsendable", "which is not valid Unicode"),
        ("qa", "ner", "this task needs end_logits, start_logits"),
        ("generation", "ner", "is for another task, token classification"),
        ("translation", "generation", "is for another task: it is not a text-to-text model"),
    ],
)
def test_a_model_that_does_not_fit_is_named_as_that(
    ask: Ask, folder: Path, name: str, model: str, words: str
) -> None:
    texts = ("Where?", "In Paris.") if name == "qa" else ("Anna is good",)
    card = ask(name, *texts, model=folder / model)
    assert card.complains_of("The model cannot be used", words)
    assert "Traceback" not in card.html


def test_labels_that_do_not_tell_beginning_from_inside_are_shown_as_they_are(
    ask: Ask, folder: Path
) -> None:
    card = ask("ner", "Anna Smith", model=folder / "bare")
    assert card.marks == [("Anna", "PER"), ("Smith", "MORE")]
