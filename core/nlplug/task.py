"""The task contract: one declaration for Python, the command line, HTTP and the UI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.errors import OptionError

if TYPE_CHECKING:
    from nlplug.argument_rules import Rule
    from nlplug.families.family import Family
    from nlplug.inside.result import Inside, Request
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.answers import Answers, TextPiece

Localized = str | Mapping[str, str]
"""A text, or translations of it by language: ``{"en": "Sentiment", "zh": "情感分析"}``."""


def localize(text: Localized, language: str = "en") -> str:
    """The text in ``language``; ``zh-CN`` falls back to ``zh``, to English, to any language."""
    if isinstance(text, str):
        return text
    for key in (language, language.split("-")[0], "en"):
        if key in text:
            return text[key]
    return next(iter(text.values()), "")


_SKIPPED: Any = SkipJsonSchema
"""The marker in a field's metadata; for type checkers the class has another type."""


class Display(StrEnum):
    """How the UI displays an output."""

    LABEL = "label"
    HIGHLIGHT = "highlight"
    TEXT = "text"
    TABLE = "table"


class TaskInput(BaseModel):
    """Base of a task's ``Input``, the input of one call.

    A plain string is the value of the first field.
    """

    model_config = ConfigDict(extra="forbid")


class TaskOptions(BaseModel):
    """Base of a task's ``Options``, which change how an input is answered.

    Each field declares its bounds, title and description; `chinese` adds the Chinese texts and the
    marks for the UI. A field of the type ``SkipJsonSchema[…]``, such as a function, is an option
    only in Python; with the mark ``by_name`` it is also accepted on the command line and over
    HTTP, and only left out of help, forms and schemas.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


def chinese(
    title: str, description: str, *, advanced: bool = False, **marks: Any
) -> dict[str, Any]:
    """The ``json_schema_extra`` of a field: its Chinese texts, and marks for the UI.

    Args:
        title: Title of the field in Chinese.
        description: Description of the field in Chinese.
        advanced: Whether the UI shows the field only on demand.
        **marks: Further marks, such as ``whole=True`` and ``by_name=True``. ``slider=1000`` is the
            end of the slider on a page, where larger values are valid too.
    """
    shown = {"advanced": True} if advanced else {}
    return {**shown, **marks, "zh": {"title": title, "description": description}}


def _marked(options: type[BaseModel], mark: str) -> list[str]:
    extras = {name: field.json_schema_extra for name, field in options.model_fields.items()}
    return [name for name, extra in extras.items() if isinstance(extra, dict) and mark in extra]


def only_whole(options: type[TaskOptions]) -> list[str]:
    """Options that have no effect on a stream of text: fields with the mark ``whole``."""
    return _marked(options, "whole")


def unlisted(options: type[BaseModel]) -> list[str]:
    """Options that help, forms and schemas leave out: fields that the JSON schema skips."""
    return [
        name
        for name, field in options.model_fields.items()
        if any(isinstance(mark, _SKIPPED) for mark in field.metadata)
    ]


def python_only(options: type[BaseModel]) -> list[str]:
    """Options that exist only in Python: those of `unlisted` without the mark ``by_name``."""
    named = _marked(options, "by_name")
    return [name for name in unlisted(options) if name not in named]


class TextInput(TaskInput):
    """The input of tasks that take one text."""

    text: str = Field(
        title="Text",
        description="The text, of any length.",
        json_schema_extra=chinese("文本", "任意长度的文本。"),
    )


@dataclass(frozen=True)
class Example:
    """One input, and options that differ from the defaults; shown in the UI and the docs."""

    input: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NameRules:
    """What differs under one name of a task, as callers of transformers expect it there.

    Attributes:
        options: Defaults of options; they override those of the model.
        unless_stated: Defaults of options that the model does not state.
        unwraps: Whether a list of one input is answered as one input.
        bare: Whether a dict is answered as an item of a list.
        stream_lists: Whether each answer of a stream has the form of the answer to one input.
        without_model: A warning if no model is given.
        may_be_blank: Fields that have an answer if they consist of white space.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    unless_stated: Mapping[str, Any] = field(default_factory=dict)
    unwraps: bool = False
    bare: bool = False
    stream_lists: bool = False
    without_model: str = ""
    may_be_blank: frozenset[str] = frozenset()


