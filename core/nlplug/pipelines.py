"""``pipeline(...)``: a task bound to a model, called like a function."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.answer_values import check_answer
from nlplug.argument_rules import plain_arguments
from nlplug.arguments import (
    by_place,
    check_model,
    name_rules,
    named_inputs,
    read_setup,
    read_task,
    task_of,
)
from nlplug.by_language import AUTO, bundles_of
from nlplug.errors import OptionError, UnknownTask, warn
from nlplug.explanations.result import shaped
from nlplug.inputs import (
    IndexedInputs,
    SizedAnswers,
    is_one_input,
    items_of,
    known_columns,
    placed,
    read_inputs,
    spread,
    with_fields,
)
from nlplug.inside.view import InsideView
from nlplug.models.bundle import Bundle
from nlplug.models.resolve import resolve
from nlplug.plugins import PluginHost
from nlplug.runtime.answers import texts_of
from nlplug.task import StreamingRunner
from nlplug.text.foreign import ForeignTexts
from nlplug.validation import make_input, no_model, split_arguments

if TYPE_CHECKING:
    from nlplug.runtime.answers import Answers, TextPiece
    from nlplug.task import TaskInput, TaskOptions

_MOST_ALTERNATIVES = 16


def pipeline(
    task: str | None = None,
    model: str | Path | Bundle | None = None,
    *others: Any,
    precision: str | None = "auto",
    device: object = "auto",
    threads: int | None = None,
    revision: str | None = None,
    host: PluginHost | None = None,
    **options: Any,
) -> Pipeline:
    """Bind a task to a model.

    Args:
        task: Name of an installed task, or the Hub's name for it; None to take the model's own.
        model: A folder, the name of a packaged or cached model, or a Hub id; None: the default.
            ``auto``: the installed models of the task together; each input is answered by one that
            knows its language.
        *others: Further arguments in the order of ``transformers.pipeline``, from ``config`` on.
        precision: A precision of the bundle, such as ``fp32``, ``fp16`` or ``int8``. ``auto`` (or
            None): on the CPU int8 if the quality gate measured it, on a GPU fp16 if present, else
            fp32.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; also, as in transformers, -1 for the
            CPU, a number for that GPU, None, or a ``torch.device``.
        threads: CPU threads; None: the CPUs that the process may use.
        revision: Branch, tag or commit of a Hub model.
        host: The plugins to search; None: the installed plugins.
        **options: Defaults for the task's options, such as ``top_k=3``. The other arguments of
            ``transformers.pipeline`` are understood too, or refused with a hint.

    Raises:
        UnknownTask: There is no such task.
        PluginError: The plugin that offers the task is broken.
        ModelNotFound: There is no such model.
        BundleError: The model cannot be used, or does not fit this task.
        OptionError: An option does not exist, or its value is out of bounds.
    """
    options = by_place(others, options)
    check_model(model, revision)
    host = host or PluginHost.discover()
    setup = read_setup(model, device, precision, options)
    wanted = None if setup.precision == "auto" else setup.precision
    name = task
    known = isinstance(task, str) and task in host.task_names()
    task, named = (task, {}) if known else read_task(task)
    more: list[Bundle] = []
    if task is None:
        if model is None or model == AUTO:
            raise UnknownTask(
                "No task was given, and no model that states one.",
                hint=f"Name a task: {', '.join(host.task_names()) or 'none is installed'}.",
            )
        bundle = resolve(
            setup.model, host=host, precision=wanted, revision=revision, settings=setup.settings
        )
        name = task_of(bundle)
        found = host.task(name)
    else:
        found = host.task(task)
        source = setup.model if model is not None else found.default_model
        if source is None:
            raise no_model(found)
        if model is None and (without := name_rules(found, name).without_model):
            warn(without, UserWarning)
        bundle, *more = bundles_of(
            found, source, host, precision=wanted, revision=revision, settings=setup.settings
        )
    return Pipeline(
        found,
        bundle,
        others=more,
        precision=setup.precision_for(bundle),
        device=setup.device,
        threads=threads,
        options=named | setup.options,
        name=name,
    )


class Pipeline(InsideView):
    """A task bound to a model; safe to call from several threads. See `BoundTask`."""

    def __call__(self, inputs: Any = None, /, *others: Any, **arguments: Any) -> Any:
        """Answer one input, a list of inputs, or a stream of them.

        Args:
            inputs: A string or a dict for one input; a list for many; a `Path` for a file
                (``.txt``, ``.csv``, ``.tsv``, ``.jsonl``, also ``.gz``, ``.parquet``, ``.xlsx``);
                any other iterable for a stream. None if keyword arguments give the input's
                fields.
            *others: The other required fields of an input, in their order.
            **arguments: Fields of the input, and options. A field may be a list, which makes one
                input per item; other fields (one question for many contexts) apply to all.

        Returns:
            The answer to one input; a list of answers to a list; an iterator for a file or stream.

        Raises:
            InputError: An input is malformed.
            OptionError: An option does not exist, or its value is out of bounds.
            DataError: A file cannot be read; the message names the line.
        """
        inputs, arguments = named_inputs(self.definition, inputs, others, arguments)
        fields, options, shape = self._split(arguments)
        inputs = self.definition.wrap(inputs)
        if inputs is None or isinstance(inputs, str | Mapping):
            inputs, fields = spread(self.definition, inputs, fields)
        if isinstance(inputs, Path):
            rows = (one.values for one in read_inputs(self.definition, inputs, fields))
            return self._stream(rows, fields, options, shape)
        if isinstance(inputs, list | tuple):
            items = [self._placed(number, value, fields) for number, value in enumerate(inputs)]
            single = self._rules.unwraps and len(items) == 1
            return shaped(self._all(items, options), shape, single=single)
        if not is_one_input(self.definition, inputs):
            if isinstance(inputs, IndexedInputs):
                stream = self._stream(inputs, fields, options, shape)
                return SizedAnswers(stream, len(inputs))
            if isinstance(inputs, Iterable):
                return self._stream(inputs, fields, options, shape)
        answers = self._all([self._item(inputs, fields)], options)
        if isinstance(inputs, Mapping) and self._rules.bare:
            return shaped(answers, shape, single=False)[0]
        return shaped(answers, shape, single=True)

    def map(self, inputs: Iterable[Any], /, **arguments: Any) -> Iterator[Any]:
        """Answer a stream of inputs in order and in bounded memory.

        Args:
            inputs: Strings, dicts or the task's Inputs, from a list, generator, file reader, …
            **arguments: Options, and fields that are the same for all inputs.

        Raises:
            OptionError: Immediately, for an invalid option. The error of an input is raised in
                place of its answer.
        """
        return self._stream(inputs, *self._split(arguments))

    def answers(self, inputs: Iterable[Any], /, **options: Any) -> Answers:
        """As `map`, but without `Task.shape`: an answer has the same type for all options.

        For servers and user interfaces. ``cancel()`` of the result stops the work from any thread;
        instead of a warning, its ``foreign`` counts the texts in other languages.
        """
        parsed = self._options(options)
        return self._answers((make_input(self.definition, value) for value in inputs), parsed)

    def foreign(self, inputs: Iterable[Any], /, **options: Any) -> ForeignTexts:
        """Count the inputs that are in a language which the model does not know.

        Raises:
            ForeignTextError: There is one, and ``on_foreign`` is ``error``.
            InputError: An input is malformed.
        """
        items = [make_input(self.definition, value) for value in inputs]
        return self._guard.check(items, self._options(options))

    def unchanged(self, inputs: Any, /, **options: Any) -> list[str]:
        """The parts of one input that its answer keeps, such as the addresses in a translation.

        Raises:
            InputError: The input is malformed.
        """
        item = make_input(self.definition, inputs)
        spans = self.definition.unchanged(item, self._options(options))
        text = next(iter(self.definition.texts(item)), "")
        return [text[start:end] for start, end in spans]

    async def acall(self, inputs: Any = None, /, **arguments: Any) -> Any:
        """As calling the pipeline, without blocking the event loop. Streams give a list."""
        from nlplug.async_iterators import in_thread

        if isinstance(inputs, AsyncIterable):
            return [answer async for answer in self.amap(inputs, **arguments)]

        def work() -> Any:
            answer = self(inputs, **arguments)
            return list(answer) if isinstance(answer, Iterator) else answer

        return await in_thread(work)

    async def amap(
        self, inputs: Iterable[Any] | AsyncIterable[Any], /, **arguments: Any
    ) -> AsyncIterator[Any]:
        """As `map`, for ``async for``; accepts sync and async iterables.

        The inputs of an async iterable are answered in groups of those that are available, so a
        slow source does not delay answers.
        """
        from nlplug.async_iterators import available_groups, in_thread, iterate_in_thread

        if isinstance(inputs, AsyncIterable):
            async for group in available_groups(inputs):
                for answer in await in_thread(partial(self._gather, group, arguments)):
                    yield answer
            return
        answers = self._stream(inputs, *self._split(arguments))
        async with iterate_in_thread(answers) as answered:
            async for answer in answered:
                yield answer

    def pieces(self, inputs: Any = None, /, **arguments: Any) -> Generator[TextPiece, None, None]:
        """Answer one input, and return the text in pieces while the model generates it.

        Closing or deleting the generator stops the generation.

        Args:
            inputs: One input, as for a call; None if keyword arguments give its fields.
            **arguments: Fields of the input, and options.

        Raises:
            OptionError: Immediately: the task cannot stream, or an option is invalid.
            InputError: The input is malformed.
        """
        item, options, runner = self._streamed(inputs, arguments)
        self._guard.check([item], options).warn()
        return runner.stream(item, options)

    def alternatives(
        self,
        inputs: Any = None,
        /,
        *,
        part: int,
        count: int = 5,
        before: str | None = None,
        **arguments: Any,
    ) -> list[str]:
        """Other texts for one part of an answer, best first.

        Args:
            inputs: One input, as for a call.
            part: Number of the part, as in `pieces`: of a translation, a sentence.
            count: Maximum number of texts, from 1 to 16. The text of the answer may be one of them.
            before: The beginning of the part that stays: texts differ from the next word on.
            **arguments: Fields of the input, and options.

        Returns:
            The texts; empty if the part is not written by the model, or the task has no such texts.

        Raises:
            OptionError: The task cannot stream, or ``count`` or an option is invalid.
            InputError: The input is malformed, or the answer has no such part.
        """
        if not 1 <= count <= _MOST_ALTERNATIVES:
            raise OptionError(f"count is {count}.", hint=f"Give 1 to {_MOST_ALTERNATIVES}.")
        item, options, runner = self._streamed(inputs, arguments)
        return runner.alternatives(item, options, part, count, before)

    def stream(self, inputs: Any = None, /, **arguments: Any) -> Generator[str, None, None]:
        """As `pieces`, but only the text; joined, it is the new text of the answer."""
        return texts_of(self.pieces(inputs, **arguments))

    async def astream(self, inputs: Any = None, /, **arguments: Any) -> AsyncGenerator[str]:
        """As `stream`, for ``async for``; leaving the loop early stops the generation.

        Python closes an abandoned generator at garbage collection. To stop immediately, close it:
        ``async with contextlib.aclosing(pipe.astream(...)) as text``.
        """
        from nlplug.async_iterators import in_thread, iterate_in_thread

        # In a thread, because the first call loads the model.
        stream = await in_thread(partial(self.stream, inputs, **arguments))
        async with iterate_in_thread(stream) as texts:
            async for text in texts:
                yield text

    predict = transform = __call__
    """As calling the pipeline, under the names of scikit-learn."""

    def _streamed(
        self, inputs: Any, arguments: Mapping[str, Any]
    ) -> tuple[TaskInput, TaskOptions, StreamingRunner]:
        """One input, the options, and the runner; see `pieces` for the errors."""
        if not isinstance(self._runner, StreamingRunner):
            raise OptionError(
                f"The answers of the task {self.definition.name!r} cannot be streamed.",
                hint="Call the pipeline, or use its map() for many inputs.",
            )
        return *self._one(inputs, arguments), self._runner

    def _one(self, inputs: Any, arguments: Mapping[str, Any]) -> tuple[TaskInput, TaskOptions]:
        fields, options, _ = self._split(arguments)
        return self._item(self.definition.wrap(inputs), fields), options

    def _split(
        self, arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], TaskOptions, Callable[..., Any]]:
        """Fields of the input, all options, and `Task.shape` for those given and not off."""
        task = self.definition
        plain = plain_arguments(arguments, task.Input.model_fields)
        fields, given = split_arguments(task, task.adapt(plain))
        off = {name for name, value in given.items() if value is False}
        names = (self._model_defaults | given.keys()) - off
        shape = partial(task.shape, given=names, preset=self._preset - off)
        return fields, self._options(given), shape

    def _gather(self, inputs: Iterable[Any], arguments: Mapping[str, Any]) -> list[Any]:
        return list(self.map(inputs, **arguments))

    def _answers(
        self, items: Iterable[TaskInput], options: TaskOptions, *, numbered: bool = False
    ) -> Answers:
        found = ForeignTexts()
        watched = self._guard.watched(items, options, found, numbered=numbered)
        answers = self._runner.map(watched, options)
        answers.foreign, answers.check = found, partial(check_answer, self.definition)
        return answers

    def _all(self, items: list[TaskInput], options: TaskOptions) -> list[Any]:
        answers = self._answers(items, options, numbered=len(items) > 1)
        found = list(answers)
        answers.warn()
        return found

    def _placed(self, number: int, value: Any, fields: Mapping[str, Any]) -> TaskInput:
        with placed(f"Input {number}"):
            return self._item(value, fields)

    def _item(self, value: Any, fields: Mapping[str, Any]) -> TaskInput:
        filled = with_fields(self.definition, value, fields)
        return make_input(self.definition, filled, may_be_blank=self._rules.may_be_blank)

    def _stream(
        self,
        inputs: IndexedInputs | Iterable[Any],
        fields: Mapping[str, Any],
        options: TaskOptions,
        shape: Callable[..., Any],
    ) -> Generator[Any, None, None]:
        rows = known_columns(self.definition, items_of(inputs), fields)
        items = (self._placed(number, value, fields) for number, value in enumerate(rows))
        answers = self._answers(items, options, numbered=True)
        lists = self._rules.stream_lists
        try:
            for answer in answers:
                found = shaped([answer], shape, single=lists)
                yield found if lists else found[0]
        finally:
            answers.warn()
