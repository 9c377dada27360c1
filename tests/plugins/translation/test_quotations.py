"""Quotations within a sentence are translated by themselves, with their own marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug import Pipeline
from nlplug.testing import tiny_translator
from nlplug_translation.excerpt import Excerpt
from nlplug_translation.protected import spans
from nlplug_translation.task import TranslationTask


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('He said "I am tired" and left.', ['"I am tired"']),
        ('"Stop!" she cried to the "doctor".', ['"doctor"']),
        ('He said "I am tired.', ['"I am tired.']),
        ('I go home." and left.', ['I go home."']),
        ('a 5" disk and "my" word', ['"my"']),
        ("It's the dogs' food", []),
        ("The book is 'War and Peace'.", ["'War and Peace'"]),
        ("rock 'n' roll", []),
        ("He wrote “The Old Man” in «Cuba»", ["“The Old Man”", "«Cuba»"]),
        ('say "hi', ['"hi']),
        ('"all of it"', []),
        ('Grade "A" is good', []),
        ('the {x} "is {y} here" ok', ['"is {y} here"']),
        ('The <b>"quick start"</b> page', ['"quick start"']),
    ],
)
def test_where_quotations_are(text: str, found: list[str]) -> None:
    excerpt = Excerpt(text, tuple(spans(text)))
    assert [span.text for span in excerpt.quotations()] == found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('He told me: "Come back tomorrow."', ['"Revenez demain."']),
        ('Your "friend" has lied to you.', ['"ami"', "menti"]),
        (
            'The report said "nothing has changed since last year", but nobody believes it.',
            ['"rien', "changé", "personne"],
        ),
        ("He wrote “The Old Man and the Sea” in Cuba.", ["“Le vieil homme et la mer”", "Cuba"]),
        ('The message "File not found" appears.', ['"Fichier non trouvé"']),
        ('He said "nothing has changed" and paid $3 billion.', ['"rien n\'a changé"', "$3"]),
        ('The <b>"quick start"</b> guide costs $20.', ['<b>"', '"</b>', "20"]),
        ('The study found that "most people" spend $60 a week.', ['"la plupart', "$60"]),
    ],
)
def test_what_is_quoted_is_translated(embedded: Pipeline, text: str, parts: list[str]) -> None:
    answer = embedded(text)[0]["translation_text"]
    assert [part for part in parts if part not in answer] == [], answer


@pytest.mark.parametrize(
    ("text", "peeled"),
    [
        ('"So it is"', ('"', "So it is", '"')),
        ("«“So it is”»", ("«“", "So it is", "”»")),
        ("“So it is", ("“", "So it is", "")),
        ('The screen is 27"', ("", 'The screen is 27"', "")),
        ('"He is 5\'11"', ('"', "He is 5'11\"", "")),
        ('"He is 5\'11""', ('"', "He is 5'11\"", '"')),
        ('"Use {"a": 1} here"', ('"', 'Use {"a": 1} here', '"')),
    ],
)
def test_which_marks_are_around_the_whole(text: str, peeled: tuple[str, str, str]) -> None:
    before, own, behind = Excerpt(text, tuple(spans(text))).peeled(quotes=True)
    assert (before, own.text, behind) == peeled


def test_the_mark_of_inches_is_written_once(embedded: Pipeline) -> None:
    for text in ('The screen is 27"', "My brother is 5'11\"", 'He said "I am 5\'11"'):
        answer = embedded(text)[0]["translation_text"]
        assert answer.endswith(text[-3:])
        assert answer.count('"') == text.count('"')


def test_a_quotation_over_several_sentences_keeps_its_marks(embedded: Pipeline) -> None:
    answer = embedded('He said "Hello. How are you?" and left.')[0]["translation_text"]
    assert answer.startswith('Il a dit "Bonjour. ')
    assert '?" et' in answer


def test_where_a_masked_quotation_is_lost_the_whole_sentence_is_translated(tmp_path: Path) -> None:
    words = {"the": "le", "cat": "chat", "dog": "chien", "3": "", "0": "", "says": "dit"}
    with Pipeline(TranslationTask(), tiny_translator(tmp_path, words), threads=1) as pipe:
        answer = pipe('the dog says "the cat"')[0]["translation_text"]
        assert "chat" in answer
        assert "chien" in answer