class Runner(ABC):
    """Answers the inputs of one task with one model. Several threads may use it."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The device that the model runs on: ``cpu`` or ``cuda:N``."""

    @property
    def concurrency(self) -> int:
        """Number of calls of `map` with short inputs that a server makes at the same time.

        1, the default, is for runners that are fastest with many inputs in one call: the requests
        that arrive during a call are answered together by the next one. More is for runners that
        put the inputs of several calls together, or run calls side by side.
        """
        return 1

    @abstractmethod
    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """The answers in the order of the inputs, in bounded memory.

        Raises:
            InputError: The model cannot process an input.
            BundleError: The graph does not fit the task.
        """

    def inside(self, item: TaskInput, options: TaskOptions, request: Request) -> Inside:
        """What happens inside the model while it reads an input.

        Args:
            item: The input.
            options: The options of the call.
            request: What to look for.

        Raises:
            OptionError: This kind of model cannot be looked into, which is the default, or the
                task does not have a part of the request.
            InputError: The model cannot process the input.
            BundleError: The graph does not show what was asked for.
        """
        raise OptionError(
            "This kind of model cannot be inspected.", hint="Use a model of another task."
        )

    @abstractmethod
    def open(self) -> None:
        """Load the model now instead of at the first input."""

    @abstractmethod
    def close(self) -> None:
        """Wait for running computations, then free the model and the worker threads.

        A later call loads the model again, and so does a call in progress, which continues without
        an error. To end a call in progress, cancel its answers.
        """


class StreamingRunner(Runner):
    """A runner that can return the text of an answer while it is generated."""

    @abstractmethod
    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        """The text of one answer in pieces. Closing the generator stops the generation.

        Raises:
            InputError: The model cannot process the input.
            OptionError: The answer cannot be streamed with these options.
        """

    def alternatives(
        self,
        item: TaskInput,
        options: TaskOptions,
        part: int,
        count: int,
        before: str | None = None,
    ) -> list[str]:
        """Other texts for one part of an answer, best first; empty if the family has none.

        Args:
            item: The input.
            options: Of the answer.
            part: Number of the part, as in the pieces of `stream`.
            count: Maximum number of texts; the text of the answer itself may be one of them.
            before: The beginning of the part that stays: the texts differ from the next word on.
                None: the whole part may differ.

        Raises:
            InputError: The answer has no such part.
        """
        return []


