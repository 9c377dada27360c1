"""What happens inside a model while it writes a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlplug.inside.attention import AttentionReader
from nlplug.inside.part import GraphPart
from nlplug.models.graph import Graph
from nlplug.models.signature import Signature, TensorInfo
from nlplug.runtime.decoding.decoder import DecoderSpec, EncoderDecoderSpec
from nlplug.runtime.decoding.fast import prompt_inputs

_PAST = "past_key_values."


def causal_layers(path: Path, spec: DecoderSpec, ids: Sequence[int]) -> list[np.ndarray]:
    """The attention weights of a causal model that reads tokens in one run.

    Args:
        path: Its graph, in the fast form or as Optimum exports it.
        spec: Its shape.
        ids: The tokens.

    Returns:
        For each layer float32 of shape (heads, tokens, tokens).

    Raises:
        BundleError: No attention was found in the graph.
    """
    inputs, length = Signature.read(path).inputs, len(ids)
    fast = "seqlens_k" in inputs
    feeds = prompt_inputs(spec, [ids], np.array([length], np.int32))
    feeds["attention_mask"] = np.ones((1, length), np.int64)
    feeds["top"] = np.array([1])
    feeds["position_ids"] = np.arange(length)[None]
    feeds |= _empty_cache(inputs, length if fast else 0)
    layers, _ = AttentionReader(path).read(feeds)
    return layers


def encoder_layers(path: Path, ids: Sequence[int]) -> list[np.ndarray]:
    """The attention weights of an encoder, for each layer (heads, tokens, tokens).

    Raises:
        BundleError: No attention was found in the graph.
    """
    layers, _ = AttentionReader(path).read(_source(ids))
    return layers


def decoder_layers(
    encoder: Path,
    decoder: Path,
    spec: EncoderDecoderSpec,
    source: Sequence[int],
    ids: Sequence[int],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The attention weights of a fast text-to-text model that writes a text, token by token.

    Args:
        encoder: The graph of its encoder.
        decoder: The graph of its decoder.
        spec: Its shape.
        source: The tokens of the source.
        ids: The tokens that the decoder reads, the start token included.

    Returns:
        Of the decoder's own attention for each layer (heads, tokens, tokens), and of the attention
        to the source (heads, tokens, source tokens).

    Raises:
        BundleError: No attention was found in a graph.
    """
    (cross,) = GraphPart(Graph.read(encoder), ["cross"]).run(_source(source)).values()
    inputs = Signature.read(decoder).inputs
    present = [name.replace(_PAST, "present.") for name in inputs if name.startswith(_PAST)]
    reader = AttentionReader(decoder, present)
    feeds = _source(source) | _empty_cache(inputs, len(ids))
    feeds["by_source"] = np.array([1, 1, spec.kv_heads * spec.head_size])
    feeds["top"] = np.array([1])
    for number, values in enumerate(cross):
        feeds[f"cross.{number // 2}.{('key', 'value')[number % 2]}"] = values
    own, other = [], []
    for place, token in enumerate(ids):
        feeds["input_ids"] = np.array([[token]])
        feeds["position_ids"] = np.array([[place]])
        feeds["seqlens_k"] = np.array([place], np.int32)
        feeds["total_sequence_length"] = np.array(place + 1, np.int32)
        layers, values = reader.read(feeds)
        # Each layer has an attention of its own tokens and then one of the source.
        own.append([_wide(layer, len(ids)) for layer in layers[::2]])
        other.append(layers[1::2])
        feeds |= {name.replace("present.", _PAST): values[name] for name in present}
    return [np.concatenate(one, axis=1) for one in zip(*own, strict=True)], [
        np.concatenate(one, axis=1) for one in zip(*other, strict=True)
    ]


def _source(ids: Sequence[int]) -> dict[str, np.ndarray]:
    """What an encoder may read."""
    return {
        "input_ids": np.array([ids]),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "source_lengths": np.array([len(ids)], np.int32),
    }


def _empty_cache(inputs: Mapping[str, TensorInfo], capacity: int) -> dict[str, np.ndarray]:
    found = {}
    for name, info in inputs.items():
        if name.startswith(_PAST) and info.shape is not None:
            _, heads, _, size = info.shape
            found[name] = np.zeros((1, heads or 1, capacity, size or 1), np.dtype(info.type))
    return found


def _wide(layer: np.ndarray, width: int) -> np.ndarray:
    """The weights with zeros for the keys that were not there yet."""
    return np.pad(layer, ((0, 0), (0, 0), (0, max(0, width - layer.shape[2]))))[:, :, :width]
