"""The classification task: names, options and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from nlplug.families.family import Family
from nlplug.families.sequence_classification import FAMILY, SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.task import Example, Localized, NameRules, TaskOptions
from nlplug_classification.model import ClassificationModel
from nlplug_classification.options import ClassificationOptions


class ClassificationTask(SequenceClassificationTask):
    """Which of a model's labels fit a text: one, several, or none."""

    name = "classification"
    title: ClassVar[Localized] = {"en": "Classification", "zh": "文本分类"}
    description: ClassVar[Localized] = {
        "en": "Assigns labels to a text. The model defines the labels. The embedded models "
        "recognize 150 intents of English requests to an assistant, and requests that are none of "
        "them, and ten topics of Chinese news titles.",
        "zh": "为文本分配标签，标签由模型定义。自带模型识别英文助手请求的 150 种意图，以及不属于"
        "其中任何一种的请求，并识别中文新闻标题的十个主题。",
    }
    Options: ClassVar[type[TaskOptions]] = ClassificationOptions
    default_model = "intents-en"
    answers_invisible: ClassVar[bool] = True
    base: ClassVar[str] = "sentence-transformers/all-MiniLM-L6-v2"
    family: ClassVar[Family] = replace(
        FAMILY, scoring="nlplug_classification.evaluation:ThresholdEvaluation"
    )
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Wake me up at half past six tomorrow."}),
        Example({"text": "How much did I spend on groceries last month?"}),
        Example({"text": "How tall is the Eiffel Tower?"}),
        Example({"text": "Will it rain in Lyon on Sunday?"}, {"top_k": 3}),
    )

    name_rules: ClassVar[Mapping[str, NameRules]] = {
        "text-classification": NameRules(
            bare=True,
            without_model="The default model of 'text-classification' recognizes intents, such as "
            "'alarm'. In transformers it is a sentiment model: for that, name the task "
            "'sentiment-analysis', or a model.",
        )
    }

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
        """As in the family; with ``threshold``, as with ``top_k``, each text of a list gives a
        list, which may be empty."""
        if not single and "threshold" in given | preset:
            return answers
        return super().shape(answers, single=single, given=given, preset=preset)
