"""The text generation task: what it is called, and examples to try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.causal_lm import CausalTask
from nlplug.task import Example, Localized


class GenerationTask(CausalTask):
    """How does the text go on?"""

    name = "generation"
    title: ClassVar[Localized] = {"en": "Text generation", "zh": "文本生成"}
    description: ClassVar[Localized] = {
        "en": "Goes on from a text, or answers a chat, token by token. The embedded model tells "
        "tales in simple English.",
        "zh": "逐词元续写文本，或回复对话。内置模型用简单的英文讲故事。",
    }
    default_model = "tales-en"
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Once upon a time"}, {"max_new_tokens": 120}),
        Example({"text": "The old king had three sons, and the youngest"}, {"temperature": 0.9}),
        Example({"text": "In a small house by the sea lived a girl who"}, {"stop": ["\n"]}),
    )
