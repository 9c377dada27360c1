"""Loading the checkpoint that fine-tuning starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nlplug.errors import TrainingError
from nlplug.export.preflight.files import check_source
from nlplug.export.pretrained import load_config, load_model
from nlplug.export.quiet import quiet_hub

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlplug.train.config import TrainConfig


@contextmanager
def loading(checkpoint: str, what: str) -> Iterator[None]:
    """Check the files of a checkpoint, and tell what cannot be loaded of it.

    Args:
        checkpoint: A folder or a Hub id.
        what: What it is, at the beginning of a sentence, such as ``The base``.

    Raises:
        ModelNotFound: There is no such folder, and no such repository within reach.
        ExportError: Its files are truncated or unreadable.
        TrainingError: In the block, its configuration, weights or tokenizer could not be loaded.
    """
    check_source(checkpoint)
    try:
        with quiet_hub():
            yield
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{what} {checkpoint!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="Give a folder with config.json, weights and tokenizer, or a Hub id.",
        ) from None


def load_base(
    settings: TrainConfig,
    auto_class: Any,
    *,
    labels: Sequence[str] | None = None,
    attention: str | None = None,
    **values: Any,
) -> PreTrainedModel:
    """The model of ``settings.base``, with the dropout of the settings.

    Args:
        settings: The settings of the run.
        auto_class: The class of transformers that loads the model, such as
            ``AutoModelForTokenClassification``.
        labels: Labels of a classifier in the order of their ids; a head of the checkpoint for
            another number of labels is replaced by a new one. None for models without labels.
        attention: See `load_model`.
        **values: Further values of the model's config.

    Raises:
        OSError: There is no such checkpoint.
        ValueError: The checkpoint is not a model of this class.
    """
    config = load_config(settings.base)
    if labels is not None:
        values["id2label"] = dict(enumerate(labels))
        values["label2id"] = {label: i for i, label in enumerate(labels)}
    for name, value in values.items():
        setattr(config, name, value)
    if settings.dropout is not None:
        _set_first(config, ("hidden_dropout_prob", "dropout"), settings.dropout)
        # PyTorch's fast attention has no dropout; with dropout training is 3 times slower on a CPU.
        _set_first(config, ("attention_probs_dropout_prob", "attention_dropout"), 0.0)
    model: PreTrainedModel = load_model(
        auto_class,
        settings.base,
        config,
        attention=attention,
        ignore_mismatched_sizes=labels is not None,
    )
    return model


def _set_first(config: Any, names: Iterable[str], value: float) -> None:
    """Set the first of these attributes that the config has."""
    for name in names:
        if hasattr(config, name):
            setattr(config, name, value)
            return
