"""Tasks that continue a text or answer a chat."""

from __future__ import annotations

from typing import Any, ClassVar

from nlplug.families.causal_lm.options import (
    CausalInput,
    CausalOptions,
    GeneratedText,
    is_chat,
)
from nlplug.families.causal_lm.runner import CausalRunner
from nlplug.families.decoding_options import GenerationConfig
from nlplug.families.family import Family
from nlplug.models.bundle import Bundle
from nlplug.task import Display, StreamingRunner, Task, TaskInput, TaskOptions

FAMILY = Family(
    name="causal_lm",
    auto_class="AutoModelForCausalLM",
    exported_as="text-generation",
    precisions=("fp32", "int8"),
    training="nlplug.families.causal_lm.training:CausalRecipe",
    scoring="nlplug.families.causal_lm.scoring:TextGenerationEvaluation",
    exporter="nlplug.families.causal_lm.export:make",
    calibrator="nlplug.families.causal_lm.export:calibrate",
    hub_shape="nlplug.server.protocols.text_generation:GENERATED",
    streams=True,
    continues_input=True,
    pretraining="nlplug.families.causal_lm.settings:CausalPretrainConfig",
    architectures=("llama", "gpt2"),
)


class CausalTask(Task):
    """Base of tasks that continue a prompt; a subclass defines names, texts and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "text-generation"
    Input: ClassVar[type[TaskInput]] = CausalInput
    Options: ClassVar[type[TaskOptions]] = CausalOptions
    Output: ClassVar[Any] = list[GeneratedText]
    answers_blank: ClassVar[bool] = True
    display: ClassVar[Display] = Display.TEXT

    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> StreamingRunner:
        """Load the decoder graph, in the fast form or as Optimum exports it."""
        return CausalRunner(bundle, precision, device=device, threads=threads)

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """The options of ``generation_config.json``, overridden by those of the manifest."""
        options: Any = self.Options
        return GenerationConfig.of(bundle).default_options(options) | bundle.options

    def wrap(self, value: Any) -> Any:
        """A list of messages is one input."""
        return {"text": value} if is_chat(value) else value
