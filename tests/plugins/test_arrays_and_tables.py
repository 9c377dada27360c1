"""Arrays and tables, as callers have them, are inputs and values of options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nlplug import Pipeline, pipeline
from nlplug.errors import InputError, OptionError

pandas = pytest.importorskip("pandas")

REVIEWS = ["I loved it", "It was terrible"]
WORDS = [["Angela", "Merkel"], ["Berlin"]]
QUESTION, CONTEXT = "Where does Anna live?", "Anna lives in Paris."
ARRAY = np.array([1, 2])


def test_the_rows_of_a_data_frame_are_inputs(pipes: Callable[[str], Pipeline]) -> None:
    pipe = pipes("sentiment")
    frame = pandas.DataFrame({"id": [1, 2], "text": REVIEWS}, index=[7, 9])

    answers = pipe(frame)
    assert len(answers) == 2
    assert list(answers) == list(pipe.map(frame)) == pipe(REVIEWS)


def test_a_data_frame_without_the_field_is_refused(pipes: Callable[[str], Pipeline]) -> None:
    with pytest.raises(InputError, match="Input 0: .* lacks 'text'"):
        list(pipes("sentiment")(pandas.DataFrame({"review": REVIEWS})))


@pytest.mark.parametrize("column", [np.array, pandas.Series], ids=["array", "series"])
def test_a_column_fills_a_field(
    column: Callable[[list[str]], Any], pipes: Callable[[str], Pipeline]
) -> None:
    pipe = pipes("qa")
    wanted = pipe(question=[QUESTION] * 2, context=[CONTEXT] * 2)
    assert pipe(question=QUESTION, context=column([CONTEXT] * 2)) == wanted
    assert pipe(question=column([QUESTION] * 2), context=column([CONTEXT] * 2)) == wanted


def test_a_column_of_words_is_read_in_order_whatever_its_index(
    pipes: Callable[[str], Pipeline],
) -> None:
    column = pandas.Series(WORDS, index=[7, 0])
    pipe = pipes("ner")
    wanted = pipe(WORDS, is_split_into_words=True)
    assert list(pipe(column, is_split_into_words=True)) == wanted


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("sentiment", "return_all_scores"),
        ("sentiment", "truncation"),
        ("ner", "grouped_entities"),
        ("ner", "ignore_subwords"),
        ("ner", "is_split_into_words"),
        ("generation", "return_tensors"),
        ("generation", "handle_long_generation"),
    ],
)
@pytest.mark.parametrize("value", [ARRAY, pandas.NA], ids=["array", "NA"])
@pytest.mark.filterwarnings("ignore:.*old option:FutureWarning")
def test_a_value_that_is_neither_true_nor_false_is_refused(
    task: str, name: str, value: Any, pipes: Callable[[str], Pipeline]
) -> None:
    with pytest.raises(OptionError, match=rf"{name}( is |=)(\[1, 2\]|<NA>)"):
        pipes(task)("Angela", **{name: value})
    if name != "is_split_into_words":  # it is given in calls
        with pytest.raises(OptionError, match=rf"{name}( is |=)(\[1, 2\]|<NA>)"):
            pipeline(task, device="cpu", **{name: value})


@pytest.mark.filterwarnings("ignore:.*old option:FutureWarning")
@pytest.mark.parametrize(
    ("task", "name"),
    [("sentiment", "return_all_scores"), ("ner", "grouped_entities"), ("ner", "ignore_subwords")],
)
def test_an_old_switch_is_true_or_false(
    task: str, name: str, pipes: Callable[[str], Pipeline]
) -> None:
    pipe = pipes(task)
    assert pipe("Angela", **{name: np.True_}) == pipe("Angela", **{name: True})
    with pytest.raises(OptionError, match=f"{name} is 'no'"):
        pipe("Angela", **{name: "no"})


def test_an_array_is_a_list_of_values(pipes: Callable[[str], Pipeline]) -> None:
    write = pipes("generation")
    options = {"max_new_tokens": 8, "do_sample": False}
    wanted = write("Once", suppress_tokens=[1, 2], stop=["."], **options)
    assert write("Once", suppress_tokens=ARRAY, stop=np.array(["."]), **options) == wanted
