"""The task contract: one declaration that drives Python, the command line, HTTP and the UI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema

if TYPE_CHECKING:
    import numpy as np

    from nlplug.models.bundle import Bundle
    from nlplug.runtime.runner import Runner

Localized = str | Mapping[str, str]
"""A text, or the same text by language: ``{"en": "Sentiment", "zh": "情感分析"}``."""


def localize(text: Localized, language: str = "en") -> str:
    """The text in ``language`` (``zh-CN`` falls back to ``zh``, then to English, then to any)."""
    if isinstance(text, str):
        return text
    for key in (language, language.split("-")[0], "en"):
        if key in text:
            return text[key]
    return next(iter(text.values()), "")


_SKIPPED: Any = SkipJsonSchema
"""The mark that is left on a field; type checkers see another thing in its class."""


class Display(StrEnum):
    """How the UI shows an output."""

    LABEL = "label"
    HIGHLIGHT = "highlight"
    TEXT = "text"
    TABLE = "table"


class TaskInput(BaseModel):
    """Base of a task's ``Input``: what one call takes.

    The first field is the one that a bare string fills.
    """

    model_config = ConfigDict(extra="forbid")


class TaskOptions(BaseModel):
    """Base of a task's ``Options``: what changes how an input is answered.

    Bounds and help stand in the fields; the UI takes the Chinese texts of a field from
    ``json_schema_extra={"zh": {"title": …, "description": …}}``, and shows a field with
    ``"advanced": True`` there only on demand. What no text can give, such as a function, is of the
    type ``SkipJsonSchema[…]``: it is an option in Python alone.
    """

    model_config = ConfigDict(extra="forbid")


def only_whole(options: type[TaskOptions]) -> list[str]:
    """Options whose effect a stream of text cannot show: fields with ``"whole": True``."""
    extras = {name: field.json_schema_extra for name, field in options.model_fields.items()}
    return [name for name, extra in extras.items() if isinstance(extra, dict) and "whole" in extra]


def python_only(options: type[BaseModel]) -> list[str]:
    """Options that only Python can give: fields that the JSON schema skips."""
    return [
        name
        for name, field in options.model_fields.items()
        if any(isinstance(mark, _SKIPPED) for mark in field.metadata)
    ]


class TextInput(TaskInput):
    """The input of every task that takes one text."""

    text: str


@dataclass(frozen=True)
class Example:
    """One input, and options where they differ from the defaults, as shown in UI and docs."""

    input: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Row:
    """One row of a batch: one window of one input, tokenized but not yet padded.

    Attributes:
        features: Input name of the graph → one sequence or array of int; all of one row have the
            same length.
        meta: Whatever the task needs to decode this row (offsets, the window's weight, …).
    """

    features: Mapping[str, Sequence[int] | np.ndarray]
    meta: Any = None

    def __len__(self) -> int:
        return len(self.features["input_ids"])


I = TypeVar("I", bound=TaskInput)  # noqa: E741 - the field's names: input, options
O = TypeVar("O", bound=TaskOptions)  # noqa: E741


class TaskModel(ABC, Generic[I, O]):
    """A task bound to one bundle: how to encode inputs and decode the graph's outputs.

    It never runs the graph; batching, threads and devices belong to the runtime.
    """

    required_outputs: ClassVar[frozenset[str]] = frozenset({"logits"})
    """The outputs that ``decode`` reads; a graph without them is refused."""
    token_level: ClassVar[bool] = False
    """Whether the graph's outputs have one entry a token, so that padding has to be cut off."""
    pad_token_id: int = 0
    """What ``input_ids`` are padded with."""

    @abstractmethod
    def encode(self, inputs: Sequence[I], options: O) -> list[list[Row]]:
        """Tokenize; for each input the rows (windows) that cover it whole.

        Raises:
            InputError: An input that cannot be tokenized.
        """

    @abstractmethod
    def decode(
        self,
        item: I,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: O,
    ) -> Any:
        """The answer for one input.

        Args:
            item: The input.
            rows: Its rows, as ``encode`` gave them.
            outputs: For each row the graph's outputs by name, without the batch axis; where the
                model is token-level, cut to the row's own length.
            options: The options of the call.
        """


class Task(ABC):
    """What a plugin registers: a task's names, shapes, examples, and how to bind it to a model."""

    name: ClassVar[str]
    """Name of the task and of its entry point, such as ``sentiment``."""
    title: ClassVar[Localized]
    description: ClassVar[Localized]
    hub_task: ClassVar[str]
    """The Hugging Face task whose shapes this task has, such as ``text-classification``."""
    Input: ClassVar[type[TaskInput]] = TextInput
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    Output: ClassVar[Any]
    """Any type that ``pydantic.TypeAdapter`` takes; instances are plain dicts and lists."""
    display: ClassVar[Display]
    examples: ClassVar[Sequence[Example]] = ()
    default_model: ClassVar[str | None] = None
    """Name of a registered ``ModelSpec``."""
    training: ClassVar[str | None] = None
    """``module:Class`` of the ``nlplug.train.recipe.Recipe`` that trains it."""
    evaluation: ClassVar[str | None] = None
    """``module:Class`` of the ``nlplug.evaluation.base.Evaluation`` that scores it."""
    streams: ClassVar[bool] = False
    """Whether an answer is a text that can be given out while it is made."""

    answers_blank: ClassVar[bool] = False
    """Whether a blank text has an answer, such as no entities; else it is refused as an input."""

    @abstractmethod
    def bind(self, bundle: Bundle) -> TaskModel[Any, Any]:
        """Bind to a bundle.

        Raises:
            BundleError: The bundle's model is not one for this task.
        """

    def runner(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> Runner:
        """What answers inputs: the bundle's graph, run once a batch, unless a family needs more.

        Args:
            bundle: The model.
            precision: One that the bundle has.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads; None for the CPUs that the process may use.

        Raises:
            BundleError: The bundle's model is not one for this task.
            OptionError: The bundle lacks the precision, or ``threads`` is below 1.
        """
        from nlplug.runtime.runner import GraphRunner

        model = self.bind(bundle)
        path = bundle.onnx_file(precision)
        return GraphRunner(model, path, device=device, threads=threads)

    def wishes(self, bundle: Bundle) -> dict[str, Any]:
        """Options whose default a model wants otherwise; names the task lacks are passed over."""
        return bundle.options

    def choices(self, bundle: Bundle) -> Mapping[str, Mapping[str, Localized]]:
        """What a model offers for options that are no fixed choice, such as its languages.

        Returns:
            Name of an option → its values, with what they are called. The UI offers them where the
            option's field says ``json_schema_extra={"of_model": True}``.
        """
        return {}

    def wrap(self, value: Any) -> Any:
        """What some callers pass for one input, as a dict of its fields.

        For values that would be taken for something else, such as a list that is one input; all
        others are returned as they are.
        """
        return value

    def shape(
        self,
        answers: list[Any],
        *,
        single: bool,
        given: frozenset[str] = frozenset(),
        preset: frozenset[str] = frozenset(),
    ) -> Any:
        """The value of a call, from the answers to its inputs.

        Args:
            answers: One answer an input.
            single: Whether the caller passed one input and not a list.
            given: Names of the options given with the call, or that the model brings (Hugging
                Face's pipelines change their shape on this).
            preset: Names of the options given when the pipeline was made.
        """
        return answers[0] if single else answers
