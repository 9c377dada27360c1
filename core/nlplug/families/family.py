"""The record of a family: what training, export, evaluation, server and UI need to know of it.

A family is one kind of model with what belongs to it: its tasks, its training, its scores. No
other package knows families by name; each reads this record instead. A plugin brings a family of
its own by writing such a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Fields that name code are written ``module:name``, so that reading the record imports nothing.

    Attributes:
        name: Name of the family, such as ``token_classification``.
        auto_class: The class of transformers that loads its checkpoints, such as
            ``AutoModelForTokenClassification``; empty where nothing can be exported.
        exported_as: Optimum's name for such a model, such as ``token-classification``.
        precisions: The precisions that it can be exported in. PyTorch is compared with the first.
        training: The `nlplug.train.recipe.Recipe` that trains it; empty for none.
        settings: The settings of a training run: `nlplug.train.config.TrainConfig`, or a subclass
            with what such a family has beyond the others.
        pretraining: The settings of a run from scratch, a subclass of
            `nlplug.train.pretrain_config.PretrainConfig`; empty where there is no such run.
        scoring: The `nlplug.evaluation.base.Evaluation` that scores its answers; empty for none.
        exporter: The function that builds and judges the graphs, as `nlplug.export.one_pass.make`.
        gate_inputs: A function ``(sentences) -> list[dict]`` that makes inputs for the gate where
            no data is given; empty where the examples of the task have to do.
        hub_shape: The `nlplug.server.protocols.shapes.Shape` of its replies over HTTP.
        labelled: Whether its models give labels, which a bundle's manifest then lists.
        streams: Whether an answer is a text that can be given out while it is made.
        continues_input: Whether an answer continues the text of its input.
        architectures: The architectures that ``nlplug pretrain`` makes, the default one first.
    """

    name: str
    auto_class: str = ""
    exported_as: str = ""
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    training: str = ""
    settings: str = "nlplug.train.config:TrainConfig"
    pretraining: str = ""
    scoring: str = ""
    exporter: str = "nlplug.export.one_pass:make"
    gate_inputs: str = "nlplug.families.family:texts"
    hub_shape: str = "nlplug.server.protocols.shapes:PLAIN"
    labelled: bool = False
    streams: bool = False
    continues_input: bool = False
    architectures: tuple[str, ...] = ()


def load(reference: str) -> Any:
    """The object that ``module:name`` names.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
    """
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def texts(sentences: tuple[str, ...]) -> list[dict[str, Any]]:
    """One input for each sentence, for families that take one text."""
    return [{"text": sentence} for sentence in sentences]
