"""The kinds of models that can be exported: how each is loaded, built and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import ExportError

if TYPE_CHECKING:
    from nlplug.export.gate import Verdict
    from nlplug.export.run import ExportConfig
    from nlplug.export.source import Source
    from nlplug.task import Task


@dataclass(frozen=True)
class Made:
    """What was built in a folder, and how it did at the gate.

    Attributes:
        verdicts: On each precision that was built.
        files: Precision → graph → file in the folder.
        rows: What was compared on.
        reference: Metrics of the PyTorch model; empty without labels.
        note: What the graphs are.
        labels: In the order of their ids; empty for tasks without.
        max_length: Window in tokens.
    """

    verdicts: list[Verdict]
    files: Mapping[str, Mapping[str, str]]
    rows: str
    reference: dict[str, float]
    note: str
    labels: Sequence[str]
    max_length: int


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        auto_class: The class of transformers that loads it.
        precisions: Those that it can be made in; PyTorch is held against the first of them.
        maker: ``module:function`` that builds and judges it.
    """

    auto_class: str
    precisions: tuple[str, ...]
    maker: str

    def make(self, config: ExportConfig, source: Source, folder: Path) -> Made:
        """Write a model in the Hub's layout into a folder, and judge each precision of it.

        Args:
            config: Of the export.
            source: The checkpoint.
            folder: An empty folder.

        Raises:
            ExportError: The model cannot be exported, or its float32 graph is not what PyTorch has.
            DataError: The evaluation data cannot be used.
        """
        module, _, name = self.maker.partition(":")
        made: Made = getattr(import_module(module), name)(config, source, folder)
        return made


def _one_pass(auto_class: str) -> Kind:
    return Kind(auto_class, ("fp32", "fp16", "int8"), "nlplug.export.one_pass:make")


_CAUSAL = Kind("AutoModelForCausalLM", ("fp32", "int8"), "nlplug.export.decoding:make_causal")
_SEQ2SEQ = Kind("AutoModelForSeq2SeqLM", ("fp32", "int8"), "nlplug.export.decoding:make_seq2seq")

KINDS: dict[str, Kind] = {
    "text-classification": _one_pass("AutoModelForSequenceClassification"),
    "token-classification": _one_pass("AutoModelForTokenClassification"),
    "question-answering": _one_pass("AutoModelForQuestionAnswering"),
    "fill-mask": _one_pass("AutoModelForMaskedLM"),
    "feature-extraction": _one_pass("AutoModel"),
    "text-generation": _CAUSAL,
    "text2text-generation": _SEQ2SEQ,
    "translation": _SEQ2SEQ,
    "summarization": _SEQ2SEQ,
}
"""The Hub's name of a task to the kind of its models."""


def kind_of(task: Task) -> Kind:
    """The kind of a task's models.

    Raises:
        ExportError: None is known.
    """
    try:
        return KINDS[task.hub_task]
    except KeyError:
        raise ExportError(
            f"Models for {task.hub_task!r} cannot be exported yet.",
            hint=f"Exported are: {', '.join(KINDS)}.",
        ) from None
