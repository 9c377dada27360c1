"""Tasks that classify whole texts: sentiment, topics, intents, spam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nlplug.argument_rules import Rule, flag, renamed, values, when_default, with_truncation
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
from nlplug.task import Display, NameRules, Task, TaskInput, TaskOptions

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
    held_out="nlplug.families.sequence_classification.held_out:fit",
    hub_shape="nlplug.server.protocols.shapes:NESTED",
    distils=True,
    private=True,
    labelled=True,
)


def truncated(name: str, value: Any) -> Mapping[str, Any]:
    """The rule of ``truncation``, which may name the text of a pair to cut."""
    if value in ("only_first", "only_second"):
        return {name: True, "truncated_text": value}
    return values({None: False, "do_not_truncate": False, "longest_first": True})(name, value)


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

    name_rules: ClassVar[Mapping[str, NameRules]] = dict.fromkeys(
        ("text-classification", "sentiment-analysis"), NameRules(bare=True)
    )
    replaces: ClassVar[Mapping[str, str]] = {"top_k": "return_all_scores"}
    rules: ClassVar[Mapping[str, Rule]] = {
        "abstain_below": renamed("min_score"),
        "function_to_apply": values(
            {"softmax": "softmax", "sigmoid": "sigmoid", "none": "none", "default": None}
        ),
        "truncation": truncated,
        "stride": when_default,
    }

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task.adapt`; converts ``return_all_scores``, which ``top_k`` overrides."""
        left = with_truncation(arguments)
        if "return_all_scores" in left:
            wanted = left.pop("return_all_scores")
            warn("return_all_scores is an old option; use top_k=None.", FutureWarning)
            if wanted is not None and "top_k" not in left:
                left["return_all_scores"] = flag("return_all_scores", wanted)
        return super().adapt(left)

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """The options of the manifest; of a model made for it, ``return_all_scores``.

        Earlier versions wrote ``min_score`` as ``abstain_below``.
        """
        options = super().default_options(bundle)
        if "abstain_below" in options:
            options = {"min_score": options["abstain_below"], **options}
        every = bundle.config.get("return_all_scores") is True
        return ({"return_all_scores": True} if every else {}) | options

    def wrap(self, value: Any) -> Any:
        """A pair of texts in its old form, a list in a list, as a dict."""
        # Only lists and tuples: since NumPy 2.5, arrays match patterns of sequences too.
        if isinstance(value, list | tuple) and len(value) == 1:
            (one,) = value
            texts = isinstance(one, list | tuple) and all(isinstance(text, str) for text in one)
            if texts and len(one) == 2:
                warn(
                    "A pair of texts as a list in a list is an old form; give a dict with text and "
                    "text_pair.",
                    FutureWarning,
                )
                return dict(zip(("text", "text_pair"), one, strict=True))
        return value

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
        ``return_all_scores``. With ``coverage`` each text gives a list, which may be empty."""
        wanted = {"top_k"} if "top_k" in given else {"top_k", "return_all_scores"}
        nested = wanted & (given | preset)
        if "coverage" in given | preset:
            return answers[0] if single else answers
        if single:
            return answers if nested - (given - {"return_all_scores"}) else answers[0]
        return answers if nested else [answer[0] for answer in answers]


def fixed_labels(task: Task) -> list[str]:
    """The labels that a task defines for all its models; empty if each model has its own."""
    return list(task.labels) if isinstance(task, SequenceClassificationTask) else []
