"""The translation task: what it is called, and examples to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

from nlplug.families.seq2seq import Seq2SeqOptions, Seq2SeqTask
from nlplug.models.bundle import Bundle
from nlplug.task import Example, Localized, NameRules, TaskInput, TaskOptions
from nlplug.text.language_codes import title
from nlplug_translation.languages import Languages, languages_of
from nlplug_translation.model import TranslationModel
from nlplug_translation.options import TranslationInput, TranslationOptions
from nlplug_translation.protected import compiled, spans


class TranslationTask(Seq2SeqTask):
    """What does a text say in another language?"""

    name = "translation"
    title: ClassVar[Localized] = {"en": "Translation", "zh": "翻译"}
    description: ClassVar[Localized] = {
        "en": "Translates texts of any length and keeps their lines, placeholders and numbers. "
        "The embedded model translates English to French.",
        "zh": "翻译任意长度的文本，保留换行、占位符和数字。自带模型为英译法。",
    }
    hub_task: ClassVar[str] = "translation"
    answer_key: ClassVar[str] = "translation_text"
    answers_blank: ClassVar[bool] = True
    Input: ClassVar[type[TaskInput]] = TranslationInput
    Options: ClassVar[type[Seq2SeqOptions]] = TranslationOptions
    default_model = "translation-en-fr"
    name_rules: ClassVar[Mapping[str, NameRules]] = {
        "translation_xx_to_yy": NameRules(unless_stated={"num_beams": 4}, stream_lists=True)
    }
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Where is the nearest train station?"}),
        Example(
            {"text": "A man in a red shirt is playing the guitar.\n\nTwo children are dancing."}
        ),
        Example(
            {
                "text": "Hello {name}! The train leaves at 10:30. Please visit "
                "https://example.com for more information."
            }
        ),
    )

    def __init__(self) -> None:
        self._languages: dict[Path, Languages] = {}

    def bind(self, bundle: Bundle) -> TranslationModel:
        """The text handling with a bundle."""
        return TranslationModel(bundle)

    def languages(self, bundle: Bundle, options: TaskOptions) -> Sequence[str]:
        """The stated source language, else those that the model translates to the target."""
        wanted = cast("TranslationOptions", options)
        if wanted.src_lang is not None:
            return [wanted.src_lang]
        return self._known(bundle).sources_of(wanted.tgt_lang)

    def unchanged(self, item: TaskInput, options: TaskOptions) -> Sequence[tuple[int, int]]:
        """Addresses, placeholders, numbers and what else the options protect."""
        wanted = cast("TranslationOptions", options)
        if not wanted.protect or wanted.tag_handling == "html":
            return ()
        patterns = [compiled(pattern) for pattern in wanted.protect_patterns]
        text = cast("TranslationInput", item).text
        return [(span.start, span.end) for span in spans(text, patterns)]

    def choices(self, bundle: Bundle) -> Mapping[str, Mapping[str, Localized]]:
        """The languages of a model."""
        known = self._known(bundle)
        return {
            "src_lang": {code: title(code) for code in known.sources},
            "tgt_lang": {code: title(code) for code in known.targets},
        }

    def _known(self, bundle: Bundle) -> Languages:
        known = self._languages.get(bundle.path)
        if known is None:
            known = self._languages[bundle.path] = languages_of(bundle)
        return known
