"""The question-answering task: names and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.span_extraction import SpanExtractionTask
from nlplug.task import Example, Localized


class QaTask(SpanExtractionTask):
    """Finds the answer to a question in a text."""

    name = "qa"
    title: ClassVar[Localized] = {"en": "Question answering", "zh": "抽取式问答"}
    description: ClassVar[Localized] = {
        "en": "Finds the answer to a question in a text, with its position. The embedded model is "
        "for English.",
        "zh": "在一段文本中找到问题的答案及其位置。自带模型适用于英文。",
    }
    default_model = "qa-en"
    base: ClassVar[str] = "qa-en"
    examples: ClassVar[Sequence[Example]] = (
        Example(
            {
                "question": "Who designed the bridge?",
                "context": "The old stone bridge over the river was designed by Anna Weber in 1887 "
                "and opened two years later. It carried the only road to the coast until 1954.",
            }
        ),
        Example(
            {
                "question": "When was the library moved?",
                "context": "The town library began in two rooms above the bakery. In March 1931 it "
                "moved to the former school, where it still lends some 40,000 books a year.",
            },
            {"top_k": 3},
        ),
        Example(
            {
                "question": "How many passengers can sit in the dining car?",
                "context": "The night train leaves at ten and arrives at seven. Breakfast is "
                "served from six in the dining car, which has seats for thirty passengers.",
            },
            {"handle_impossible_answer": True},
        ),
        Example(
            {
                "question": "When was the bridge built?",
                "context": "The first bridge was built in 1842 and burned down in 1870.\n\n"
                "The second one, of iron, was the work of Clara Weiss.\n\n"
                "The bridge of today dates from 1961 and carries two lanes of cars and a tram.",
            },
            {"top_k": 3, "distinct": True},
        ),
    )
