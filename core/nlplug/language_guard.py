"""The language guard: texts in a language that the model does not know are not answered silently.

A model answers any text, and its scores are high even for a text without known words. The guard
compares the language of each text (`nlplug.text.language`) with the languages of the model, and
looks for letters that the vocabulary of the model does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from nlplug.errors import ForeignTextError, MissingExtra
from nlplug.runtime.shared import Lazy
from nlplug.task import TaskOptions, chinese
from nlplug.text.foreign import HINT, UNKNOWN, ForeignTexts
from nlplug.text.identifier import PACKAGE
from nlplug.text.language import (
    foreign_language,
    is_available,
    known_languages,
    sample_of,
)
from nlplug.validation import options_for

if TYPE_CHECKING:
    from nlplug.by_language import ModelChoice
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
        choice: The model, or several of which one answers each input.
    """

    def __init__(self, task: Task, choice: ModelChoice) -> None:
        self._task = task
        self._choice = choice
        self._tokenizers = [Lazy(partial(_tokenizer, bundle)) for bundle in choice.bundles]

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The models."""
        return self._choice.bundles

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
        known = self._choice.languages(options)
        found.known = known
        if refuse and known_languages(known) and not is_available():
            raise MissingExtra(
                f"on_foreign is 'error', and the package {PACKAGE!r} that tells languages apart "
                "is not installed.",
                hint=f"pip install {PACKAGE}",
            )
        for number, item in enumerate(inputs):
            found.total += 1
            language = self._foreign(item, options, known)
            if language is not None:
                if refuse:
                    place = f"Input {number}" if numbered else ""
                    raise ForeignTextError(
                        str(ForeignTexts(known, 1, {language: 1})),
                        hint=HINT,
                        place=place,
                    )
                found.found_in(language)
            yield item

    def check(self, inputs: Sequence[TaskInput], options: TaskOptions) -> ForeignTexts:
        """The foreign texts among some inputs; raises as `watched` does."""
        found = ForeignTexts()
        for _ in self.watched(inputs, options, found, numbered=len(inputs) > 1):
            pass
        return found

    def check_request(self, inputs: Sequence[TaskInput], given: Mapping[str, Any]) -> ForeignTexts:
        """As `check`, with the options of one call over the defaults of the model."""
        return self.check(inputs, self._options(given))

    def models_of(self, inputs: Sequence[TaskInput], given: Mapping[str, Any]) -> Counter[str]:
        """Number of inputs of a call by the model that answers them; empty if there is one model.

        Args:
            inputs: The inputs.
            given: The options of the call.
        """
        bundles = self._choice.bundles
        if len(bundles) == 1:
            return Counter()
        options = self._options(given)
        return Counter(bundles[self._choice.place(item, options)].name for item in inputs)

    def _options(self, given: Mapping[str, Any]) -> TaskOptions:
        """The options of one call over the defaults of the model."""
        return options_for(self._task, self._choice.bundles[0], given)

    def _foreign(self, item: TaskInput, options: TaskOptions, known: Sequence[str]) -> str | None:
        for text in self._task.texts(item):
            language = foreign_language(text, known)
            if language is None and not text.isascii():
                tokenizer = self._tokenizers[self._choice.place(item, options)].get()
                language = UNKNOWN if _is_unknown(text, tokenizer) else None
            if language is not None:
                return language
        return None


def _is_unknown(text: str, tokenizer: Tokenizer) -> bool:
    """Whether most tokens of a text are missing from the vocabulary."""
    sample = sample_of(text)
    if not any(mark.isascii() and mark.isalnum() for mark in sample):
        ids = tokenizer.ids(sample)
        if ids.count(tokenizer.unk_token_id) == len(ids):
            return True  # also a text of emoji, or of characters that the tokenizer drops
    letters = [letter for letter in sample if letter.isalpha()]
    others = sum(not letter.isascii() for letter in letters)
    if others < max(_FEWEST_LETTERS, len(letters) * _OTHER_LETTERS):
        return False
    words = "".join(mark if mark.isalpha() else " " for mark in sample)
    ids = tokenizer.ids(words)
    unknown = ids.count(tokenizer.unk_token_id)
    return 0 < unknown >= len(ids) * _UNKNOWN_SHARE


def _tokenizer(bundle: Bundle) -> Tokenizer:
    from nlplug.runtime.tokenizer import load_tokenizer

    return load_tokenizer(bundle, offsets=False)
