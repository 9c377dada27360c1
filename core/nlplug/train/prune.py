"""Structured pruning: a checkpoint with narrower feed-forward layers.

The neurons that contribute least to the output of their layer are removed from the matrices, so
that the result is a smaller model of the same architecture. It has lost quality and is trained
again, best with the whole model as its teacher.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nlplug.data.formats import DataFile
from nlplug.data.readers import read_rows
from nlplug.errors import OptionError, TrainingError
from nlplug.export.pretrained import load_config, load_model
from nlplug.export.saved_tokenizer import read_tokenizer, save_tokenizer
from nlplug.models.atomic import Staged
from nlplug.train.probe import inputs_of
from nlplug.train.trainer import LAYER

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_log = logging.getLogger("nlplug.train")
_WIDTHS = ("intermediate_size", "hidden_dim")
"""The names that configurations have for the width of the feed-forward layers."""
_ROWS, _BATCH, _LONGEST = 256, 16, 256
_MULTIPLE = 8


def prune(
    checkpoint: str, output: Path, data: DataFile, *, keep: float, text_column: str = "text"
) -> Path:
    """Write a checkpoint whose feed-forward layers are narrower.

    A neuron counts by the mean size of its activation on the texts, times the length of the vector
    that it adds. The same number of neurons stays in all layers.

    Args:
        checkpoint: A folder or a Hub id.
        output: Folder of the new checkpoint.
        data: Texts to measure the activations on; 256 of them are read.
        keep: Share of the neurons that stay, between 0 and 1.
        text_column: Column with the text.

    Raises:
        OptionError: ``keep`` is not between 0 and 1, or ``output`` exists.
        TrainingError: The architecture has no feed-forward layers of this form.
        DataError: The file cannot be read.
    """
    if not 0 < keep < 1:
        raise OptionError(f"keep is {keep}.", hint="Give a share between 0 and 1, such as 0.5.")
    if output.exists():
        raise OptionError(f"{output} exists.", hint="Name another folder.")
    try:
        config = load_config(checkpoint)
        model = load_model(_class_of(config), checkpoint, config)
        tokenizer = read_tokenizer(checkpoint)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"The checkpoint {checkpoint!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="Give a folder with config.json, weights and tokenizer, or a Hub id.",
        ) from None
    texts = [row.text(text_column) for row in read_rows(data, limit=_ROWS)]
    before = model.num_parameters()
    width = _narrow(model, tokenizer, texts, keep)
    _log.info(
        "Feed-forward layers of %d neurons instead of %d; %.1f M parameters instead of %.1f M.",
        width[1],
        width[0],
        model.num_parameters() / 1e6,
        before / 1e6,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with Staged(output, folder=True) as staged:
        model.save_pretrained(staged.path)
        save_tokenizer(tokenizer, staged.path)
        staged.commit()
    return output


def _class_of(config: Any) -> Any:
    """The class of transformers that loads the checkpoint with its head."""
    import transformers

    names = re.findall(r"For[A-Za-z]+$", (config.architectures or [""])[0])
    found = getattr(transformers, f"AutoModel{names[0]}", None) if names else None
    return found or transformers.AutoModel


def _narrow(
    model: PreTrainedModel, tokenizer: Any, texts: Sequence[str], keep: float
) -> tuple[int, int]:
    """Remove neurons; returns the width before and after."""
    name = next((name for name in _WIDTHS if hasattr(model.config, name)), None)
    width = getattr(model.config, name) if name else 0
    blocks = _blocks(model, width, model.config.hidden_size) if width else []
    if name is None or not blocks:
        raise TrainingError(
            f"The architecture {model.config.model_type!r} has no feed-forward layers that can be "
            "made narrower.",
            hint="Encoders such as BERT, RoBERTa, MPNet and DistilBERT can.",
        )
    kept = max(_MULTIPLE, int(width * keep) // _MULTIPLE * _MULTIPLE)
    sizes = _activations(model, tokenizer, texts, [down for _, down in blocks])
    with torch.no_grad():
        for (ups, down), size in zip(blocks, sizes, strict=True):
            score = size * down.weight.norm(dim=0)
            index = score.topk(kept).indices.sort().values
            for up in ups:
                _keep(up, index, dim=0)
            _keep(down, index, dim=1)
    setattr(model.config, name, kept)
    return width, kept


def _blocks(
    model: PreTrainedModel, width: int, hidden: int
) -> list[tuple[list[nn.Linear], nn.Linear]]:
    """For each layer the linear layers that widen its vectors, and the one that narrows them."""
    found: dict[str, tuple[list[nn.Linear], list[nn.Linear]]] = defaultdict(lambda: ([], []))
    for name, module in model.named_modules():
        layer = LAYER.search(f".{name}.")
        if not layer or not isinstance(module, nn.Linear):
            continue
        ups, downs = found[layer[1]]
        if (module.in_features, module.out_features) == (hidden, width):
            ups.append(module)
        elif (module.in_features, module.out_features) == (width, hidden):
            downs.append(module)
    return [(ups, downs[0]) for ups, downs in found.values() if ups and len(downs) == 1]


def _activations(
    model: PreTrainedModel, tokenizer: Any, texts: Sequence[str], layers: Sequence[nn.Linear]
) -> list[torch.Tensor]:
    """The mean size of each input of some layers, over all tokens of the texts."""
    totals = [torch.zeros(layer.in_features) for layer in layers]
    count = 0
    model.eval()
    with ExitStack() as stack, torch.inference_mode():
        seen = [stack.enter_context(inputs_of(layer)) for layer in layers]
        for batch in _batches(texts):
            encoded = tokenizer(
                batch, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
            )
            model(**encoded)
            tokens = encoded["attention_mask"].bool()
            count += int(tokens.sum())
            for total, inputs in zip(totals, seen, strict=True):
                total += inputs.pop()[tokens].abs().sum(0)
    return [total / max(count, 1) for total in totals]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _BATCH):
        yield list(texts[start : start + _BATCH])


def _keep(layer: nn.Linear, index: torch.Tensor, *, dim: int) -> None:
    """Keep some outputs (``dim`` 0) or inputs (1) of a layer."""
    layer.weight = nn.Parameter(layer.weight.index_select(dim, index).contiguous())
    if dim == 0 and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[index].contiguous())
    layer.out_features, layer.in_features = layer.weight.shape
