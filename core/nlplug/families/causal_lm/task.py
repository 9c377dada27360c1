"""Tasks that continue a text or answer a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from nlplug.argument_rules import (
    Rule,
    ignored,
    only,
    shown,
    values,
    when_default,
    when_none,
    with_truncation,
)
from nlplug.errors import OptionError, warn
from nlplug.families.causal_lm.options import (
    CausalInput,
    CausalOptions,
    GeneratedText,
    is_chat,
)
from nlplug.families.causal_lm.runner import CausalRunner
from nlplug.families.decoding_options import GenerationConfig
from nlplug.families.decoding_rules import (
    DECODING_RULES,
    generation_defaults,
    with_generation_config,
)
from nlplug.families.family import Family
from nlplug.models.bundle import Bundle
from nlplug.task import Display, StreamingRunner, Task, TaskInput, TaskOptions

FAMILY = Family(
    name="causal_lm",
    auto_class="AutoModelForCausalLM",
    exported_as="text-generation",
    precisions=("fp32", "int8"),
    training="nlplug.families.causal_lm.training:CausalRecipe",
    contents="nlplug.families.causal_lm.contents:Documents",
    scoring="nlplug.families.causal_lm.scoring:TextGenerationEvaluation",
    exporter="nlplug.families.causal_lm.export:make",
    calibrator="nlplug.families.causal_lm.export:calibrate",
    hub_shape="nlplug.server.protocols.text_generation:GENERATED",
    streams=True,
    continues_input=True,
    pretraining="nlplug.families.causal_lm.settings:CausalPretrainConfig",
    architectures=("llama", "gpt2"),
)


def hole(name: str, value: Any) -> Mapping[str, Any]:
    """The rule of ``handle_long_generation``: ``hole`` removes the beginning of the prompt."""
    return only(None, hint="Use truncation.")(name, value) if value != "hole" else _LEFT


def of_tokenizer(name: str, value: Any) -> Mapping[str, Any]:
    """The rule of ``tokenizer_encode_kwargs``, the arguments of a tokenizer."""
    given = {} if value is None else value
    if not isinstance(given, Mapping) or not set(given) <= _TOKENIZER_ARGUMENTS:
        raise OptionError(
            f"{name}={shown(value)} is not available.",
            hint=f"Give a dict with {', '.join(sorted(_TOKENIZER_ARGUMENTS))}; the variables of a "
            "chat template are the option chat_template_kwargs.",
        )
    given = with_truncation(given)
    found: dict[str, Any] = {}
    if given.get("truncation") not in (None, False, "do_not_truncate"):
        length = given.get("max_length")
        found = {"truncation": "left"} if length is None else {"prompt_length": length}
    if "add_special_tokens" in given:
        found["add_special_tokens"] = given["add_special_tokens"]
    return found


_TOKENIZER_ARGUMENTS = {"add_special_tokens", "max_length", "padding", "truncation"}
_LEFT: Mapping[str, Any] = {"truncation": "left"}


@runtime_checkable
class _Chat(Protocol):
    messages: Any


class CausalTask(Task):
    """Base of tasks that continue a prompt; a subclass defines names, texts and examples."""

    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "text-generation"
    Input: ClassVar[type[TaskInput]] = CausalInput
    Options: ClassVar[type[TaskOptions]] = CausalOptions
    Output: ClassVar[Any] = list[GeneratedText]
    answers_blank: ClassVar[bool] = True
    display: ClassVar[Display] = Display.TEXT

    rules: ClassVar[Mapping[str, Rule]] = {
        **DECODING_RULES,
        "handle_long_generation": hole,
        "clean_up_tokenization_spaces": ignored,
        "truncation": values(
            {
                **dict.fromkeys((None, False, "do_not_truncate"), "error"),
                **dict.fromkeys((True, "longest_first", "only_first"), "left"),
            }
        ),
        "tokenizer_encode_kwargs": of_tokenizer,
        "add_special_tokens": when_none(True),
        "prefix": when_none(""),
        "skip_special_tokens": when_none(True),
        "return_full_text": when_default,
        "decoder_start_token_id": ignored,  # for models with an encoder
        "documents": only(None, hint="Give chat_template_kwargs={'documents': …}."),
    }

    replaces: ClassVar[Mapping[str, str]] = {
        "max_new_tokens": "max_length",
        "min_new_tokens": "min_length",
    }

    bounds: ClassVar[Mapping[str, str]] = {"max_new_tokens": "min_new_tokens"}

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task.adapt`; ``max_new_tokens`` overrides ``max_length``."""
        left = with_generation_config(arguments)
        others = (left.get(name) for name in ("return_text", "return_full_text"))
        if left.get("return_tensors") and any(one is not None for one in others):
            raise OptionError(
                "return_tensors cannot be combined with return_text and return_full_text.",
                hint="Token ids are those of prompt and new text; leave the others out.",
            )
        for new, old in self.replaces.items():
            if left.get(old) is not None and left.get(new) is not None:
                warn(f"{old} is ignored, because {new} is given.", UserWarning)
            if left.get(new) is not None:
                left[old] = None  # also overrides the one that the pipeline was created with
        found = super().adapt(left)
        return {**generation_defaults(arguments, found), **found}

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

    def chats(self, bundle: Bundle) -> bool:
        """Whether the model has a chat template."""
        return bundle.repository.chat_template() is not None

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """The options of ``generation_config.json``, overridden by those of the manifest."""
        options: Any = self.Options
        config = GenerationConfig.of(bundle)
        return config.default_options(options, bundle.name) | bundle.options

    def texts(self, item: TaskInput) -> list[str]:
        """The prompt, or the texts of the messages that users wrote."""
        text = cast("CausalInput", item).text
        if isinstance(text, str):
            return [text]
        contents = (message["content"] for message in text if message["role"] == "user")
        return [content for content in contents if isinstance(content, str)]

    def wrap(self, value: Any) -> Any:
        """A list of messages is one input, and so is a ``Chat`` of transformers."""
        if isinstance(value, _Chat):
            value = value.messages
        return {"text": value} if is_chat(value) else value
