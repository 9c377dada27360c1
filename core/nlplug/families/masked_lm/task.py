"""Tasks that predict masked tokens, and the record of the family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nlplug.argument_rules import Rule, tokenizer_arguments, when_default
from nlplug.families.family import Family
from nlplug.families.masked_lm.model import MaskedLMModel
from nlplug.families.masked_lm.options import Filling, MaskedLMInput, MaskedLMOptions
from nlplug.families.one_pass import OnePassTask
from nlplug.models.bundle import Bundle
from nlplug.task import Display, TaskInput, TaskOptions

FAMILY = Family(
    name="masked_lm",
    auto_class="AutoModelForMaskedLM",
    exported_as="fill-mask",
    training="nlplug.families.masked_lm.training:MaskedRecipe",
    pretraining="nlplug.families.masked_lm.settings:MaskedPretrainConfig",
    gate_inputs="nlplug.families.masked_lm.task:gate_inputs",
    gate_options={"truncation": True},
    architectures=("bert",),
)
_DEEPEST = 4
"""Number of the last word that the gate masks: it must be within short windows."""


class MaskedLMTask(OnePassTask):
    """Base of tasks that predict masked tokens; a subclass defines names and examples.

    The return values are those of transformers: for one text with one mask a list of predictions,
    and for several masks a list of such lists. A list of one text counts as one text.
    """

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "fill-mask"
    Input: ClassVar[type[TaskInput]] = MaskedLMInput
    Options: ClassVar[type[TaskOptions]] = MaskedLMOptions
    Output: ClassVar[Any] = list[Filling] | list[list[Filling]]
    display: ClassVar[Display] = Display.TABLE
    rules: ClassVar[Mapping[str, Rule]] = {
        "tokenizer_kwargs": tokenizer_arguments,
        "top_k": when_default,
        "targets": when_default,
    }

    def bind(self, bundle: Bundle) -> MaskedLMModel:
        """Bind to a bundle of a masked language model."""
        return MaskedLMModel(bundle)

    def wrap(self, value: Any) -> Any:
        """A list of one text as this text, as transformers does."""
        alone = isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
        return value[0] if alone else value


def gate_inputs(sentences: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each sentence with one word masked, for the quality gate if no data is given."""
    found = []
    for sentence in sentences:
        words = sentence.split()
        words[min(len(words) // 2, _DEEPEST)] = "[MASK]"
        found.append({"text": " ".join(words)})
    return found
