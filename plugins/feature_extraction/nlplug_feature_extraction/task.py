"""The feature extraction task: names, suggested models and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nlplug.families.feature_extraction import FeatureExtractionTask
from nlplug.task import Example, Localized


class FeatureExtraction(FeatureExtractionTask):
    """Returns the vectors that an encoder computes for tokens or texts."""

    name = "feature-extraction"
    title: ClassVar[Localized] = {"en": "Feature extraction", "zh": "特征提取"}
    description: ClassVar[Localized] = {
        "en": "Returns one vector per token or per text (embeddings). It needs an encoder without "
        "a head, such as Xenova/all-MiniLM-L6-v2, or for many languages "
        "Xenova/paraphrase-multilingual-MiniLM-L12-v2.",
        "zh": "返回每个词元或每段文本的向量（嵌入）。需要不带任务头的编码器，例如 "
        "Xenova/all-MiniLM-L6-v2；多语言可用 Xenova/paraphrase-multilingual-MiniLM-L12-v2。",
    }
    suggested_models: ClassVar[Sequence[str]] = (
        "Xenova/all-MiniLM-L6-v2",
        "Xenova/paraphrase-multilingual-MiniLM-L12-v2",
    )
    examples: ClassVar[Sequence[Example]] = (
        Example({"text": "A man is eating food."}, {"pool": "mean", "normalize": True}),
        Example({"text": "Somebody has lunch."}, {"pool": "mean", "normalize": True}),
        Example({"text": "The stock market fell."}),
    )
