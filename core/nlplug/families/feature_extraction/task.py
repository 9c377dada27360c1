"""Tasks that return the hidden states of an encoder, and the record of the family."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from nlplug.argument_rules import Rule, return_tensors, tokenizer_arguments, values
from nlplug.families.family import Family
from nlplug.families.feature_extraction.model import FeatureModel
from nlplug.families.feature_extraction.options import FeatureInput, FeatureOptions
from nlplug.families.one_pass import OnePassTask
from nlplug.models.bundle import Bundle
from nlplug.task import Display, TaskInput, TaskOptions

FAMILY = Family(
    name="feature_extraction",
    auto_class="AutoModel",
    exported_as="feature-extraction",
    hub_shape="nlplug.server.protocols.shapes:VECTORS",
    gate_options={"truncation": True},
)


class FeatureExtractionTask(OnePassTask):
    """Base of tasks that return hidden states; a subclass defines names and examples.

    The answer to a text has the form of transformers: nested lists, ``[1][tokens][hidden]``,
    without padding. With pooling it is one vector, ``[hidden]``.
    """

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "feature-extraction"
    Input: ClassVar[type[TaskInput]] = FeatureInput
    Options: ClassVar[type[TaskOptions]] = FeatureOptions
    Output: ClassVar[Any] = list[list[list[float]]] | list[float]
    answers_blank: ClassVar[bool] = True
    display: ClassVar[Display] = Display.TABLE
    rules: ClassVar[Mapping[str, Rule]] = {
        "tokenize_kwargs": tokenizer_arguments,
        "truncation": values(
            {
                **dict.fromkeys((None, "do_not_truncate"), False),
                **dict.fromkeys(("longest_first", "only_first"), True),
            }
        ),
        "return_tensors": return_tensors,
    }

    def bind(self, bundle: Bundle) -> FeatureModel:
        """Bind to a bundle of an encoder without a head."""
        return FeatureModel(bundle)

    def tabular(self, answer: Any) -> Any:
        """One row per vector: its number, and its values as JSON."""
        vectors = answer[0] if answer and isinstance(answer[0], list) else [answer]
        return [
            {"token": number, "vector": json.dumps(vector)} for number, vector in enumerate(vectors)
        ]
