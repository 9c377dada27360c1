"""Structured pruning: a checkpoint with narrower feed-forward layers and fewer attention heads.

The neurons and heads that contribute least to the output of their layer are removed from the
matrices, so that the result is a smaller model of the same architecture. It has lost quality and is
trained again, best with the whole model as its teacher.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nlplug.data.annotated import text_of
from nlplug.data.formats import DataFile
from nlplug.data.readers import read_rows
from nlplug.errors import DataError, OptionError, TrainingError
from nlplug.export.preflight.files import check_source
from nlplug.export.pretrained import load_config
from nlplug.export.saved_tokenizer import read_tokenizer, save_tokenizer
from nlplug.models.atomic import Staged
from nlplug.train.checkpoint import load_body, loading
from nlplug.train.heads import head_layers, remove_heads
from nlplug.train.layers import LAYER
from nlplug.train.probe import inputs_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_log = logging.getLogger("nlplug.train")
_WIDTHS = ("intermediate_size", "hidden_dim")
"""The names that configurations have for the width of the feed-forward layers."""
_ROWS, _BATCH, _LONGEST = 256, 16, 256
_MULTIPLE = 8


def prune(
    checkpoint: str,
    output: Path,
    data: DataFile,
    *,
    keep: float,
    keep_heads: float = 1.0,
    text_column: str = "text",
) -> Path:
    """Write a checkpoint whose layers have fewer feed-forward neurons and attention heads.

    A neuron or a head counts by the mean length of the vector that it adds to its layer, on the
    texts. The same number of neurons and of heads stays in all layers.

    Args:
        checkpoint: A folder or a Hub id.
        output: Folder of the new checkpoint.
        data: Texts to measure the activations on; 256 of them are read.
        keep: Share of the neurons that stay, above 0; 1: all.
        keep_heads: Share of the attention heads that stay, above 0; 1: all.
        text_column: Column with the text; rows without it may have tokens.

    Raises:
        OptionError: A share is not above 0 and at most 1, or both are 1, or ``output`` exists.
        ModelNotFound: There is no such checkpoint within reach.
        ExportError: Its files are truncated or unreadable.
        TrainingError: The architecture has no layers of this form.
        DataError: The file cannot be read, or has no rows.
    """
    for name, share in (("keep", keep), ("keep_heads", keep_heads)):
        if not 0 < share <= 1:
            raise OptionError(f"{name} is {share}.", hint="Give a share up to 1, such as 0.5.")
    if keep == keep_heads == 1:
        raise OptionError(
            "keep and keep_heads are 1, so nothing is removed.", hint="Give a share below 1."
        )
    if output.exists():
        raise OptionError(f"{output} exists.", hint="Name another folder.")
    check_source(checkpoint)
    with loading(checkpoint, "The checkpoint"):
        config = load_config(checkpoint)
        model = load_body(_class_of(config), checkpoint, config)
        tokenizer = read_tokenizer(checkpoint)
    texts = [text_of(row, text_column) for row in read_rows(data, limit=_ROWS)]
    if not texts:
        raise DataError(f"{data.path} has no rows.", hint="Give a file of texts.")
    batches = [
        tokenizer(
            texts[i : i + _BATCH],
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
        )
        for i in range(0, len(texts), _BATCH)
    ]
    before = model.num_parameters()
    done = []
    if keep_heads < 1:
        done.append(
            "{1} attention heads instead of {0}".format(*_remove_heads(model, batches, keep_heads))
        )
    if keep < 1:
        done.append(
            "{1} feed-forward neurons instead of {0}".format(*_narrow(model, batches, keep))
        )
    _log.info(
        "In each layer %s; %.1f M parameters instead of %.1f M.",
        " and ".join(done),
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


def _remove_heads(model: PreTrainedModel, batches: Sequence[Any], keep: float) -> tuple[int, int]:
    """Remove heads; returns the number of a layer before and after."""
    layers = head_layers(model)
    most = max(len(each.heads) for each in layers)
    kept = max(1, int(most * keep))
    sizes = _sums(model, batches, [each.output for each in layers], [each.added for each in layers])
    remove_heads(model, layers, sizes, kept, dict(batches[0]))
    return most, kept


def _narrow(model: PreTrainedModel, batches: Sequence[Any], keep: float) -> tuple[int, int]:
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
    downs = [down for _, down in blocks]
    sizes = _sums(model, batches, downs, [lambda inputs: inputs.abs().sum(0)] * len(downs))
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


def _sums(
    model: PreTrainedModel,
    batches: Sequence[Any],
    layers: Sequence[nn.Linear],
    measures: Sequence[Callable[[torch.Tensor], torch.Tensor]],
) -> list[torch.Tensor]:
    """For each layer the sum of a measure of its inputs, shape (tokens, inputs), over all texts."""
    totals: list[list[torch.Tensor]] = [[] for _ in layers]
    model.eval()
    with ExitStack() as stack, torch.inference_mode():
        seen = [stack.enter_context(inputs_of(layer)) for layer in layers]
        for batch in batches:
            model(**batch)
            tokens = batch["attention_mask"].bool()
            for total, inputs, measure in zip(totals, seen, measures, strict=True):
                total.append(measure(inputs.pop()[tokens]))
    return [torch.stack(total).sum(0) for total in totals]


def _keep(layer: nn.Linear, index: torch.Tensor, *, dim: int) -> None:
    """Keep some outputs (``dim`` 0) or inputs (1) of a layer."""
    layer.weight = nn.Parameter(layer.weight.index_select(dim, index).contiguous())
    if dim == 0 and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[index].contiguous())
    layer.out_features, layer.in_features = layer.weight.shape
