"""Each word of a text gets a label, at its exact place, however long the text is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug import Bundle, Pipeline
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.families.token_classification import TokenClassificationTask
from nlplug.testing import tiny_text_classifier, tiny_token_classifier

LABELS = ("DET", "NOUN", "VERB")
WORDS = {
    "[UNK]": (0, 1, 0),
    "the": (5, 0, 0),
    "cat": (0, 5, 0),
    "walk": (0, 2, 1),
    "##s": (0, 0, 5),
    "to": (1, 0, 0),
}
AFTER = {"cat": (0, 0, 3), "to": (0, 0, 3)}


class TagTask(TokenClassificationTask):
    name = "tag"
    title = "Tags"
    description = "Parts of speech."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("taggers")


def tagger(folder: Path, max_length: int) -> Pipeline:
    """A model in which a word's label hangs on the word before it."""
    bundle = tiny_token_classifier(
        folder / str(max_length), WORDS, labels=LABELS, after=AFTER, max_length=max_length
    )
    return Pipeline(TagTask(), bundle, threads=1)


@pytest.fixture(scope="module")
def tag(folder: Path) -> Iterator[Pipeline]:
    with tagger(folder, 16) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def tag_whole(folder: Path) -> Iterator[Pipeline]:
    with tagger(folder, 1_000_000) as pipe:
        yield pipe


def rounded(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [answer | {"score": round(answer["score"], 5)} for answer in answers]


def test_each_word_has_the_label_of_its_first_token(tag: Pipeline) -> None:
    answers = tag("The cat walks.")
    assert [(answer["word"], answer["entity"]) for answer in answers] == [
        ("The", "DET"),
        ("cat", "NOUN"),
        ("walks", "VERB"),
        (".", "NOUN"),
    ]


def test_a_word_says_where_it_stands_in_characters_and_in_tokens(tag: Pipeline) -> None:
    answer = tag("É 👍🏽 the cat walks")[4]
    assert answer.keys() == {"entity", "score", "index", "word", "start", "end"}
    assert (answer["start"], answer["end"], answer["index"]) == (13, 18, 5)
    assert 0 < answer["score"] <= 1


def test_a_list_of_texts_gives_a_list_for_each(tag: Pipeline) -> None:
    one, two = tag(["the", "cat walks"])
    assert (len(one), len(two)) == (1, 2)


@pytest.mark.parametrize(("ignored", "kept"), [([], 2), (["DET"], 1), (["DET", "NOUN"], 0)])
def test_labels_can_be_left_out(tag: Pipeline, ignored: list[str], kept: int) -> None:
    assert len(tag("the cat", ignore_labels=ignored)) == kept


@pytest.mark.parametrize("text", ["", " ", "\t\n \u3000\xa0", "\u200b"])
def test_a_text_without_words_has_no_answers(tag: Pipeline, text: str) -> None:
    assert tag(text) == []
    assert [len(answers) for answers in tag([text, "the cat", text])] == [0, 2, 0]


def test_a_lone_surrogate_is_named(tag: Pipeline) -> None:
    with pytest.raises(InputError, match=r"text holds the lone surrogate '\\ud83d'"):
        tag(["the", "a \ud83d cat"])


@settings(deadline=None, max_examples=40)
@given(
    words=st.lists(st.sampled_from(["the", "cat", "to", "walks", "walk", "x", "!"]), max_size=60),
    stride=st.integers(1, 13),
)
def test_windows_give_what_one_window_over_the_whole_text_would_give(
    tag: Pipeline, tag_whole: Pipeline, words: list[str], stride: int
) -> None:
    text = " ".join(words)
    assert rounded(tag(text, stride=stride)) == rounded(tag_whole(text))


def test_a_text_of_100_000_characters_loses_and_doubles_no_word(
    tag: Pipeline, tag_whole: Pipeline
) -> None:
    text = "the cat walks to walk. " * 4_400
    assert len(text) > 100_000
    answers = tag(text)
    assert len(answers) == 6 * 4_400
    assert (rounded(answers) == rounded(tag_whole(text))) is True  # no diff of 26,400 rows


@pytest.mark.parametrize("stride", [14, 4096])
def test_a_stride_that_leaves_no_room_is_an_error(tag: Pipeline, stride: int) -> None:
    with pytest.raises(OptionError, match=f"stride is {stride}"):
        tag("the cat " * 20, stride=stride)


def test_a_label_set_that_does_not_fit_the_weights_is_an_error(folder: Path) -> None:
    bundle = tiny_token_classifier(
        folder / "misfit", WORDS, labels=LABELS, config={"id2label": {"0": "A", "1": "B"}}
    )
    with pytest.raises(BundleError, match="3 logits per token, but its config.json names 2 labels"):
        Pipeline(TagTask(), bundle, threads=1)


def test_a_model_that_labels_whole_texts_is_an_error(folder: Path) -> None:
    bundle: Bundle = tiny_text_classifier(folder / "whole")
    with pytest.raises(BundleError, match=r"for another task.*: its logits .*of a whole text"):
        Pipeline(TagTask(), bundle, threads=1)
