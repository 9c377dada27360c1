"""A long text becomes windows, and each window counts by its tokens that no window had before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nlplug.errors import OptionError
from nlplug.families.sequence_classification import (
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.testing import tiny_text_classifier

CLS, SEP, GOOD, BAD = 2, 3, 4, 5
LONG = "good " * 8 + "bad " * 4


def options(**given: Any) -> SequenceClassificationOptions:
    return SequenceClassificationOptions(**{"top_k": None, "function_to_apply": "none", **given})


def item(text: str, pair: str | None = None) -> SequenceClassificationInput:
    return SequenceClassificationInput(text=text, text_pair=pair)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SequenceClassificationModel:
    folder = tmp_path_factory.mktemp("tiny")
    words = {"good": (-4.0, 4.0), "bad": (4.0, -4.0)}
    return SequenceClassificationModel(tiny_text_classifier(folder, words, max_length=10))


def ids(rows: list[Any]) -> list[list[int]]:
    return [list(row.features["input_ids"]) for row in rows]


def test_windows_share_the_stride_and_weigh_their_new_tokens(
    model: SequenceClassificationModel,
) -> None:
    [rows] = model.encode([item(LONG)], options(stride=5))
    texts = [[GOOD] * 8, [GOOD] * 5 + [BAD] * 3, [GOOD] * 2 + [BAD] * 4]
    assert ids(rows) == [[CLS, *text, SEP] for text in texts]
    assert [row.meta for row in rows] == [10, 10 - 5, 8 - 5]
    [rows] = model.encode([item(LONG)], options(stride=0))
    assert [row.meta for row in rows] == [10, 6]


def test_each_text_has_its_own_windows(model: SequenceClassificationModel) -> None:
    groups = model.encode([item("bad"), item(LONG), item("good")], options(stride=0))
    assert [len(rows) for rows in groups] == [1, 2, 1]
    assert ids(groups[0]) == [[CLS, BAD, SEP]]
    assert [row.meta for rows in groups for row in rows] == [3, 10, 6, 3]


def test_a_cut_text_is_one_window(model: SequenceClassificationModel) -> None:
    [rows] = model.encode([item(LONG)], options(truncation=True))
    assert ids(rows) == [[CLS, *[GOOD] * 8, SEP]]
    assert rows[0].meta == 10
    [rows] = model.encode([item(LONG)], options(truncation=True, max_length=5))
    assert ids(rows) == [[CLS, *[GOOD] * 3, SEP]]


@pytest.mark.parametrize(
    ("cut", "kept"), [("only_second", (5, 2)), ("only_first", (3, 4)), ("longest_first", (4, 3))]
)
def test_the_option_says_which_text_of_a_pair_is_cut(
    model: SequenceClassificationModel, cut: str, kept: tuple[int, int]
) -> None:
    given = options(truncation=True, truncated_text=cut)
    [rows] = model.encode([item("good " * 5, "bad bad bad bad")], given)
    assert ids(rows) == [[CLS, *[GOOD] * kept[0], SEP, *[BAD] * kept[1], SEP]]


@pytest.mark.parametrize(
    ("function", "message"),
    [(None, "the model 'tiny\\d+' has none"), ("sigmoid", "the activation is 'sigmoid'")],
)
def test_a_set_of_labels_needs_a_softmax_and_a_record(
    model: SequenceClassificationModel, function: str | None, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        model.encode([item("good")], options(coverage=0.9, function_to_apply=function))


def test_a_second_text_follows_the_first_with_types_of_its_own(
    model: SequenceClassificationModel,
) -> None:
    [rows] = model.encode([item("good", "bad bad")], options())
    assert ids(rows) == [[CLS, GOOD, SEP, BAD, BAD, SEP]]
    assert list(rows[0].features["token_type_ids"]) == [0, 0, 0, 1, 1, 1]


def test_the_logits_of_windows_are_averaged_by_weight(model: SequenceClassificationModel) -> None:
    [rows] = model.encode([item(LONG)], options(stride=5))
    outputs = [{"logits": np.array([one, -one], np.float16)} for one in (1.0, 3.0, -2.0)]
    answer = model.decode(item(LONG), rows, outputs, options())
    expected = (1.0 * 10 + 3.0 * 5 - 2.0 * 3) / 18
    assert {one["label"]: one["score"] for one in answer} == pytest.approx(
        {"negative": expected, "positive": -expected}, rel=1e-6
    )


def test_the_second_of_two_windows_counts_too(model: SequenceClassificationModel) -> None:
    [rows] = model.encode([item(LONG)], options(stride=0))
    outputs = [{"logits": np.array([one, 0.0], np.float32)} for one in (1.0, 9.0)]
    answer = model.decode(item(LONG), rows, outputs, options())
    assert answer[0]["score"] == pytest.approx((1.0 * 10 + 9.0 * 6) / 16)


def test_one_window_answers_alone_in_float32(model: SequenceClassificationModel) -> None:
    [rows] = model.encode([item("good")], options())
    outputs = [{"logits": np.array([0.1, 12.0], np.float16)}]
    default = model.decode(item("good"), rows, outputs, options(function_to_apply=None))
    chance = 1 / (1 + np.exp(-(12.0 - float(np.float16(0.1)))))
    assert [one["label"] for one in default] == ["positive", "negative"]
    assert [one["score"] for one in default] == pytest.approx([chance, 1 - chance], rel=1e-4)
    plain = model.decode(item("good"), rows, outputs, options())
    assert [one["score"] for one in plain] == pytest.approx([12.0, 0.1], rel=1e-3)
