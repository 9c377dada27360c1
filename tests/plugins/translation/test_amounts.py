"""Signs of currencies, words that are only copied, and addresses beside brackets."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug import Pipeline
from nlplug.testing import tiny_translator
from nlplug_translation.checks import is_faithful
from nlplug_translation.protected import spans
from nlplug_translation.task import TranslationTask


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Apple Inc. bought Beats for $3 billion in 2014.", ["$3 milliards", "2014"]),
        ("Pay $20 now or 10 dollars later.", ["$20", "10 dollars"]),
        ("The company lost $2.5 million and 300 jobs last year.", ["$2.5", "300"]),
        ("About 40% of the £7 billion came from taxes.", ["40", "%", "£7"]),
    ],
)
def test_the_sign_of_an_amount_stays(embedded: Pipeline, text: str, parts: list[str]) -> None:
    answer = embedded(text)[0]["translation_text"]
    assert [part for part in parts if part not in answer] == [], answer


def test_a_currency_is_masked_with_its_number(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, {"$": "", "%": "", "the": "le"})
    with Pipeline(TranslationTask(), made, threads=1) as pipe:
        assert pipe("the $5 the 10%")[0]["translation_text"] == "le $5 le 10%"


def test_a_translation_may_write_a_sign_for_a_word() -> None:
    assert is_faithful("five percent of it", "en fait % cinq", ())
    assert not is_faithful("$ and more", "et plus", ())


def test_a_part_of_the_words_is_no_translation() -> None:
    assert not is_faithful("naïve résumé", "naïve", ())
    assert not is_faithful("Microsoft Windows Update", "Windows", ())
    assert is_faithful("the Beatles", "Beatles", ())
    assert is_faithful("sign in", "connexion", ())
    assert is_faithful("Anna Weber", "Anna Weber", ())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://x.y/z_(w)[First Name]", ["http://x.y/z_(w)", "[First Name]"]),
        ("http://x.y/a[1]", ["http://x.y/a[1]"]),
        ("http://[::1]/x", ["http://[::1]/x"]),
    ],
)
def test_an_address_ends_before_a_bracket_that_it_does_not_close(
    text: str, kept: list[str]
) -> None:
    assert [span.text for span in spans(text)] == kept
