"""Loading the checkpoint that fine-tuning starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nlplug.errors import TrainingError
from nlplug.export.pretrained import first_problem, load_config, load_model
from nlplug.export.quiet import quiet, quiet_hub

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlplug.train.config import TrainConfig


@contextmanager
def loading(checkpoint: str, what: str) -> Iterator[None]:
    """Tell what cannot be loaded of a checkpoint whose files are checked.

    Args:
        checkpoint: A folder or a Hub id, after `check_source`, which parses its tokenizer.
        what: What it is, at the beginning of a sentence, such as ``The base``.

    Raises:
        TrainingError: In the block, its configuration, weights or tokenizer could not be loaded.
    """
    try:
        with quiet_hub():
            yield
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{what} {checkpoint!r} cannot be loaded: {first_problem(error)}",
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
    return load_body(
        auto_class,
        settings.base,
        config,
        attention=attention,
        new_head=labels is not None,
    )


def load_body(
    auto_class: Any, name: str, config: Any, *, new_head: bool = False, **settings: Any
) -> PreTrainedModel:
    """A model of which only the layers that answer the task may be new.

    transformers puts random weights in the place of those that a checkpoint does not have, or has
    in another shape.

    Args:
        auto_class: A class such as ``transformers.AutoModel``.
        name: A folder or a Hub id.
        config: From `load_config`.
        new_head: Whether a head of another shape is replaced by a new one.
        settings: Further arguments of `load_model`.

    Raises:
        OSError: There are no such weights.
        ValueError: The checkpoint is not a model of this class, or lacks weights.
    """
    model: PreTrainedModel
    with quiet():
        model, found = load_model(
            auto_class,
            name,
            config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **settings,
        )
    misfits = {key if isinstance(key, str) else key[0] for key in found["mismatched_keys"]}
    # Models without a task, from which many start, may lack the pooler.
    absent = {key for key in found["missing_keys"] if ".pooler." not in f".{key}"}
    inside = f"{model.base_model_prefix}."
    if any(key.startswith(inside) for key in model.state_dict()):
        absent = {key for key in absent if key.startswith(inside)}
        misfits = {key for key in misfits if key.startswith(inside) or not new_head}
    if lacking := sorted(misfits | absent):
        raise ValueError(
            f"It has no weights of the shape that its config.json says for {len(lacking)} tensors, "
            f"such as {lacking[0]}."
        )
    return model


def _set_first(config: Any, names: Iterable[str], value: float) -> None:
    """Set the first of these attributes that the config has."""
    for name in names:
        if hasattr(config, name):
            setattr(config, name, value)
            return
