"""Tasks that answer a question with a part of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from nlplug.argument_rules import Rule, renamed, when_default
from nlplug.families.family import Family
from nlplug.families.one_pass import OnePassTask
from nlplug.families.span_extraction.model import SpanExtractionModel
from nlplug.families.span_extraction.options import (
    Answer,
    SpanExtractionInput,
    SpanExtractionOptions,
)
from nlplug.models.bundle import Bundle
from nlplug.task import Display, NameRules, TaskInput, TaskOptions

FAMILY = Family(
    name="span_extraction",
    auto_class="AutoModelForQuestionAnswering",
    exported_as="question-answering",
    training="nlplug.families.span_extraction.training:SpanExtractionRecipe",
    settings="nlplug.train.config:LabelledConfig",
    contents="nlplug.families.span_extraction.contents:Questions",
    corrections="nlplug.families.span_extraction.corrections:AnswerCorrections",
    plan="nlplug.train.plan:encoder_plan",
    scoring="nlplug.families.span_extraction.scoring:SpanExtractionEvaluation",
    held_out="nlplug.families.span_extraction.held_out:fit",
    gate_inputs="nlplug.families.span_extraction.task:gate_inputs",
)

_QUESTIONS = (
    "When does the train leave?",
    "What happened to the shares?",
    "Who turned and scored?",
    "What do researchers in Lyon report?",
    "Where is the nearest pharmacy?",
    "How long should one wait before trying again?",
)


@runtime_checkable
class _SquadExample(Protocol):
    question_text: str
    context_text: str


class SpanExtractionTask(OnePassTask):
    """Base of tasks that find an answer in a text; a subclass defines names and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "question-answering"
    Input: ClassVar[type[TaskInput]] = SpanExtractionInput
    Options: ClassVar[type[TaskOptions]] = SpanExtractionOptions
    Output: ClassVar[Any] = Answer | list[Answer]
    """One answer for ``top_k=1``, else a list, as in transformers and the Hub API."""
    name_rules: ClassVar[Mapping[str, NameRules]] = {
        "question-answering": NameRules(unwraps=True, may_be_blank=frozenset({"context"}))
    }
    rules: ClassVar[Mapping[str, Rule]] = {
        "topk": renamed("top_k"),
        **dict.fromkeys(("top_k", "max_answer_len"), when_default),
        **dict.fromkeys(("handle_impossible_answer", "align_to_words"), when_default),
    }
    display: ClassVar[Display] = Display.HIGHLIGHT
    answers_invisible: ClassVar[bool] = True

    def wrap(self, value: Any) -> Any:
        """A ``SquadExample`` of transformers as a dict."""
        if isinstance(value, _SquadExample):
            return {"question": value.question_text, "context": value.context_text}
        return value

    def bind(self, bundle: Bundle) -> SpanExtractionModel:
        """Bind to a question-answering bundle."""
        return SpanExtractionModel(bundle)


def gate_inputs(sentences: tuple[str, ...]) -> list[dict[str, Any]]:
    """Questions on contexts made of sentences, for the quality gate if no data is given."""
    half = len(sentences) // 2
    contexts = (sentences[:half], sentences[half:], sentences)
    return [
        {"question": question, "context": " ".join(context)}
        for question in _QUESTIONS
        for context in contexts
    ]
