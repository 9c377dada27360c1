"""The fill-mask task: names, suggested models and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.masked_lm import MaskedLMTask
from nlplug.task import Example, Localized


class FillMaskTask(MaskedLMTask):
    """Predicts the words at the gaps of a text."""

    name = "fill-mask"
    title: ClassVar[Localized] = {"en": "Fill mask", "zh": "掩码填空"}
    description: ClassVar[Localized] = {
        "en": "Predicts the missing words of a text. It needs a masked language model, such as "
        "Xenova/distilbert-base-uncased, or for many languages "
        "Xenova/distilbert-base-multilingual-cased.",
        "zh": "预测文本空缺处的词。需要掩码语言模型，例如 Xenova/distilbert-base-uncased；"
        "多语言可用 Xenova/distilbert-base-multilingual-cased。",
    }
    suggested_models: ClassVar[Sequence[str]] = (
        "Xenova/distilbert-base-uncased",
        "Xenova/distilbert-base-multilingual-cased",
    )
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Paris is the [MASK] of France."}),
        Example({"text": "The train to the coast [MASK] at seven."}, {"top_k": 3}),
        Example({"text": "The soup was [MASK]."}, {"targets": ["cold", "hot"]}),
    )
