"""The text generation task: names and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.causal_lm import CausalTask
from nlplug.task import Example, Localized


class GenerationTask(CausalTask):
    """Continues a text, or answers a chat."""

    name = "generation"
    title: ClassVar[Localized] = {"en": "Text generation", "zh": "文本生成"}
    description: ClassVar[Localized] = {
        "en": "Continues a text or answers a chat. The embedded model writes short stories in "
        "simple English.",
        "zh": "续写文本，或回复对话。自带模型用简单的英文写短篇故事。",
    }
    default_model = "tales-en"
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Once upon a time"}, {"max_new_tokens": 120}),
        Example({"text": "The old king had three sons, and the youngest"}, {"temperature": 0.9}),
        Example({"text": "In a small house by the sea lived a girl who"}, {"stop": ["\n"]}),
    )
