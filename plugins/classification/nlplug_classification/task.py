"""The classification task: what it is called, what it takes, and examples to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from nlplug.families.family import Family
from nlplug.families.sequence_classification import FAMILY, SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.task import Example, Localized, TaskOptions
from nlplug_classification.model import ClassificationModel
from nlplug_classification.options import ClassificationOptions


class ClassificationTask(SequenceClassificationTask):
    """Which of a model's labels fit a text: one, several, or none."""

    name = "classification"
    title: ClassVar[Localized] = {"en": "Classification", "zh": "文本分类"}
    description: ClassVar[Localized] = {
        "en": "Which labels fit a text? Any label set that a model brings; the embedded one knows "
        "150 things that people ask an assistant for in English, and when it is something else.",
        "zh": "一段文本属于哪些类别？类别由模型决定；内置模型识别英文助手的 150 种意图，"
        "并能判断文本不属于其中任何一种。",
    }
    Options: ClassVar[type[TaskOptions]] = ClassificationOptions
    default_model = "intents-en"
    family: ClassVar[Family] = replace(
        FAMILY, scoring="nlplug_classification.evaluation:AbstainingEvaluation"
    )
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Wake me up at half past six tomorrow."}),
        Example({"text": "How much did I spend on groceries last month?"}),
        Example({"text": "What do you call a baby kangaroo?"}),
        Example({"text": "Tell him that I will be late."}, {"top_k": 3}),
    )

    def bind(self, bundle: Bundle) -> ClassificationModel:
        """Bind to a text-classification bundle."""
        return ClassificationModel(bundle)

    def shape(
        self,
        answers: list[Any],
        *,
        single: bool,
        given: frozenset[str] = frozenset(),
        preset: frozenset[str] = frozenset(),
    ) -> Any:
        """As the family's; with ``threshold``, as with ``top_k``, each text gives a list, which may
        be empty."""
        if not single and "threshold" in given | preset:
            return answers
        return super().shape(answers, single=single, given=given, preset=preset)
