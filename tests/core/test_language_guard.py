"""Where the guard finds the languages of a model and the texts of an input."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug import pipeline
from nlplug.by_language import ModelChoice
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.language_guard import LanguageGuard
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier
from nlplug.validation import make_input, make_options

FRENCH = "Je n'ai pas aimé ce film du tout, il est trop long."


class Mood(SequenceClassificationTask):
    name = "mood"
    title = "Mood"
    description = "The mood of a text."


@pytest.mark.parametrize(
    ("card", "languages"),
    [
        ("---\nlanguage: en\n---\n# A model\n", ["en"]),
        ("---\nlanguage:\n- en\n- de\n---\n", ["en", "de"]),
        ("# A model without front matter\n", []),
        ("---\nlanguage: [en\n---\n", []),
    ],
)
def test_the_card_of_a_repository_states_its_languages(
    tmp_path: Path, card: str, languages: list[str]
) -> None:
    made = tiny_text_classifier(tmp_path / "model")
    (made.path / "README.md").write_text(card, encoding="utf-8")
    bundle = Bundle.open(made.path)
    assert bundle.languages == languages
    task = Mood()
    guard = LanguageGuard(task, ModelChoice(task, [bundle]))
    found = guard.check([make_input(task, FRENCH)], make_options(task, {}))
    assert bool(found.found) is bool(languages)


def test_question_and_context_are_both_checked() -> None:
    context = "The night train leaves at ten and arrives at seven in the morning."
    with pipeline("qa") as ask:
        for item in (
            {"question": "Quand est-ce que le train de nuit arrive le matin ?", "context": context},
            {"question": "When does the train arrive?", "context": FRENCH},
        ):
            assert dict(ask.foreign([item]).found) == {"fr": 1}
        assert not ask.foreign([{"question": "When?", "context": context}]).found


def test_a_text_without_any_known_token_is_told() -> None:
    with pipeline("sentiment") as judge:
        for text in ("😀", "😀 👍🏽", "\ue000"):
            assert dict(judge.foreign([text]).found) == {"unknown characters": 1}, ascii(text)
        assert not judge.foreign(["I loved it 😀", "…", "★★★", "5 €", "“Great”"]).found


def test_a_translation_is_checked_against_its_source_language() -> None:
    with pipeline("translation") as translate:
        assert dict(translate.foreign([FRENCH]).found) == {"fr": 1}


def test_the_messages_of_the_user_are_those_that_are_checked() -> None:
    chat = [
        {"role": "system", "content": FRENCH},
        {"role": "user", "content": "Tell me a story about the old king and his sons."},
    ]
    with pipeline("generation") as tell:
        assert not tell.foreign([{"text": chat}]).found
        chat[1]["content"] = FRENCH
        assert dict(tell.foreign([{"text": chat}]).found) == {"fr": 1}
