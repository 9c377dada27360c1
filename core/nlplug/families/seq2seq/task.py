"""Tasks that generate a text from a text: translation, summarization, correction.

A task of this family defines the key under which the text is returned. Prefix, special tokens and
decoding options are those of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NotRequired

from typing_extensions import TypedDict

from nlplug.argument_rules import Rule, is_number, values, when_default
from nlplug.errors import OptionError, warn
from nlplug.families.decoding_options import GenerationConfig
from nlplug.families.decoding_rules import (
    DECODING_RULES,
    generation_defaults,
    with_generation_config,
)
from nlplug.families.family import Family
from nlplug.families.seq2seq.model import Seq2SeqModel, graph_files, own_params
from nlplug.families.seq2seq.options import Seq2SeqOptions
from nlplug.families.seq2seq.runner import Seq2SeqRunner
from nlplug.families.text_ends import TextEnd
from nlplug.models.bundle import Bundle
from nlplug.runtime.decoding.settings import LONGEST
from nlplug.task import Display, StreamingRunner, Task, TaskInput, TextInput

FAMILY = Family(
    name="seq2seq",
    auto_class="AutoModelForSeq2SeqLM",
    exported_as="text2text-generation",
    precisions=("fp32", "int8"),
    training="nlplug.families.seq2seq.training:Seq2SeqRecipe",
    settings="nlplug.families.seq2seq.settings:Seq2SeqConfig",
    contents="nlplug.families.seq2seq.contents:Pairs",
    corrections="nlplug.families.seq2seq.corrections:TextCorrections",
    scoring="nlplug.families.seq2seq.scoring:TranslationEvaluation",
    exporter="nlplug.families.seq2seq.export:make",
    calibrator="nlplug.families.seq2seq.export:calibrate",
    hub_shape="nlplug.server.protocols.shapes:TEXTS",
    streams=True,
    pretraining="nlplug.families.seq2seq.settings:Seq2SeqPretrainConfig",
    architectures=("marian",),
)


class Seq2SeqTask(Task):
    """Base of tasks that generate a text from a text.

    The return values are those of transformers: for one input a list with one dict per version;
    for several inputs one dict each, or a list each if several versions are requested.
    """

    answer_key: ClassVar[str] = "generated_text"
    """Key of the text in an answer: ``translation_text``, ``summary_text``, …"""
    family: ClassVar[Family] = FAMILY
    hub_task: ClassVar[str] = "text2text-generation"
    Input: ClassVar[type[TaskInput]] = TextInput
    Options: ClassVar[type[Seq2SeqOptions]] = Seq2SeqOptions
    display: ClassVar[Display] = Display.TEXT
    bounds: ClassVar[Mapping[str, str]] = {"max_new_tokens": "min_new_tokens"}

    rules: ClassVar[Mapping[str, Rule]] = {
        **DECODING_RULES,
        "truncation": values({None: "do_not_truncate"}),
        "clean_up_tokenization_spaces": when_default,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "Output" not in vars(cls):
            cls.Output = list[output_of(cls.answer_key)]  # type: ignore[misc]

    def adapt(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See `Task.adapt`; ``max_length`` and ``min_length`` also count the start token."""
        left = with_generation_config(arguments)
        for old, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            limit = left.pop(old, None)
            if limit is None:
                continue
            if left.get(new) is not None:
                warn(f"{old} is ignored, because {new} is given.", UserWarning)
            elif is_number(limit):
                left[new] = max(int(limit) - 1, 0)
            else:
                raise OptionError(f"{old} is {limit!r}.", hint="Give a whole number.")
        found = super().adapt(left)
        return {**generation_defaults(arguments, found), **found}

    def bind(self, bundle: Bundle) -> Seq2SeqModel:
        """The `Seq2SeqModel` of a bundle; tasks with their own text processing override this."""
        return Seq2SeqModel(bundle, self.hub_task)

    def load(
        self,
        bundle: Bundle,
        *,
        precision: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> StreamingRunner:
        """Load an encoder and its decoder; see `Task.load`."""
        encoder, decoder = graph_files(bundle, precision)
        return Seq2SeqRunner(
            self.bind(bundle),
            encoder,
            decoder,
            key=self.answer_key,
            device=device,
            threads=threads,
        )

    def default_options(self, bundle: Bundle) -> dict[str, Any]:
        """The decoding options of the model: those for this task override the general ones."""
        found = {**GenerationConfig.of(bundle).values, **own_params(bundle, self.hub_task)}
        # Both also count the start token.
        for old, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            limit = found.get(old)
            if type(limit) is int and limit > 1:
                found.setdefault(new, min(limit - 1, LONGEST))
        config = GenerationConfig(found)
        return config.default_options(self.Options, bundle.name) | bundle.options

    def shape(
        self,
        answers: list[Any],
        *,
        single: bool,
        given: frozenset[str] = frozenset(),
        preset: frozenset[str] = frozenset(),
    ) -> Any:
        """See `Task.shape`."""
        if single:
            return answers[0]
        return [answer[0] if len(answer) == 1 else answer for answer in answers]


def output_of(key: str) -> Any:
    """The type of one answer: a dict with the text under this key, and with details on request."""
    name = "".join(part.title() for part in key.split("_"))
    return TypedDict(name, {key: str, "details": NotRequired[TextEnd]})  # type: ignore[operator]
