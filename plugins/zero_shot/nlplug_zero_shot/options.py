"""Options and answers of zero-shot classification."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from typing_extensions import TypedDict

from nlplug.families.one_pass import Stride
from nlplug.families.sequence_classification import MaxLength, Truncation
from nlplug.language_guard import LanguageOptions
from nlplug.task import chinese

_FIRST = ["0", "", None]
"""The place ``{0}``, which may be repeated."""


def split_labels(value: Any) -> Any:
    """A text with commas as the labels in it, as transformers does."""
    if isinstance(value, str):
        return [label.strip() for label in value.split(",") if label.strip()]
    return value


class ZeroShotOptions(LanguageOptions):
    """The labels, and how a label becomes a hypothesis about the text."""

    candidate_labels: Annotated[list[str], BeforeValidator(split_labels)] = Field(
        default=[],
        max_length=1000,
        title="Labels",
        description="The labels to choose from, as a list or separated by commas. At least one.",
        json_schema_extra=chinese(
            "标签", "可选的标签：列表，或用逗号分隔。至少一个。", commas=True
        ),
    )
    multi_label: bool = Field(
        default=False,
        title="Several labels may apply",
        description="Score each label on its own. Off: the scores of all labels add up to 1.",
        json_schema_extra=chinese(
            "允许多个标签", "每个标签单独打分；关闭则所有标签的得分之和为 1。"
        ),
    )
    hypothesis_template: str = Field(
        default="This example is {}.",
        title="Hypothesis",
        description="The sentence that the model compares with the text. {} is replaced by the "
        "label. Write it in the language of the texts.",
        json_schema_extra=chinese(
            "假设句", "模型与文本比较的句子，{} 会替换为标签。请使用与文本相同的语言。"
        ),
    )
    truncation: Truncation = False
    stride: Stride = 64
    max_length: MaxLength = None

    @field_validator("candidate_labels")
    @classmethod
    def _no_blank_labels(cls, labels: list[str]) -> list[str]:
        if not all(label.strip() for label in labels):
            raise ValueError("A label is blank")
        return labels

    @field_validator("hypothesis_template")
    @classmethod
    def _has_one_place(cls, template: str) -> str:
        try:
            places = [place for _, *place in Formatter().parse(template) if place[0] is not None]
        except ValueError:  # a single brace
            places = []
        # Neither a format nor an attribute of the label, which a template could ask for too.
        if places != [["", "", None]] and not (places and all(one == _FIRST for one in places)):
            raise ValueError("Write {} once, in the place of the label, and other braces twice")
        return template


class ZeroShotAnswer(TypedDict):
    """The labels of one text with their scores, best first."""

    sequence: str
    labels: list[str]
    scores: list[float]
