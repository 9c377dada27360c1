"""Several models of one task as one: each input is answered by a model that knows its language.

``pipeline("sentiment", "auto")`` takes the installed models of the task that state their languages.
The first one, which is the task's default, also answers what no model knows; the language guard
warns of such texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, cast

from nlplug.errors import NlplugError
from nlplug.models.resolve import open_embedded, resolve
from nlplug.runtime.answers import Answers, ShortTexts, TextPiece, raise_if_cancelled
from nlplug.task import Runner, StreamingRunner
from nlplug.text.language import foreign_language, script_share
from nlplug.validation import make_options, no_model, options_for

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.plugins import PluginHost
    from nlplug.task import Task, TaskInput, TaskOptions

AUTO = "auto"
"""The name of a model that stands for the installed models of a task."""
_CHUNK = 256
"""Number of inputs that are distributed among the models at a time."""


def installed_models(task: Task, host: PluginHost) -> list[Bundle]:
    """The models behind ``auto``: those that packages embed, and that add a language.

    The default model of the task comes first, the others follow by name.

    Raises:
        ModelNotFound: No package embeds a model of the task.
        BundleError: A package is damaged, or not what ``NLPLUG_VERIFY`` asks for.
    """
    default = task.default_model
    specs = sorted(host.models(task.name), key=lambda spec: (spec.name != default, spec.name))
    options = make_options(task, {})
    found: list[Bundle] = []
    known: set[str] = set()
    for spec in specs:
        if spec.path is None:
            continue
        bundle = resolve(open_embedded(spec.name, spec.path))
        languages = set(task.languages(bundle, options))
        if not found or languages - known:
            found.append(bundle)
            known |= languages
    if not found:
        raise no_model(task)
    return found


def bundles_of(
    task: Task, model: str | Path | Bundle, host: PluginHost, **how: Any
) -> list[Bundle]:
    """The models behind a name: those of ``auto``, else the one that `resolve` finds.

    Args:
        task: The task.
        model: ``auto``, or see `resolve`.
        host: See `resolve`.
        **how: Further arguments of `resolve`.

    Raises:
        NlplugError: As `installed_models` and `resolve` do.
    """
    if model == AUTO:
        return installed_models(task, host)
    return [resolve(model, host=host, **how)]


class ModelChoice:
    """Chooses the model for an input by the language of its texts; usable from several threads.

    Args:
        task: The task.
        bundles: The models; the first one is for inputs in a language that none knows.
    """

    def __init__(self, task: Task, bundles: Sequence[Bundle]) -> None:
        self._task = task
        self.bundles = tuple(bundles)

    def place(self, item: TaskInput, options: TaskOptions) -> int:
        """The place of the model in ``bundles``.

        Models whose scripts the texts are written in come first. Among models of one script the
        first one is chosen to which no text is foreign.
        """
        if len(self.bundles) == 1:
            return 0
        texts = self._task.texts(item)
        known = [tuple(self._task.languages(bundle, options)) for bundle in self.bundles]
        shares = [script_share(" ".join(texts), languages) for languages in known]
        fit = [place for place, share in enumerate(shares) if share == max(shares)]
        if len(fit) == 1:
            return fit[0]
        return next((place for place in fit if _is_known(texts, known[place])), fit[0])

    def languages(self, options: TaskOptions) -> tuple[str, ...]:
        """The languages of all models, each once."""
        codes = (code for each in self.bundles for code in self._task.languages(each, options))
        return tuple(dict.fromkeys(codes))


def _is_known(texts: Iterable[str], languages: Sequence[str]) -> bool:
    return all(foreign_language(text, languages) is None for text in texts)


class ByLanguage(Runner):
    """Answers each input with the model that `ModelChoice` chooses.

    Args:
        task: The task.
        choice: The models.
        load: Makes the runner of a model.

    Attributes:
        answered: Number of inputs by the name of the model that answered them.
    """

    def __init__(self, task: Task, choice: ModelChoice, load: Callable[[Bundle], Runner]) -> None:
        self._task = task
        self._choice = choice
        self._runners = [load(bundle) for bundle in choice.bundles]
        self._lock = Lock()
        self.answered: Counter[str] = Counter()

    @property
    def device(self) -> str:
        return self._runners[0].device

    @property
    def concurrency(self) -> int:
        return min(runner.concurrency for runner in self._runners)

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        short = ShortTexts()
        steps = partial(self._steps, inputs, options, short)
        return _Joined(steps, short)

    def open(self) -> None:
        for runner in self._runners:
            runner.open()

    def close(self) -> None:
        for runner in self._runners:
            runner.close()

    def _steps(
        self,
        inputs: Iterable[TaskInput],
        options: TaskOptions,
        short: ShortTexts,
        part: Callable[[Answers], Answers],
        stop: Event,
    ) -> Generator[Any, None, None]:
        iterator = iter(inputs)
        failed: Exception | None = None
        while failed is None:
            chunk, failed = _taken(iterator)
            if not chunk:
                break
            places = [self._choice.place(item, options) for item in chunk]
            found: dict[int, tuple[Any, ShortTexts]] = {}
            errors: dict[int, Exception] = {}
            for place in sorted(set(places)):
                raise_if_cancelled(stop)
                numbers = [number for number, each in enumerate(places) if each == place]
                items = [chunk[number] for number in numbers]
                answers = part(self._runners[place].map(items, self._of(place, options)))
                done = 0
                try:
                    for answer in answers:
                        found[numbers[done]] = answer, answers.short.take()
                        done += 1
                except NlplugError as error:
                    errors[numbers[done]] = error
                self._count(place, done)
            for number in range(len(chunk)):
                if number in errors:
                    raise errors[number]
                answer, ended = found[number]
                short.found += ended.found
                yield answer
        if failed is not None:
            raise failed

    def _of(self, place: int, options: TaskOptions) -> TaskOptions:
        """The options of a call over the defaults of a model."""
        given = {name: getattr(options, name) for name in options.model_fields_set}
        return options_for(self._task, self._choice.bundles[place], given)

    def _count(self, place: int, number: int) -> None:
        with self._lock:
            self.answered[self._choice.bundles[place].name] += number


class StreamingByLanguage(ByLanguage, StreamingRunner):
    """As `ByLanguage`, for tasks that generate text."""

    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        place, runner = self._runner(item, options)
        self._count(place, 1)
        return runner.stream(item, self._of(place, options))

    def alternatives(
        self,
        item: TaskInput,
        options: TaskOptions,
        part: int,
        count: int,
        before: str | None = None,
    ) -> list[str]:
        place, runner = self._runner(item, options)
        return runner.alternatives(item, self._of(place, options), part, count, before)

    def _runner(self, item: TaskInput, options: TaskOptions) -> tuple[int, StreamingRunner]:
        place = self._choice.place(item, options)
        return place, cast("StreamingRunner", self._runners[place])  # as of every model of the task


class _Joined(Answers):
    """Answers that other answers are parts of, one at a time; cancelling them cancels the part."""

    def __init__(
        self,
        steps: Callable[[Callable[[Answers], Answers], Event], Generator[Any, None, None]],
        short: ShortTexts,
    ) -> None:
        self._part: Answers | None = None
        super().__init__(lambda stop: steps(self._begin, stop), short=short)

    def cancel(self) -> None:
        super().cancel()
        if (part := self._part) is not None:
            part.cancel()

    def _begin(self, part: Answers) -> Answers:
        self._part = part
        if self._stop.is_set():  # set before the part was there
            part.cancel()
        return part


def _taken(iterator: Any) -> tuple[list[TaskInput], Exception | None]:
    """The next inputs, and the error that the iterator ended with: what came before is answered."""
    chunk: list[TaskInput] = []
    try:
        for item in islice(iterator, _CHUNK):
            chunk.append(item)
    except NlplugError as error:
        return chunk, error
    return chunk, None
