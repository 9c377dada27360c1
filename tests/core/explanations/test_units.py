"""The words of an input, their tokens in windows, and groups of words."""

from __future__ import annotations

import numpy as np
import pytest

from nlplug import pipeline
from nlplug.explanations.words import units_of
from nlplug.runtime.tokenizer import Tokenizer, load_tokenizer
from nlplug.text.words import word_spans


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    with pipeline("sentiment", threads=1) as pipe:
        return load_tokenizer(pipe.bundle)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't know.", ["I", "don't", "know", "."]),
        ("the dogs' well-kept home", ["the", "dogs", "'", "well", "-", "kept", "home"]),
        ("5.975,74 kg", ["5.975,74", "kg"]),
        ("Jose\u0301\u2019s  caf\u00e9", ["Jose\u0301\u2019s", "café"]),
        ("我爱北京", ["我", "爱", "北", "京"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text).tolist()] == words


@pytest.mark.parametrize(
    "text", ["good " * 40, ("good " * 40, "a bad day"), ("a bad day", "x" * 9)]
)
def test_places_are_those_of_the_tokens_of_each_window(
    tokenizer: Tokenizer, text: str | tuple[str, str]
) -> None:
    [windows] = tokenizer.encode([text], stride=3, max_length=16)
    places = tokenizer.places(text, stride=3, max_length=16)
    texts = text if isinstance(text, tuple) else (text,)
    assert [len(one) for one in places] == [len(window) for window in windows]
    for window, located in zip(windows, places, strict=True):
        for token, (number, start, end) in zip(window.ids, located.tolist(), strict=True):
            known = (tokenizer.token_text(token) or "").removeprefix("##")
            assert known == (texts[number][start:end] if number >= 0 else known)
            assert (number < 0) == (token in tokenizer.added_tokens)


def test_a_token_of_several_words_joins_them() -> None:
    text = "我爱北京 ok"
    # As SentencePiece cuts it: one token for three characters, then one with the space before it.
    places = [np.array([[-1, 0, 0], [0, 0, 3], [0, 3, 4], [0, 4, 7]])]
    units = units_of({"text": text}, places)
    assert [text[start:end] for start, end in units.spans.tolist()] == ["我爱北", "京", "ok"]
    assert units.tokens[0].tolist() == [-1, 0, 1, 2]


def test_groups_do_not_cross_texts_and_keep_their_tokens() -> None:
    texts = {"question": "who met me", "context": "you met us all"}
    places = [
        np.array(
            [
                (number, start, end)
                for number, text in enumerate(texts.values())
                for start, end in word_spans(text).tolist()
            ]
        )
    ]
    grouped = units_of(texts, places).grouped(2)
    written = [
        list(texts.values())[field][start:end]
        for field, (start, end) in zip(grouped.fields.tolist(), grouped.spans.tolist(), strict=True)
    ]
    assert written == ["who met", "me", "you met", "us all"]
    assert grouped.tokens[0].tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert grouped.readings == 4
