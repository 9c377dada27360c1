"""The record of a family, which training, export, evaluation, server and UI read.

A family is one kind of model with its tasks, its training and its scoring. No other package names
a family; each reads this record instead. A plugin adds a family by defining such a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Fields that refer to code are written ``module:name``, so the record does not import it.

    Attributes:
        name: Name of the family, such as ``token_classification``.
        auto_class: The class of transformers that loads its checkpoints, such as
            ``AutoModelForTokenClassification``; empty if the family cannot be exported.
        exported_as: Optimum's name for such a model, such as ``token-classification``.
        precisions: The precisions that it can be exported in; the first is compared with PyTorch.
        training: The `nlplug.train.recipe.Recipe` that trains it; empty: no training.
        settings: The settings of a training run: `nlplug.train.config.TrainConfig`, or a subclass
            with further settings.
        contents: The `nlplug.data.contents.Contents` that reads the rows of its data; empty: its
            data is not checked before training.
        corrections: The `nlplug.data.corrections.Corrections` that stores corrected answers as
            rows; empty: answers cannot be corrected.
        plan: A function of the number of training rows and the base that chooses settings which are
            not given, as `nlplug.train.plan.encoder_plan`; empty: the defaults are used.
        pretraining: The settings of training from scratch, a subclass of
            `nlplug.train.pretrain_config.PretrainConfig`; empty: no training from scratch.
        scoring: The `nlplug.evaluation.base.Evaluation` that scores its answers; empty: no scoring.
        exporter: The function that builds and checks the graphs, as `nlplug.export.one_pass.make`.
        calibrator: The function that fixes the scales of a bundle's int8 graphs, as
            `nlplug.export.one_pass.calibrate`.
        held_out: The function that fits to held-out rows what decides about the answers of a model
            (temperature, label sets, a threshold), as
            `nlplug.families.sequence_classification.held_out.fit`; empty: nothing is fitted.
        gate_inputs: A function ``(sentences) -> list[dict]`` that makes inputs for the quality gate
            if no data is given; empty: the examples of the task are used.
        gate_options: Options that the gate sets, where a task cannot answer with its defaults.
        hub_shape: The `nlplug.server.protocols.shapes.Shape` of its replies over HTTP.
        distils: Whether its recipe learns from a teacher; see `nlplug.train.recipe.Recipe.taught`.
        private: Whether its training can be differentially private: an item of the training set is
            of one row, and `nlplug.train.recipe.Recipe.loss` needs nothing but ``logits``.
        labelled: Whether its models have labels, which the manifest of a bundle lists.
        streams: Whether an answer is a text that can be returned while it is generated.
        continues_input: Whether an answer continues the text of its input.
        architectures: The architectures that ``nlplug pretrain`` can train, the default first.
    """

    name: str
    auto_class: str = ""
    exported_as: str = ""
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    training: str = ""
    settings: str = "nlplug.train.config:TrainConfig"
    contents: str = ""
    corrections: str = ""
    plan: str = ""
    pretraining: str = ""
    scoring: str = ""
    exporter: str = "nlplug.export.one_pass:make"
    calibrator: str = "nlplug.export.one_pass:calibrate"
    held_out: str = ""
    gate_inputs: str = "nlplug.families.family:texts"
    gate_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hub_shape: str = "nlplug.server.protocols.shapes:PLAIN"
    distils: bool = False
    private: bool = False
    labelled: bool = False
    streams: bool = False
    continues_input: bool = False
    architectures: tuple[str, ...] = ()


def load(reference: str) -> Any:
    """Import the object ``module:name``.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module does not have the name.
    """
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def texts(sentences: tuple[str, ...]) -> list[dict[str, Any]]:
    """One input per sentence, for families that take one text."""
    return [{"text": sentence} for sentence in sentences]
