"""The language guard: texts in a language that the model does not know are not answered silently.

A model answers any text, and its scores are high even for a text without known words. The guard
compares the language of each text (`nlplug.text.language`) with the languages of the model, and
looks for letters that the vocabulary of the model does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nlplug.errors import ForeignTextError, MissingExtra
from nlplug.task import TaskOptions, chinese
from nlplug.text.foreign import HINT, UNKNOWN, ForeignTexts
from nlplug.text.language import (
    PACKAGE,
    foreign_language,
    is_available,
    known_languages,
    sample_of,
)
from nlplug.validation import make_options

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.tokenizer import Tokenizer
    from nlplug.task import Task, TaskInput

_UNKNOWN_SHARE = 0.4
_FEWEST_LETTERS = 2
_OTHER_LETTERS = 0.5
"""Share of letters outside ASCII from which the vocabulary is inspected."""


class LanguageOptions(TaskOptions):
    """The option of tasks whose models know some languages only."""

    on_foreign: Literal["warn", "error", "ignore"] = Field(
        default="warn",
        title="Foreign texts",
        description="What to do with texts in a language that the model does not know. warn: "
        "answer them with a warning; error: refuse them; ignore: do not check.",
        json_schema_extra=chinese(
            "外语文本",
            "如何处理模型不支持的语言的文本。warn：给出答案并警告；error：拒绝；ignore：不检查。",
            advanced=True,
        ),
    )


class LanguageGuard:
    """Compares the languages of texts with those of one model; safe to use from several threads.

    Args:
        task: The task.
        bundle: The model.
    """

    def __init__(self, task: Task, bundle: Bundle) -> None:
        self._task = task
        self._bundle = bundle

    def watched(
        self,
        inputs: Iterable[TaskInput],
        options: TaskOptions,
        found: ForeignTexts,
        *,
        numbered: bool = True,
    ) -> Iterator[TaskInput]:
        """The inputs unchanged; foreign ones are counted in ``found``.

        Args:
            inputs: The inputs.
            options: The options of the call.
            found: Receives the counts.
            numbered: Whether an error names the input by its number.

        Raises:
            ForeignTextError: An input is foreign, and ``on_foreign`` is ``error``.
            MissingExtra: ``on_foreign`` is ``error``, and py3langid is not installed.
        """
        if not isinstance(options, LanguageOptions) or options.on_foreign == "ignore":
            yield from inputs
            return
        refuse = options.on_foreign == "error"
        known = tuple(self._task.languages(self._bundle, options))
        found.known = known
        if refuse and known_languages(known) and not is_available():
            raise MissingExtra(
                f"on_foreign is 'error', and the package {PACKAGE!r} that tells languages apart "
                "is not installed.",
                hint=f"pip install {PACKAGE}",
            )
        for number, item in enumerate(inputs):
            found.total += 1
            language = self._foreign(item, known)
            if language is not None:
                if refuse:
                    place = f"Input {number}" if numbered else ""
                    raise ForeignTextError(
                        str(ForeignTexts(known, 1, Counter([language]))),
                        hint=HINT,
                        place=place,
                    )
                found.found[language] += 1
            yield item

    def check(self, inputs: Sequence[TaskInput], options: TaskOptions) -> ForeignTexts:
        """The foreign texts among some inputs; raises as `watched` does."""
        found = ForeignTexts()
        for _ in self.watched(inputs, options, found, numbered=len(inputs) > 1):
            pass
        return found

    def check_request(self, inputs: Sequence[TaskInput], given: Mapping[str, Any]) -> ForeignTexts:
        """As `check`, with the options of one call over the defaults of the model."""
        defaults = self._task.default_options(self._bundle)
        known = {k: v for k, v in defaults.items() if k in self._task.Options.model_fields}
        return self.check(inputs, make_options(self._task, {**known, **given}))

    def _foreign(self, item: TaskInput, known: Sequence[str]) -> str | None:
        for text in self._task.texts(item):
            language = foreign_language(text, known)
            if language is None and self._is_unknown(text):
                language = UNKNOWN
            if language is not None:
                return language
        return None

    def _is_unknown(self, text: str) -> bool:
        """Whether most tokens of the text are missing from the vocabulary."""
        if text.isascii():
            return False
        sample = sample_of(text)
        if not any(mark.isascii() and mark.isalnum() for mark in sample):
            ids = self._tokenizer.ids(sample)
            if ids.count(self._tokenizer.unk_token_id) == len(ids):
                return True  # also a text of emoji, or of characters that the tokenizer drops
        letters = [letter for letter in sample if letter.isalpha()]
        others = sum(not letter.isascii() for letter in letters)
        if others < max(_FEWEST_LETTERS, len(letters) * _OTHER_LETTERS):
            return False
        words = "".join(mark if mark.isalpha() else " " for mark in sample)
        ids = self._tokenizer.ids(words)
        unknown = ids.count(self._tokenizer.unk_token_id)
        return 0 < unknown >= len(ids) * _UNKNOWN_SHARE

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from nlplug.runtime.tokenizer import load_tokenizer

        return load_tokenizer(self._bundle, offsets=False)
