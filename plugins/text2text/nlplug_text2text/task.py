"""The tasks of sequence-to-sequence models: names, suggested models and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from nlplug.families.seq2seq import BeamOptions, Seq2SeqTask
from nlplug.task import Example, Localized, NameRules

_ARTICLE = (
    "The old stone bridge over the river was closed on Monday after an inspection found cracks in "
    "two of its five arches. It carries the only road to the coast, and drivers now have to take a "
    "detour of forty kilometres. The town expects the repairs to last until spring. A ferry for "
    "pedestrians and cyclists starts next week and will run every half hour."
)


class SummarizationTask(Seq2SeqTask):
    """What does a text say in short?"""

    name = "summarization"
    title: ClassVar[Localized] = {"en": "Summarization", "zh": "摘要"}
    description: ClassVar[Localized] = {
        "en": "Summarizes a text. It needs a sequence-to-sequence model, such as "
        "Xenova/distilbart-cnn-6-6 or, smaller, Xenova/t5-small.",
        "zh": "概括一段文本。需要序列到序列模型，例如 Xenova/distilbart-cnn-6-6，"
        "或更小的 Xenova/t5-small。",
    }
    suggested_models: ClassVar[Sequence[str]] = ("Xenova/distilbart-cnn-6-6", "Xenova/t5-small")
    hub_task = "summarization"
    name_rules: ClassVar[Mapping[str, NameRules]] = {name: NameRules(stream_lists=True)}
    answer_key = "summary_text"
    Options = BeamOptions
    examples: ClassVar[Sequence[Example]] = (Example({"text": _ARTICLE}),)


class Text2TextTask(Seq2SeqTask):
    """Which text does the model write for this one?"""

    name = "text2text-generation"
    title: ClassVar[Localized] = {"en": "Text to text", "zh": "文本到文本"}
    description: ClassVar[Localized] = {
        "en": "Generates a text from a text, such as an answer to an instruction. It needs a "
        "sequence-to-sequence model, such as Xenova/flan-t5-small.",
        "zh": "根据一段文本生成另一段文本，例如按指令作答。需要序列到序列模型，"
        "例如 Xenova/flan-t5-small。",
    }
    suggested_models: ClassVar[Sequence[str]] = ("Xenova/flan-t5-small", "Xenova/LaMini-T5-61M")
    hub_task = "text2text-generation"
    Options = BeamOptions
    name_rules: ClassVar[Mapping[str, NameRules]] = {name: NameRules(stream_lists=True)}
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "Answer the question: what is the capital of France?"}),
        Example({"text": "translate English to German: The house is small."}),
    )
