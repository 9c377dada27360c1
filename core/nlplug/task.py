"""The task contract: one declaration that drives Python, the command line, HTTP and the UI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema

if TYPE_CHECKING:
    from nlplug.families.family import Family
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.answers import Answers, TextPiece

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


def chinese(
    title: str, description: str, *, advanced: bool = False, **marks: Any
) -> dict[str, Any]:
    """The ``json_schema_extra`` of a field: its Chinese texts, and marks for the UI.

    Args:
        title: Title of the field in Chinese.
        description: Description of the field in Chinese.
        advanced: Whether the UI shows the field only on demand.
        **marks: Further marks, such as ``whole=True``.
    """
    shown = {"advanced": True} if advanced else {}
    return {**shown, **marks, "zh": {"title": title, "description": description}}


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


class Runner(ABC):
    """Answers inputs of one task with one model; safe to use from several threads."""

    @property
    @abstractmethod
    def device(self) -> str:
        """Where the model really runs: ``cpu`` or ``cuda:N``."""

    @abstractmethod
    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """The answers, in order and in bounded memory.

        Raises:
            InputError: An input that the model cannot take.
            BundleError: The graph is not one for the task.
        """

    @abstractmethod
    def open(self) -> None:
        """Load the model now instead of with the first input."""

    @abstractmethod
    def close(self) -> None:
        """Free the model and the worker threads; a later call loads them again."""


class StreamingRunner(Runner):
    """A runner that can give out the text of an answer while it is made."""

    @abstractmethod
    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        """The text of one answer, piece by piece; closing the generator ends the work.

        Raises:
            InputError: An input that the model cannot take.
            OptionError: The answer cannot be streamed with these options.
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
    family: ClassVar[Family]
    """The kind of its models: how they are trained, exported and scored."""

    @abstractmethod
    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> Runner:
        """What answers inputs with a bundle's model; a `StreamingRunner` if the family streams.

        Args:
            bundle: The model.
            precision: One that the bundle has.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads; None for the CPUs that the process may use.

        Raises:
            BundleError: The bundle's model is not one for this task.
            OptionError: The bundle lacks the precision, or ``threads`` is below 1.
        """

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """Options for which a model has a default of its own; unknown names are ignored."""
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
