"""Tasks that label the words of a text, such as parts of speech or named entities."""

from __future__ import annotations

from typing import Any, ClassVar

from nlplug.families.family import Family
from nlplug.families.one_pass import OnePassTask
from nlplug.families.token_classification.model import TokenClassificationModel
from nlplug.families.token_classification.options import (
    TokenClassificationInput,
    TokenClassificationOptions,
    WordLabel,
)
from nlplug.models.bundle import Bundle
from nlplug.task import Display, TaskInput, TaskOptions

FAMILY = Family(
    name="token_classification",
    auto_class="AutoModelForTokenClassification",
    exported_as="token-classification",
    training="nlplug.families.token_classification.training:TokenClassificationRecipe",
    settings="nlplug.train.config:LabelledConfig",
    contents="nlplug.families.token_classification.contents:AnnotatedTexts",
    corrections="nlplug.families.token_classification.corrections:SpanCorrections",
    plan="nlplug.train.plan:encoder_plan",
    scoring="nlplug.families.token_classification.scoring:TokenClassificationEvaluation",
    distils=True,
    private=True,
    labelled=True,
)


class TokenClassificationTask(OnePassTask):
    """Base of tasks that label words; a subclass defines names, texts and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "token-classification"
    Input: ClassVar[type[TaskInput]] = TokenClassificationInput
    Options: ClassVar[type[TaskOptions]] = TokenClassificationOptions
    Output: ClassVar[Any] = list[WordLabel]
    answers_blank: ClassVar[bool] = True
    display: ClassVar[Display] = Display.HIGHLIGHT

    def bind(self, bundle: Bundle) -> TokenClassificationModel:
        """Bind to a token-classification bundle."""
        return TokenClassificationModel(bundle)
