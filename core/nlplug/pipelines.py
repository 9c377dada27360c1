"""``pipeline(...)``: a task bound to a model, called like a function."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nlplug.async_iterators import available_groups, iterate_in_thread
from nlplug.errors import OptionError, UnknownTask
from nlplug.inputs import first_field, placed, read_inputs, spread
from nlplug.models.bundle import Bundle
from nlplug.models.resolve import resolve
from nlplug.plugins import PluginHost
from nlplug.runtime.device import parse_device
from nlplug.settings import load_settings
from nlplug.task import StreamingRunner
from nlplug.validation import make_input, make_options, split_arguments

if TYPE_CHECKING:
    from nlplug.runtime.answers import Answers, TextPiece
    from nlplug.task import Task, TaskInput, TaskOptions

# The order in which a precision is chosen when the caller leaves it open.
_PREFERRED = {
    "cpu": ("int8", "fp32", "fp16", "uint8", "q4"),
    "cuda": ("fp16", "fp32", "int8"),
}


def pipeline(
    task: str | None = None,
    model: str | Path | Bundle | None = None,
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    revision: str | None = None,
    host: PluginHost | None = None,
    **options: Any,
) -> Pipeline:
    """Bind a task to a model.

    Args:
        task: Name of an installed task, or the Hub's name for it; None to take the model's own.
        model: A folder, a packaged or cached model's name, or a Hub id; None for the embedded one.
        precision: ``fp32``, ``fp16``, ``int8`` … as the bundle has them; ``auto`` takes int8 on the
            CPU where the export's gate measured it, fp16 on a GPU where present, else fp32.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None for the CPUs that the process may use.
        revision: Branch, tag or commit of a Hub model.
        host: The plugins to look in; None discovers the installed ones.
        **options: Defaults for the task's options, such as ``top_k=3``.

    Raises:
        UnknownTask: No such task.
        PluginError: The plugin that offers the task is broken.
        ModelNotFound: No such model.
        BundleError: The model cannot be used, or is not one for this task.
        OptionError: An option that the task does not have, or out of bounds.
    """
    host = host or PluginHost.discover()
    wanted = None if precision == "auto" else precision
    if task is None:
        if model is None:
            raise UnknownTask(
                "Neither a task nor a model was given.",
                hint=f"Name a task: {', '.join(host.task_names()) or 'none is installed'}.",
            )
        bundle = resolve(model, host=host, precision=wanted, revision=revision)
        found = host.task(_task_of(bundle))
    else:
        found = host.task(task)
        source = model if model is not None else found.default_model
        if source is None:
            raise OptionError(
                f"The task {found.name!r} has no model of its own.",
                hint="Pass model=: a folder, a packaged model's name, or a Hub id.",
            )
        bundle = resolve(source, host=host, precision=wanted, revision=revision)
    return Pipeline(
        found, bundle, precision=precision, device=device, threads=threads, options=options
    )


def _task_of(bundle: Bundle) -> str:
    """The task that the manifest names; the Hub's own name where nlplug did not make the model."""
    manifest = bundle.manifest
    name = (manifest.task or manifest.hub_task) if manifest else ""
    if not name:
        raise UnknownTask(
            f"The model {bundle.name!r} does not say which task it is for.",
            hint="Name the task: pipeline('sentiment', model=…).",
        )
    return name


