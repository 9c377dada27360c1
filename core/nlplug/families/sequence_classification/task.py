"""Tasks that classify whole texts: sentiment, topics, intents, spam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nlplug.argument_rules import Rule, values, when_default
from nlplug.errors import warn
from nlplug.families.family import Family
from nlplug.families.one_pass import OnePassTask
from nlplug.families.sequence_classification.model import SequenceClassificationModel
from nlplug.families.sequence_classification.options import (
    LabelScore,
    SequenceClassificationInput,
    SequenceClassificationOptions,
)
from nlplug.models.bundle import Bundle
from nlplug.task import Display, Task, TaskInput, TaskOptions

FAMILY = Family(
    name="sequence_classification",
    auto_class="AutoModelForSequenceClassification",
    exported_as="text-classification",
    training="nlplug.families.sequence_classification.training:SequenceClassificationRecipe",
    settings="nlplug.families.sequence_classification.settings:SequenceClassificationConfig",
    contents="nlplug.families.sequence_classification.contents:LabelledTexts",
    corrections="nlplug.families.sequence_classification.corrections:LabelCorrections",
    plan="nlplug.train.plan:encoder_plan",
    scoring="nlplug.families.sequence_classification.scoring:ClassificationEvaluation",
    hub_shape="nlplug.server.protocols.shapes:NESTED",
    labelled=True,
)


class SequenceClassificationTask(OnePassTask):
    """Base of tasks that classify whole texts; a subclass defines names, texts and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "text-classification"
    Input: ClassVar[type[TaskInput]] = SequenceClassificationInput
    Options: ClassVar[type[TaskOptions]] = SequenceClassificationOptions
    Output: ClassVar[Any] = list[LabelScore]
    display: ClassVar[Display] = Display.LABEL
    labels: ClassVar[Sequence[str]] = ()
    """Label names by id if the task defines them; empty if each model defines its own."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "function_to_apply": values(
            {"softmax": "softmax", "sigmoid": "sigmoid", "none": "none", "default": None}
        ),
        "truncation": values(
            {
                None: False,
                "do_not_truncate": False,
                "longest_first": True,
                "only_first": True,
            }
        ),
        "stride": when_default,
    }

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task.adapt`; converts ``return_all_scores``, which ``top_k`` overrides."""
        left = dict(arguments)
        if "return_all_scores" in left:
            wanted = left.pop("return_all_scores")
            warn("return_all_scores is an old option; use top_k=None.", FutureWarning)
            if wanted and "top_k" not in left:
                left["return_all_scores"] = True
        return super().adapt(left)

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        """Bind to a text-classification bundle."""
        return SequenceClassificationModel(bundle)

    def shape(
        self,
        answers: list[Any],
        *,
        single: bool,
        given: frozenset[str] = frozenset(),
        preset: frozenset[str] = frozenset(),
    ) -> Any:
        """The return value of transformers' pipeline: a list with one dict for one text, and one
        dict per text for a list. With ``top_k`` each text gives a list; for one text this list is
        in another list if ``top_k`` was set when the pipeline was created, or with
        ``return_all_scores``."""
        nested = {"top_k", "return_all_scores"} & (given | preset)
        if single:
            return answers if nested - (given - {"return_all_scores"}) else answers[0]
        return answers if nested else [answer[0] for answer in answers]


def fixed_labels(task: Task) -> list[str]:
    """The labels that a task defines for all its models; empty if each model has its own."""
    return list(task.labels) if isinstance(task, SequenceClassificationTask) else []
