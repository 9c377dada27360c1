"""Answers the form of a page: the whole answer, or the text while it is generated."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError
from nlplug.explanations.options import ExplanationOptions
from nlplug.explanations.result import is_explained
from nlplug.heard_warnings import heard
from nlplug.server.containment import contained
from nlplug.server.pool import AUTO, Lease, ModelPool
from nlplug.task import Display, Task
from nlplug_webui.fields import Control, for_model, input_values, option_values
from nlplug_webui.first_model import lacks_model, message_html
from nlplug_webui.forms import control_id
from nlplug_webui.messages import error_html, foreign_html
from nlplug_webui.notices import hearing, notices_html, unwatched
from nlplug_webui.render import MAX_CHARACTERS, Shown, growing_html, show, written_frame
from nlplug_webui.result import ResultCard
from nlplug_webui.runs import Ending, Run, Runs
from nlplug_webui.texts import duration, say
from nlplug_webui.why import why_button_html, why_html
from nlplug_webui.workshop.record import record_html
from nlplug_webui.written import WrittenText, call_html, detected_html, kept_note_html

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.runtime.answers import TextPiece

# Frequent updates at first, when the reader waits for each word; then fewer, for slow browsers.
_FIRST_SECONDS = 2.0
_UPDATE_SECONDS = (0.1, 0.25)


@dataclass(frozen=True)
class PageRequest:
    """A request of a visitor.

    Attributes:
        visitor: Id of the open page.
        language: Language of the texts around the answer.
        model, precision: The chosen model and precision.
        synced: Options of the model that the form showed as defaults.
        values: The values of the form: inputs, then options.
    """

    visitor: str
    language: str
    model: str
    precision: str
    synced: Mapping[str, Any]
    values: Sequence[Any]


@dataclass
class _Growing:
    """A text that is being generated."""

    started: float
    text: str = ""
    written: WrittenText = field(default_factory=WrittenText)
    tokens: int = 0
    first: float = 0.0
    finish: str | None = None
    shown: float = field(default=0.0)

    def take(self, piece: TextPiece) -> None:
        if piece.tokens and not self.tokens:
            self.first = time.perf_counter() - self.started
        self.text += piece.text
        self.written.take(piece)
        self.tokens = piece.tokens
        self.finish = piece.finish

    def due(self) -> bool:
        """Whether to update the page now; not for each piece, because there may be many."""
        now = time.perf_counter()
        if now - self.shown < _UPDATE_SECONDS[now - self.started > _FIRST_SECONDS]:
            return False
        self.shown = now
        return True


class Answering:
    """Answers the questions of one task's page.

    Args:
        task: The task.
        pool: The loaded models.
        inputs, options: The controls of the form.
        result: The card that shows the answers.
    """

    def __init__(
        self,
        task: Task,
        pool: ModelPool,
        inputs: Sequence[Control],
        options: Sequence[Control],
        result: ResultCard,
    ) -> None:
        self.runs = Runs()
        self._task = task
        self._pool = pool
        self._inputs = inputs
        self._options = options
        self._result = result

    def whole(self, question: PageRequest) -> list[Any]:
        """The values of the result card for the answer or the error."""
        try:
            item, options = self._read(question)
            with contained(), self._lease(question) as lease:
                return self._answer(question, lease, item, options)
        except Exception as error:
            return self._refused(error, question)

    def growing(self, question: PageRequest, empty: str) -> Generator[list[Any], None, None]:
        """Yield the values of the result card while the text is generated; last: the whole answer.

        Closing the iterator ends the decoding, and so does an `Ending` of the visitor's run.

        Args:
            question: The request.
            empty: HTML of the empty card.
        """
        run = self.runs.start(question.visitor)
        try:
            yield from self._grown(question, run)
        except Exception as error:
            yield self._refused(error, question)
        finally:
            self.runs.done(question.visitor, run)
        if run.ending is Ending.CLEARED:
            yield self._result.nothing(empty)

    def _refused(self, error: Exception, question: PageRequest) -> list[Any]:
        """The error; without a model, no other error matters yet."""
        language = question.language
        if not question.model and lacks_model(self._task, self._pool):
            return self._result.message(message_html(self._task, self._pool, language))
        return self._result.message(error_html(error, language))

    def _grown(self, question: PageRequest, run: Run) -> Iterator[list[Any]]:
        item, options = self._read(question)
        before = self._before(item, options)
        yield self._result.message(growing_html("", question.language, before=before))
        with self._lease(question) as lease:
            growing = _Growing(time.perf_counter())
            notices: list[str] = []
            with heard(notices):
                foreign, pieces = self._pieces(question, lease.pipeline, item, options)
            if pieces is None:
                yield self._answer(question, lease, item, options)
                return
            with closing(hearing(pieces, notices)) as pieces:
                for piece in pieces:
                    growing.take(piece)
                    if run.ending is not None:
                        break
                    if growing.due():
                        html = growing_html(growing.text, question.language, before=before)
                        yield self._result.message(html)
            if run.ending in (None, Ending.STOPPED):
                facts = self._generation_facts(question, growing, run)
                facts += self._facts(question, lease, lease.pipeline.bundle_for(item, options).name)
                yield self._result.answer(
                    self._written(question, growing, lease, item, options, before),
                    facts,
                    foreign
                    + notices_html(notices, question.language)
                    + record_html(self._task, item, growing.text, []),
                )

    def _written(
        self,
        question: PageRequest,
        growing: _Growing,
        lease: Lease,
        item: dict[str, Any],
        options: Mapping[str, Any],
        before: str,
    ) -> Shown:
        """A text with its tokens or sentences, if it is short enough for these."""
        task, language = self._task, question.language
        whole = before + growing.text
        if task.display is not Display.TEXT or not whole or len(whole) > MAX_CHARACTERS:
            return show(task.display, whole, item, language, before=before)
        kept = lease.pipeline.unchanged(item, **options)
        parts = not task.family.continues_input and growing.finish is not None
        html = growing.written.html(language, before=before, parts=parts, kept=kept)
        call = call_html(task, question.model, question.precision, item, options) if parts else ""
        bundle = lease.pipeline.bundle_for(item, options)
        call += detected_html(task, bundle, item, options, language)
        return Shown(written_frame(html, language) + kept_note_html(kept, language) + call)

    def _pieces(
        self, question: PageRequest, pipeline: Pipeline, item: Any, options: Mapping[str, Any]
    ) -> tuple[str, Generator[TextPiece, None, None] | None]:
        """A notice, and the pieces of the answer; None if the options ask for more than one text.

        If an option is invalid, the call for the whole answer raises the error again.
        """
        try:
            found = pipeline.foreign([item], **options)
            options = unwatched(self._task, options)
            if "details" in self._task.Options.model_fields:
                options = {**options, "details": True}  # with the probabilities of the tokens
            return foreign_html(found, question.language), pipeline.pieces(item, **options)
        except OptionError:
            return "", None

    def _answer(
        self, question: PageRequest, lease: Lease, item: Any, options: Mapping[str, Any]
    ) -> list[Any]:
        started = time.perf_counter()
        notices: list[str] = []
        with heard(notices):
            answers = lease.pipeline.answers([item], **options)
            answer = next(answers)
        notices += answers.short.messages()
        seconds = time.perf_counter() - started
        why = self._why(answer, item, question.language)
        if is_explained(answer):
            answer = answer["answer"]
        bundle = lease.pipeline.bundle_for(item, options)
        shown: Shown = show(
            self._task.display,
            self._task.tabular(answer),
            item,
            question.language,
            labels=bundle.labels,
            before=self._before(item, options),
        )
        return self._result.answer(
            replace(shown, tail=shown.tail + why),
            [duration(seconds), *self._facts(question, lease, bundle.name)],
            foreign_html(answers.foreign, question.language)
            + notices_html(notices, question.language)
            + record_html(self._task, item, answer, bundle.labels),
            seconds=seconds,
        )

    def _why(self, answer: Any, item: Mapping[str, Any], language: str) -> str:
        """The explanation of an answer, or the button that asks for it if the task has any."""
        if is_explained(answer):
            return why_html(answer["explanation"], item, language)
        if issubclass(self._task.Options, ExplanationOptions):
            return why_button_html(control_id(f"{self._task.name}:option", "explain"), language)
        return ""

    def _read(self, question: PageRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        """The input and the options of the form.

        Raises:
            InputError: A field cannot be read.
        """
        count = len(self._inputs)
        item = input_values(self._inputs, question.values[:count])
        controls = for_model(self._options, question.synced)
        return item, option_values(controls, question.values[count:])

    def _lease(self, question: PageRequest) -> Any:
        return self._pool.lease(self._task, question.model, question.precision or AUTO)

    def _facts(self, question: PageRequest, lease: Lease, model: str) -> list[str]:
        pipeline = lease.pipeline
        facts = [model, pipeline.precision, pipeline.device]
        if lease.loaded_in:
            spent = duration(lease.loaded_in)
            facts.append(say("loaded_in", question.language, time=spent))
        return facts

    def _generation_facts(self, question: PageRequest, growing: _Growing, run: Run) -> list[str]:
        """Facts about a generated text: time, number of tokens, and why it ended."""
        language = question.language
        seconds = time.perf_counter() - growing.started
        facts = [duration(seconds)]
        if growing.tokens:
            rate = growing.tokens / max(seconds, 1e-9)
            facts.append(say("tokens", language, n=f"{growing.tokens:,}"))
            facts.append(say("token_rate", language, rate=f"{rate:,.0f}"))
            facts.append(say("first_token", language, time=duration(growing.first)))
        if run.ending is Ending.STOPPED:
            facts.append(say("finish_stopped", language))
        elif growing.finish == "length":
            facts.append(say("finish_length", language))
        return facts

    def _before(self, item: Mapping[str, Any], options: Mapping[str, Any]) -> str:
        """The prompt, if the answer continues it and includes it."""
        if not self._task.family.continues_input or not self._value(options, "return_full_text"):
            return ""
        return next((value for value in item.values() if isinstance(value, str)), "")

    def _value(self, given: Mapping[str, Any], name: str) -> Any:
        if name in given:
            return given[name]
        return next((control.default for control in self._options if control.name == name), None)
