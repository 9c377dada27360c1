"""From the outputs of a graph to those that a task reads, checked once per batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import BundleError

if TYPE_CHECKING:
    from nlplug.models.signature import Signature
    from nlplug.runtime.model import TaskModel

# Outputs that are no answer of any head: a graph that has only these is a bare encoder.
_HIDDEN = frozenset(
    {
        "last_hidden_state",
        "hidden_states",
        "pooler_output",
        "token_embeddings",
        "sentence_embedding",
        "attentions",
    }
)
_HEADS = frozenset({"logits", "start_logits", "end_logits"})
_CACHE = ("present", "past_key_values", "encoder_", "cross")
_SPANS = re.compile(r"start|end")
_PROBABILITIES = re.compile(r"prob|softmax|sigmoid", re.IGNORECASE)


class GraphOutputs:
    """Finds and checks the outputs that a task reads.

    An output is taken by its name (``logits``); else by the part of its name that tells start from
    end; else by its position, where the graph's own names say nothing (``output_0``).

    Args:
        signature: What the graph declares.
        model: Says which outputs it reads, with how many axes, and how many labels it has.

    Raises:
        BundleError: The graph has another head; the message says which.
    """

    def __init__(self, signature: Signature, model: TaskModel[Any, Any]) -> None:
        self._signature = signature
        self._rank = model.output_rank
        self._labels = model.output_width
        self._least = model.output_least
        self._token_level = model.token_level
        self._names = _chosen(signature, model)
        for name in self._names.values():
            if name in signature.probabilities or _PROBABILITIES.search(name):
                raise BundleError(
                    f"The graph {signature.source} gives {name} that are probabilities; this task "
                    "computes them itself, from logits.",
                    hint="Export the model again with `nlplug export`, which leaves the softmax "
                    "out.",
                )
            shape = signature.outputs[name].shape
            if shape is not None:
                self._check_shape(name, shape)

    def read(
        self, batch: Mapping[str, np.ndarray], lengths: Sequence[int]
    ) -> list[dict[str, np.ndarray]]:
        """The outputs of each row, the batch axis and the padding taken off.

        Args:
            batch: The graph's outputs by name, of one batch.
            lengths: Tokens of each row.

        Raises:
            BundleError: An output has another shape than the task reads, or holds NaN or infinity.
        """
        rows: list[dict[str, np.ndarray]] = [{} for _ in lengths]
        for ours, name in self._names.items():
            array = batch[name]
            self._check_shape(name, array.shape)
            if len(array) < len(lengths) or (
                self._token_level and (array.ndim < 2 or array.shape[1] < max(lengths))
            ):
                raise BundleError(
                    f"The graph {self._signature.source} gives {name} of the shape {array.shape} "
                    f"for {len(lengths)} rows of up to {max(lengths)} tokens.",
                    hint="Export the model again with `nlplug export`.",
                )
            finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
            for index, length in enumerate(lengths):
                own = array[index, :length] if self._token_level else array[index]
                if not finite and not np.isfinite(own).all():  # padding may have any value
                    raise BundleError(
                        f"The graph {self._signature.source} gives {name} that are NaN or "
                        "infinite.",
                        hint="Try another precision, or export the model again.",
                    )
                rows[index][ours] = own
        return rows

    def _check_shape(self, name: str, shape: Sequence[int | None]) -> None:
        rank, width = len(shape), shape[-1] if shape else None
        if self._rank is not None and rank != self._rank:
            raise self._signature.for_another_task(
                f"its {name} have {rank} axes{_meaning(rank)}, and this task reads "
                f"{self._rank}{_meaning(self._rank)}"
            )
        if width is not None and width < self._least:
            raise self._signature.for_another_task(
                f"its {name} have {width} values{_per(self._token_level)}, and this task reads one "
                f"for each of {self._least:,} tokens"
            )
        if self._labels is not None and width is not None and width != self._labels:
            raise BundleError(
                f"The graph {self._signature.source} gives {width} {name}"
                f"{_per(self._token_level)}, but its config.json names "
                f"{self._labels} labels.",
                hint="Correct id2label in config.json, or export the model again.",
            )


def _per(token_level: bool) -> str:
    return " per token" if token_level else ""


def _meaning(rank: int) -> str:
    return {2: " (scores of a whole text)", 3: " (scores of each token)"}.get(rank, "")


def _chosen(signature: Signature, model: TaskModel[Any, Any]) -> dict[str, str]:
    """Which output is read under which name."""
    there, required = signature.outputs, model.required_outputs
    found = {name: name for name in required if name in there}
    missing = sorted(required - set(found), reverse=True)  # start before end
    free = [
        name
        for name in there
        if name not in _HIDDEN | _HEADS and not name.startswith(_CACHE) and name not in found
    ]
    if len(missing) == len(required) and not _HEADS & set(there):
        fitting = [name for name in free if _fits(signature.outputs[name].shape, model)]
        named = [[other for other in free if _word(name) in other.lower()] for name in missing]
        if all(len(like) == 1 for like in named):
            found = {name: like[0] for name, like in zip(missing, named, strict=True)}
        elif len(missing) == 1:
            unnamed = [name for name in fitting or free if not _SPANS.search(name.lower())]
            if len(unnamed) > 1:
                raise BundleError(
                    f"The graph {signature.source} gives {', '.join(unnamed)}; which of them are "
                    f"the {missing[0]} is unknown.",
                    hint=f"Name that output {missing[0]}, or export the model again with "
                    "`nlplug export`.",
                )
            found = dict(zip(missing, unnamed, strict=False))
        elif len(fitting) == len(missing):
            found = dict(zip(missing, fitting, strict=True))
        missing = sorted(required - set(found))
    if missing:
        raise signature.for_another_task(
            f"it gives {', '.join(there)}, but this task needs {', '.join(sorted(missing))}"
        )
    return found


def _word(name: str) -> str:
    return name.removesuffix("_logits")


def _fits(shape: Sequence[int | None] | None, model: TaskModel[Any, Any]) -> bool:
    """Whether an output may be one that a task reads, as far as its shape is declared."""
    if shape is None:
        return True
    if model.output_rank is not None and len(shape) != model.output_rank:
        return False
    width = shape[-1] if shape else None
    return None in (width, model.output_width) or width == model.output_width