class Pipeline:
    """A task bound to a model; safe to call from several threads.

    Args:
        task: The task.
        bundle: The model.
        precision: One that the bundle has, or ``auto``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None for ``NLPLUG_THREADS`` or the CPUs that the process may use.
        options: Defaults for the task's options; they win over those that the bundle brings.

    Raises:
        BundleError: The bundle is not one for this task.
        OptionError: The bundle lacks the precision, or an option is wrong.
    """

    def __init__(
        self,
        task: Task,
        bundle: Bundle,
        *,
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.task = task
        self.bundle = bundle
        # Another task may run the same model, so names that it lacks are not an error.
        known = {
            k: v for k, v in task.default_options(bundle).items() if k in task.Options.model_fields
        }
        self._defaults = known | dict(options or {})
        self._preset = frozenset(options or {})
        # For the shape of a value it is as if each call gave what the model brings.
        self._brought = frozenset(known) - self._preset
        make_options(task, self._defaults)
        threads = threads if threads is not None else load_settings().threads
        self.precision = precision if precision != "auto" else _choose(bundle, device)
        self._runner = task.load(bundle, precision=self.precision, device=device, threads=threads)

    @property
    def device(self) -> str:
        """Where the model really runs, whatever was asked for: ``cpu`` or ``cuda:N``."""
        return self._runner.device

    @property
    def defaults(self) -> dict[str, Any]:
        """Options that hold where a call gives none: the model's own, and those that the pipeline
        was made with; the task's defaults are not among them."""
        return dict(self._defaults)

    def __call__(self, inputs: Any = None, /, **arguments: Any) -> Any:
        """Answer one input, a list of inputs, or a stream of them.

        Args:
            inputs: A string or a dict for one input; a list for many; a `Path` for a file
                (``.txt``, ``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``, also ``.gz``); any other
                iterable for a stream. None where keyword arguments give the input's fields.
            **arguments: Fields of the input, and options. A field may be a list, for as many
                inputs; what is given once beside it (one question, many contexts) is in all.

        Returns:
            The answer to one input; a list of answers to a list; an iterator for a file or stream.

        Raises:
            InputError: An input is malformed.
            OptionError: An option is unknown or out of bounds.
            DataError: A file cannot be read; the message names the line.
        """
        fields, options, given = self._split(arguments)
        inputs = self.task.wrap(inputs)
        if inputs is None or isinstance(inputs, str):
            inputs, fields = spread(self.task, inputs, fields)
        if isinstance(inputs, Path):
            rows = (one.values for one in read_inputs(self.task, inputs, fields))
            return self._stream(rows, fields, options, given)
        if isinstance(inputs, list | tuple):
            items = [self._placed(number, value, fields) for number, value in enumerate(inputs)]
            return self._shape(list(self._runner.map(items, options)), given, single=False)
        if isinstance(inputs, Iterable) and not isinstance(
            inputs, str | bytes | Mapping | self.task.Input
        ):
            return self._stream(inputs, fields, options, given)
        item = self._item(inputs, fields)
        return self._shape(list(self._runner.map([item], options)), given, single=True)

    def map(self, inputs: Iterable[Any], /, **arguments: Any) -> Iterator[Any]:
        """Answer a stream of inputs, in order and in bounded memory.

        Args:
            inputs: Strings, dicts or the task's Inputs, from a list, generator, file reader, …
            **arguments: Options, and fields that are the same for all inputs.

        Raises:
            OptionError: At once, for a wrong option. Errors of inputs come where they stand.
        """
        return self._stream(inputs, *self._split(arguments))

    def answers(self, inputs: Iterable[Any], /, **options: Any) -> Answers:
        """As `map`, each answer as the task decoded it, before `Task.shape` suits it to a call.

        For servers and user interfaces, which want one shape whatever options were given.
        ``cancel()`` of the result ends the work from any thread.
        """
        parsed = make_options(self.task, self._defaults | options)
        return self._runner.map((make_input(self.task, value) for value in inputs), parsed)

    async def acall(self, inputs: Any = None, /, **arguments: Any) -> Any:
        """As calling, without blocking the event loop. Streams are gathered into a list."""
        if isinstance(inputs, AsyncIterable):
            return [answer async for answer in self.amap(inputs, **arguments)]

        def work() -> Any:
            answer = self(inputs, **arguments)
            return list(answer) if isinstance(answer, Iterator) else answer

        return await asyncio.to_thread(work)

    async def amap(
        self, inputs: Iterable[Any] | AsyncIterable[Any], /, **arguments: Any
    ) -> AsyncIterator[Any]:
        """As `map`, for ``async for``; takes sync and async iterables.

        Inputs of an async iterable are answered in groups of what has been read so far, so a slow
        source gets its answers early.
        """
        if isinstance(inputs, AsyncIterable):
            async for group in available_groups(inputs):
                work = partial(self._gather, group, arguments)
                for answer in await asyncio.to_thread(work):
                    yield answer
            return
        answers = self._stream(inputs, *self._split(arguments))
        async with iterate_in_thread(answers) as answered:
            async for answer in answered:
                yield answer

    def pieces(self, inputs: Any = None, /, **arguments: Any) -> Generator[TextPiece, None, None]:
        """Answer one input, its text piece by piece as the model makes it.

        Closing the generator ends the decoding; so does dropping it.

        Args:
            inputs: One input, as for a call; None where keyword arguments give its fields.
            **arguments: Fields of the input, and options.

        Raises:
            OptionError: At once: the task's answers come whole, or an option is wrong.
            InputError: The input is malformed.
        """
        fields, options, _ = self._split(arguments)
        if not isinstance(self._runner, StreamingRunner):
            raise OptionError(
                f"The answers of the task {self.task.name!r} come whole and cannot be streamed.",
                hint="Call the pipeline, or use its map() for many inputs.",
            )
        return self._runner.stream(self._item(self.task.wrap(inputs), fields), options)

    def stream(self, inputs: Any = None, /, **arguments: Any) -> Generator[str, None, None]:
        """As `pieces`, the text alone; joined it is the new text of the answer."""
        return _texts(self.pieces(inputs, **arguments))

    async def astream(self, inputs: Any = None, /, **arguments: Any) -> AsyncGenerator[str]:
        """As `stream`, for ``async for``; leaving the loop early ends the decoding.

        Python closes a generator that a loop was left from when it is collected; to have it end
        at once, close it: ``async with contextlib.aclosing(pipe.astream(...)) as text``.
        """
        # In a thread, for the first call loads the model.
        stream = await asyncio.to_thread(partial(self.stream, inputs, **arguments))
        async with iterate_in_thread(stream) as texts:
            async for text in texts:
                yield text

    def open(self) -> None:
        """Build the sessions now and not with the first answers, as a server does to be ready.

        Raises:
            BundleError: ONNX Runtime cannot load the graph.
        """
        self._runner.open()

    def close(self) -> None:
        """Free the model and the worker threads."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"Pipeline(task={self.task.name!r}, model={self.bundle.name!r}, "
            f"precision={self.precision!r}, device={self.device!r})"
        )

    def _split(
        self, arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Any], TaskOptions, frozenset[str]]:
        """Fields of the input, all options, and the names of those given or the model's own."""
        fields, given = split_arguments(self.task, arguments)
        options = make_options(self.task, self._defaults | given)
        return fields, options, self._brought | given.keys()

    def _gather(self, inputs: Iterable[Any], arguments: Mapping[str, Any]) -> list[Any]:
        return list(self.map(inputs, **arguments))

    def _shape(self, answers: list[Any], given: frozenset[str], *, single: bool) -> Any:
        return self.task.shape(answers, single=single, given=given, preset=self._preset)

    def _placed(self, number: int, value: Any, fields: Mapping[str, Any]) -> TaskInput:
        with placed(f"Input {number}"):
            return self._item(value, fields)

    def _item(self, value: Any, fields: Mapping[str, Any]) -> TaskInput:
        if value is None:
            value = fields
        elif fields:
            if isinstance(value, str):  # it fills the first field that is not given for all
                value = {first_field(self.task, fields): value}
            elif not isinstance(value, Mapping):
                value = make_input(self.task, value).model_dump(exclude_unset=True)
            value = {**value, **fields}
        return make_input(self.task, value)

    def _stream(
        self,
        inputs: Iterable[Any],
        fields: Mapping[str, Any],
        options: TaskOptions,
        given: frozenset[str],
    ) -> Generator[Any, None, None]:
        items = (self._placed(number, value, fields) for number, value in enumerate(inputs))
        for answer in self._runner.map(items, options):
            yield self._shape([answer], given, single=False)[0]


def _texts(pieces: Generator[TextPiece, None, None]) -> Generator[str, None, None]:
    """The texts of some pieces; what ends this ends them."""
    with closing(pieces):
        for piece in pieces:
            if piece.text:
                yield piece.text


def _choose(bundle: Bundle, device: str) -> str:
    """The fastest precision that can be trusted, by name.

    A quantized graph whose loss nobody measured (one from the Hub, say) is taken only where there
    is nothing else: such graphs are known to lose many points in silence.
    """
    kind = parse_device(device).kind
    names = [name for name in _PREFERRED[kind] if name in bundle.precisions]
    trusted = [name for name in names if name.startswith("fp") or _measured(bundle, name)]
    return next(iter([*trusted, *names, *bundle.precisions]), "fp32")


def _measured(bundle: Bundle, precision: str) -> bool:
    """Whether an export's gate compared this precision with PyTorch."""
    record = bundle.manifest.precisions.get(precision) if bundle.manifest else None
    return record is not None and bool(record.parity or record.metrics)
