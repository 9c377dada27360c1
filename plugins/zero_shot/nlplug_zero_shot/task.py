"""The zero-shot classification task: names, suggested models and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from nlplug.argument_rules import Rule, renamed, values, when_default
from nlplug.families.family import Family
from nlplug.families.one_pass import OnePassTask
from nlplug.families.sequence_classification import FAMILY
from nlplug.models.bundle import Bundle
from nlplug.task import Display, Example, Localized, TaskOptions
from nlplug_zero_shot.model import ZeroShotModel, entailment_id
from nlplug_zero_shot.options import ZeroShotAnswer, ZeroShotOptions, split_labels

_TEXT = "The home side turned the match around in the last minute."


class ZeroShotTask(OnePassTask):
    """Which of the given labels fits a text?"""

    name = "zero-shot-classification"
    title: ClassVar[Localized] = {"en": "Zero-shot classification", "zh": "零样本分类"}
    description: ClassVar[Localized] = {
        "en": "Classifies texts with labels of your choice. It needs a natural language inference "
        "(NLI) model, such as Xenova/nli-deberta-v3-xsmall, or for many languages "
        "MoritzLaurer/multilingual-MiniLMv2-L6-mnli-xnli.",
        "zh": "用自选的标签给文本分类。需要自然语言推理模型，例如 Xenova/nli-deberta-v3-xsmall；"
        "多语言可用 MoritzLaurer/multilingual-MiniLMv2-L6-mnli-xnli。",
    }
    suggested_models: ClassVar[Sequence[str]] = (
        "Xenova/nli-deberta-v3-xsmall",
        "MoritzLaurer/multilingual-MiniLMv2-L6-mnli-xnli",
    )
    hub_task = "zero-shot-classification"
    # NLI models are trained and scored as classifiers of pairs (task `classification`).
    family: ClassVar[Family] = replace(
        FAMILY,
        training="",
        scoring="",
        hub_shape="nlplug.server.protocols.shapes:RANKED",
        gate_options={"candidate_labels": ["travel", "sport", "weather", "a complaint"]},
    )
    Options: ClassVar[type[TaskOptions]] = ZeroShotOptions
    Output: ClassVar[Any] = ZeroShotAnswer
    display = Display.LABEL
    positional: ClassVar[Sequence[str]] = ("candidate_labels",)
    rules: ClassVar[Mapping[str, Rule]] = {
        "multi_class": renamed("multi_label"),
        "multi_label": when_default,
        "hypothesis_template": when_default,
        "truncation": values(
            {None: False, "do_not_truncate": False, "longest_first": True, "only_first": True}
        ),
        "stride": when_default,
    }
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": _TEXT}, {"candidate_labels": ["sport", "politics", "music"]}),
        Example(
            {"text": "The screen cracked within a week and nobody answers my calls."},
            {"candidate_labels": ["urgent", "a complaint", "a phone"], "multi_label": True},
        ),
        Example(
            {"text": "Could you tell me where the nearest pharmacy is?"},
            {
                "candidate_labels": ["directions", "the weather", "a joke"],
                "hypothesis_template": "This person asks for {}.",
            },
        ),
    )

    def bind(self, bundle: Bundle) -> ZeroShotModel:
        """Bind to a bundle of a model of natural language inference."""
        return ZeroShotModel(bundle)

    def passes(self, options: Mapping[str, Any]) -> int:
        """See `Task.passes`: one per label."""
        return max(1, len(split_labels(options.get("candidate_labels") or [])))

    def attributes(self, bundle: Bundle) -> Mapping[str, Any]:
        """``entailment_id``, the id of the label for entailment."""
        return {"entailment_id": entailment_id(bundle.id2label)}

    def tabular(self, answer: ZeroShotAnswer) -> list[dict[str, Any]]:
        """One row per label, best first."""
        pairs = zip(answer["labels"], answer["scores"], strict=True)
        return [{"label": label, "score": score} for label, score in pairs]
