"""The warnings about the answers of one call, which Python and HTTP give too, for the pages."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from nlplug.heard_warnings import heard
from nlplug.runtime.answers import Answers, ShortTexts
from nlplug.text.foreign import ForeignTexts
from nlplug_webui.messages import foreign_text

if TYPE_CHECKING:
    from nlplug.inputs import InputRow
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

Step = TypeVar("Step")

# Pattern of a message → the same in Chinese; {0} and on are the groups.
_CHINESE: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"^(A text|.{1,20} texts) ended at max_new_tokens \((\d+)\)\. "),
        "{0}在达到 max_new_tokens（{1}）时结束，可能不完整。如需完整的文本，请增大“最多新词元数”。",
    ),
    (
        re.compile(
            r"^(A text|.{1,20} texts) ended at the model's context of (\d+) tokens, before the "
            r"limit of (\d+) new ones\. "
        ),
        "{0}在达到模型的上下文长度（{1} 个词元）时结束，未达到上限（{2} 个新词元）。"
        "请缩短提示，或减小“最多新词元数”。",
    ),
    (
        re.compile(r"^(A text|.{1,20} texts) ended at the model's context of (\d+) tokens\. "),
        "{0}在达到模型的上下文长度（{1} 个词元）时结束，可能不完整。请缩短输入的文本。",
    ),
    (
        re.compile(r"^The target (.{1,200}) has no token and is left out\.$"),
        "目标 {0} 没有对应的词元，已忽略。",
    ),
    (
        re.compile(r"^The target (.{1,200}) is not a single token; (.{1,200}) is used instead\.$"),
        "目标 {0} 不是单个词元，改用 {1}。",
    ),
)


class Watched:
    """A pipeline, and what is to know of its answers to the rows of one file.

    Where the model cannot take a row, those beside it are read again, so what is known of a row is
    counted when it has its answer.

    Args:
        pipeline: The pipeline.
        options: Options of the task.

    Attributes:
        foreign: The rows so far in languages that the model does not know.
    """

    def __init__(self, pipeline: Pipeline, options: Mapping[str, Any]) -> None:
        self.foreign = ForeignTexts()
        self._short = ShortTexts()
        self._heard: list[str] = []
        self._pipeline = pipeline
        self._asked = options
        # With "error", rows in other languages have no answer.
        self._counts = options.get("on_foreign") != "error"
        task = pipeline.definition
        self._options = unwatched(task, options) if self._counts else options
        self._answers: Answers | None = None

    def answers(self, rows: Iterable[Any]) -> Answers:
        """The answers to some rows."""
        self._answers = self._pipeline.answers(rows, **self._options)
        return self._answers

    def counted(
        self, answered: Generator[tuple[InputRow, Any], None, None]
    ) -> Generator[tuple[InputRow, Any], None, None]:
        """The rows with their answers, unchanged."""
        for row, answer in hearing(answered, self._heard):
            if self._answers is not None:
                self._short.found += self._answers.short.take().found
            if self._counts:
                self.foreign.add(self._pipeline.foreign([row.values], **self._asked))
            yield row, answer

    def messages(self) -> list[str]:
        """What else is to know of them: one line for each kind."""
        return [*self._heard, *self._short.messages()]


def hearing(steps: Generator[Step, None, None], messages: list[str]) -> Generator[Step, None, None]:
    """The steps; what is warned of while one is made is added to ``messages``, once.

    Closing this generator closes theirs. Any thread may ask for the next step.
    """
    with closing(steps):
        while True:
            with heard(messages):
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step


def unwatched(task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call whose foreign texts are counted by `Pipeline.foreign`."""
    known = "on_foreign" in task.Options.model_fields
    return {**options, "on_foreign": "ignore"} if known else dict(options)


def notice_texts(messages: Iterable[str], language: str) -> list[str]:
    """The messages in a language; in Chinese, those without a translation stay English."""
    return [_in_chinese(message) if language == "zh" else message for message in messages]


def all_texts(foreign: ForeignTexts, messages: Iterable[str], language: str) -> list[str]:
    """The notice about foreign texts, if there is one, and the messages."""
    known = foreign_text(foreign, language)
    return [*([known] if known else []), *notice_texts(messages, language)]


def notices_html(messages: Iterable[str], language: str) -> str:
    """The messages as lines above an answer; empty if there are none."""
    return "".join(
        f'<p class="np-note np-notice" role="status">{escape(text)}</p>'
        for text in notice_texts(messages, language)
    )


def _in_chinese(message: str) -> str:
    for pattern, text in _CHINESE:
        if found := pattern.search(message):
            first, *others = found.groups()
            subject = "文本" if first == "A text" else first.replace(" texts", " 个文本")
            return text.format(subject, *others)
    return message
