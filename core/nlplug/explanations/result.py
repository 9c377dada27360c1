"""An answer with its explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, NotRequired, TypeGuard, TypeVar

from typing_extensions import TypedDict

from nlplug.explanations.options import ExplanationOptions, Method
from nlplug.task import Task

Answered = TypeVar("Answered")
Unit = Literal["log-odds", "output"]


class ExplainedTarget(TypedDict):
    """What is explained: a label, a part of the text, or the label of a part of the text."""

    label: NotRequired[str]
    text: NotRequired[str]
    start: NotRequired[int]
    end: NotRequired[int]


class WordWeight(TypedDict):
    """The weight of one word; ``word`` is ``field[start:end]`` of the input.

    Of a long text a few neighboring words may be one entry.
    """

    word: str
    weight: float
    start: int
    end: int
    field: str


class Explanation(TypedDict):
    """How much each word of an input contributes to the target.

    ``value`` is the model's output for the target, and ``baseline`` the same with all words
    replaced, both in ``unit``. ``passes`` is the number of windows that the model read for the
    explanation.
    """

    target: ExplainedTarget
    method: Method
    unit: Unit
    value: float
    baseline: float
    passes: int
    words: list[WordWeight]


class Explained(TypedDict, Generic[Answered]):
    """An answer with its explanation; None if there is nothing to explain, such as no entity."""

    answer: Answered
    explanation: Explanation | None


_NAMES = {"answer", "explanation"}


def is_explained(answer: Any) -> TypeGuard[Explained[Any]]:
    """Whether an answer has an explanation with it."""
    return isinstance(answer, Mapping) and answer.keys() == _NAMES


def shaped(answers: list[Any], shape: Callable[..., Any], *, single: bool) -> Any:
    """The return value of a call, whose answers may have explanations with them.

    Args:
        answers: The answers, all with an explanation or all without.
        shape: `Task.shape`, which is applied to the answers alone.
        single: Whether the caller passed one input, not a list.
    """
    if not (answers and all(map(is_explained, answers))):
        return shape(answers, single=single)
    plain = shape([one["answer"] for one in answers], single=single)
    if single:
        return {**answers[0], "answer": plain}
    return [{**one, "answer": own} for one, own in zip(answers, plain, strict=True)]


def output_type(task: Task) -> Any:
    """The type of an answer of a task: its ``Output``, also with an explanation if it has them."""
    if issubclass(task.Options, ExplanationOptions):
        return task.Output | Explained[task.Output]  # type: ignore[name-defined]  # a type at run time
    return task.Output
