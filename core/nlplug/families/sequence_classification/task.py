"""Tasks that give a whole text one label or several: sentiment, topics, intents, spam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

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
    scoring="nlplug.families.sequence_classification.scoring:ClassificationEvaluation",
    hub_shape="nlplug.server.protocols.shapes:NESTED",
    labelled=True,
)


class SequenceClassificationTask(OnePassTask):
    """Base of the tasks that label a whole text; a subclass brings names, texts and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "text-classification"
    Input: ClassVar[type[TaskInput]] = SequenceClassificationInput
    Options: ClassVar[type[TaskOptions]] = SequenceClassificationOptions
    Output: ClassVar[Any] = list[LabelScore]
    display: ClassVar[Display] = Display.LABEL
    labels: ClassVar[Sequence[str]] = ()
    """Names by id where the task itself fixes them; empty where each model brings its own."""

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
        """As transformers' pipeline does: a text gives a list of one dict, a list of texts one
        dict a text; with ``top_k`` each text gives a list, which stands in a further list when
        ``top_k`` was set while making the pipeline and one text is asked for."""
        if single:
            return answers if "top_k" in preset - given else answers[0]
        return answers if "top_k" in given | preset else [answer[0] for answer in answers]


def fixed_labels(task: Task) -> list[str]:
    """The labels that a task fixes for all its models; empty where each model has its own."""
    return list(task.labels) if isinstance(task, SequenceClassificationTask) else []
