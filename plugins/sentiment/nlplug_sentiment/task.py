"""The sentiment task: names, labels and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.task import Example, Localized


class SentimentTask(SequenceClassificationTask):
    """Classifies a text as positive or negative."""

    name = "sentiment"
    title: ClassVar[Localized] = {"en": "Sentiment", "zh": "情感分析"}
    description: ClassVar[Localized] = {
        "en": "Classifies a text as positive or negative. The embedded models are for "
        "English reviews, comments and replies, and for Chinese reviews.",
        "zh": "判断一段文本是正面还是负面。自带模型适用于英文评论、留言和回复，以及中文评论。",
    }
    labels: ClassVar[Sequence[str]] = ("negative", "positive")
    default_model = "sentiment-en"
    base: ClassVar[str] = "sentence-transformers/all-MiniLM-L6-v2"
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "I loved every minute of it, and so did the children."}),
        Example({"text": "The battery died after two days and nobody answered my mail."}),
        Example({"text": "It looks great, but it is far too slow to be of any use."}, {"top_k": 2}),
        Example({"text": "Not bad at all: the plot holds, even where the acting does not."}),
    )