class Task(ABC):
    """A task that a plugin registers: its names, types, examples and how it loads a model."""

    name: ClassVar[str]
    """Name of the task and of its entry point, such as ``sentiment``."""
    title: ClassVar[Localized]
    description: ClassVar[Localized]
    hub_task: ClassVar[str]
    """The Hugging Face task with the same inputs and outputs, such as ``text-classification``."""
    Input: ClassVar[type[TaskInput]] = TextInput
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    Output: ClassVar[Any]
    """Any type that ``pydantic.TypeAdapter`` accepts; instances are plain dicts and lists."""
    display: ClassVar[Display]
    examples: ClassVar[Sequence[Example]] = ()
    default_model: ClassVar[str | None] = None
    """Name of a registered ``ModelSpec``."""
    suggested_models: ClassVar[Sequence[str]] = ()
    """Ids of Hub models that fit a task without default model; errors and the UI name them."""
    name_rules: ClassVar[Mapping[str, NameRules]] = {}
    """By the name or alias that the caller used; see `NameRules`."""
    positional: ClassVar[Sequence[str]] = ()
    """Options that a call also takes by position, after the fields of the input."""
    family: ClassVar[Family]
    """The kind of model: how it is trained, exported and evaluated."""
    base: ClassVar[str] = ""
    """Hub id of the checkpoint that training starts from if none is named; empty: none."""
    replaces: ClassVar[Mapping[str, str]] = {}
    """Of two options for one thing, the given one → the one whose default then has no effect."""
    bounds: ClassVar[Mapping[str, str]] = {}
    """An upper bound that is given → the lower bound whose default is then at most as large."""
    rules: ClassVar[Mapping[str, Rule]] = {}
    """Rules of `adapt` by name of the argument; see `nlplug.argument_rules`."""

    answers_blank: ClassVar[bool] = False
    """Whether a blank text has an answer, such as no entities; else it is refused as an input."""
    answers_invisible: ClassVar[bool] = False
    """Whether the task itself decides about a text of invisible characters only, such as controls
    and zero-width spaces; else it is refused as blank."""

    @abstractmethod
    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> Runner:
        """Load the model of a bundle; a `StreamingRunner` if the family streams.

        Args:
            bundle: The model.
            precision: A precision of the bundle.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads; None: the CPUs that the process may use.

        Raises:
            BundleError: The bundle's model does not fit this task.
            OptionError: The bundle does not have the precision, or ``threads`` is below 1.
        """

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """The defaults of options that the model sets; unknown names are ignored."""
        return bundle.options

    def languages(self, bundle: Bundle, options: TaskOptions) -> Sequence[str]:
        """Codes of the languages that the texts of an input may be in; empty: not known."""
        return bundle.languages

    def texts(self, item: TaskInput) -> list[str]:
        """The texts of an input whose language the model has to know."""
        return [value for value in vars(item).values() if isinstance(value, str)]

    def chats(self, bundle: Bundle) -> bool:
        """Whether an input may be a chat: a list of messages with role and content."""
        return False

    def unchanged(self, item: TaskInput, options: TaskOptions) -> Sequence[tuple[int, int]]:
        """Start and end of the parts of an input's text that the answer has unchanged."""
        return ()

    def passes(self, options: Mapping[str, Any]) -> int:
        """About how many times the model reads an input, at most.

        A server answers an input that takes long beside the short ones.

        Args:
            options: The options of the call.
        """
        return 1

    def choices(self, bundle: Bundle) -> Mapping[str, Mapping[str, Localized]]:
        """The values that a model offers for options, such as its languages.

        Returns:
            For each option name the values with their titles. The UI offers them for fields with
            ``json_schema_extra={"of_model": True}``.
        """
        return {}

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Convert arguments of a call, as transformers' pipelines take them, to those of this task.

        Args:
            arguments: Options, and fields of an input.

        Raises:
            OptionError: An argument has no meaning here; the hint names the way.
        """
        from nlplug.argument_rules import adapt

        known = {**self.Options.model_fields, **self.Input.model_fields}
        return adapt(arguments, self.rules, known)

    def attributes(self, bundle: Bundle) -> Mapping[str, Any]:
        """Further attributes of a pipeline, as transformers' pipeline of this task has them."""
        return {}

    def tabular(self, answer: Any) -> Any:
        """One answer in the form for tables: a dict, or a list of dicts, of plain values.

        Needed only for answers whose values are lists. Other answers are returned unchanged.
        """
        return answer

    def wrap(self, value: Any) -> Any:
        """Convert a value that is one input to a dict of its fields.

        Needed only for values that would be taken for something else, such as a list that is one
        input. Other values are returned unchanged.
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
        """The return value of a call, from the answers to its inputs.

        Args:
            answers: One answer per input.
            single: Whether the caller passed one input, not a list.
            given: Names of the options of the call and of the model's defaults. The return types of
                Hugging Face pipelines depend on them.
            preset: Names of the options given when the pipeline was created. Switches that are off
                are in neither.
        """
        return answers[0] if single else answers
