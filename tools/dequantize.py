"""The float32 checkpoint of an embedded int8 model, to go on training where none was kept.

The weights are those of the int8 graph times their scales. What the export changed so that
activations round better is changed back: in a BERT it scales the outputs of norms and of
activations by channel, and the weights behind them the other way. In a Marian it moves the scale
of the embeddings into their weights, and out of the last norm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from nlplug import Bundle
from nlplug.export.pooling import KEY, pooled_class
from nlplug.models.atomic import Staged
from nlplug.models.layout import CONFIG_MARK

_OF_THE_BUNDLE = {CONFIG_MARK, KEY, "problem_type", "id2label", "label2id"}
"""Entries of its ``config.json`` that are not those of the encoder."""
_POOLER, _LAST = "bert.pooler.dense", ("classifier.", "qa_outputs.")
_PRODUCTS = ("attention.output.dense", "intermediate.dense", "output.dense")


def dequantized(bundle: Bundle, target: Path, *, head: bool = False) -> Path:
    """Write the encoder of a bundle as a checkpoint of ``BertModel`` with its tokenizer.

    Args:
        bundle: A bundle of a BERT whose int8 graph has fused attention and fixed scales.
        target: The folder of the checkpoint, which is written where it is missing.
        head: Write the whole model instead: the encoder, and the layer that answers its task.

    Returns:
        ``target``.
    """
    if target.is_dir():
        return target
    import torch
    import transformers

    values = json.loads((bundle.path / "config.json").read_text(encoding="utf-8"))
    own = _OF_THE_BUNDLE - {"id2label", "label2id", KEY} if head else _OF_THE_BUNDLE
    config = transformers.BertConfig(**{name: values[name] for name in values.keys() - own})
    graph = onnx.load(bundle.path / "onnx" / "model_int8.onnx").graph
    state = {name: torch.from_numpy(value) for name, value in _state(graph).items()}
    if head:
        kind = getattr(transformers, values["architectures"][0].removeprefix("Pooled"))
        model = (pooled_class(kind) if KEY in values else kind)(config)
        state = {f"bert.{name}": value for name, value in state.items()}
        state |= {name: torch.from_numpy(value) for name, value in _head(graph).items()}
    else:
        model = transformers.BertModel(config, add_pooling_layer=False)
    model.load_state_dict(state)
    with Staged(target, folder=True) as staged:
        model.save_pretrained(staged.path)
        transformers.AutoTokenizer.from_pretrained(bundle.path).save_pretrained(staged.path)
        staged.commit()
    return target


def _state(graph: Any) -> dict[str, np.ndarray]:
    values = {
        initializer.name: numpy_helper.to_array(initializer).astype(np.float32)
        for initializer in graph.initializer
    }
    sources = {output: node for node in graph.node for output in node.output}
    state = {
        name.removeprefix("bert."): value
        for name, value in values.items()
        if name.startswith("bert.")
        and not name.startswith(_POOLER)
        and not name.endswith(("_int8", "_scale", "_smooth"))
    }
    for name in ("word_embeddings", "position_embeddings"):
        own = f"embeddings.{name}.weight"
        state[own] = values[f"bert.{own}_int8"] * values[f"bert.{own}_scale"]
    attentions = [node for node in graph.node if node.op_type == "QAttention"]
    products = [node for node in graph.node if _is_product(node, values)]
    for layer, node in enumerate(attentions):
        weight, bias = _layer(node.input, (1, 2, 4), values, sources)
        start = f"encoder.layer.{layer}"
        for name, part, shift in zip(
            ("query", "key", "value"), np.split(weight, 3, 1), np.split(bias, 3), strict=True
        ):
            state[f"{start}.attention.self.{name}.weight"] = np.ascontiguousarray(part.T)
            state[f"{start}.attention.self.{name}.bias"] = shift
        behind = products[layer * len(_PRODUCTS) : (layer + 1) * len(_PRODUCTS)]
        for name, product in zip(_PRODUCTS, behind, strict=True):
            if product.op_type == "MatMul":  # left in float; its bias is under its own name
                weight = values[product.input[1]]
            else:
                weight, bias = _layer(product.input, (1, 6, 3), values, sources)
                state[f"{start}.{name}.bias"] = bias
            state[f"{start}.{name}.weight"] = np.ascontiguousarray(weight.T)
    return state


def _is_product(node: Any, values: dict[str, np.ndarray]) -> bool:
    """Whether a node multiplies by weights, in int8 or in float."""
    kind = node.op_type
    return kind == "MatMulIntegerToFloat" or (kind == "MatMul" and node.input[1] in values)


def _head(graph: Any) -> dict[str, np.ndarray]:
    """Weights and biases of the layers behind the encoder."""
    values = {value.name: numpy_helper.to_array(value).copy() for value in graph.initializer}
    state = {
        name: value
        for name, value in values.items()
        if name.endswith((".weight", ".bias")) and name.startswith((_POOLER, *_LAST))
    }
    if f"{_POOLER}.weight_t_int8" in values:
        weight = values[f"{_POOLER}.weight_t_int8"] * values[f"{_POOLER}.weight_t_scale"]
        state[f"{_POOLER}.weight"] = np.ascontiguousarray(weight.T)
    bias = next(name for name in state if name.startswith(_LAST) and name.endswith(".bias"))
    weight_name = f"{bias.removesuffix('.bias')}.weight"
    if weight_name not in state:  # the product of a token's vector is written transposed
        product = [node for node in graph.node if _is_product(node, values)][-1]
        state[weight_name] = np.ascontiguousarray(values[product.input[1]].T)
    return state


def _layer(
    inputs: Sequence[str],
    places: tuple[int, int, int],
    values: dict[str, np.ndarray],
    sources: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (inputs, outputs) and bias of a product, as before the scaling of its inputs.

    Args:
        inputs: Names of the inputs of the product; the first one is quantized.
        places: Where weight, bias and scale are among them.
        values: All initializers.
        sources: The node that computes a value.
    """
    weight, bias, scale = (values[inputs[place]] for place in places)
    weight = weight * scale
    node = sources[sources[inputs[0]].input[0]]
    if node.op_type == "LayerNormalization" and node.input[1].endswith("_gamma"):
        norm = next(
            other
            for other in sources.values()
            if other.op_type == node.op_type
            and other.input[0] == node.input[0]
            and not other.input[1].endswith("_gamma")
        )
        factor = values[node.input[1]] / values[norm.input[1]]
        moved = values[node.input[2]] - factor * values[norm.input[2]]
        return factor[:, None] * weight, bias + moved @ weight
    if node.op_type == "Mul" and node.input[1] in values:
        return values[node.input[1]][:, None] * weight, bias
    return weight, bias


def dequantized_marian(bundle: Bundle, target: Path) -> Path:
    """Write a bundle of a Marian as a checkpoint of ``MarianMTModel`` with its tokenizer.

    Args:
        bundle: A bundle with int8 graphs that the export has written from the weights.
        target: The folder of the checkpoint, which is written where it is missing.

    Returns:
        ``target``.
    """
    if target.is_dir():
        return target
    import torch
    import transformers

    values = json.loads((bundle.path / "config.json").read_text(encoding="utf-8"))
    config = transformers.MarianConfig(
        **{name: values[name] for name in values.keys() - _OF_THE_BUNDLE}
    )
    model = transformers.MarianMTModel(config)
    state = {name: torch.from_numpy(value) for name, value in _marian(bundle.path, config).items()}
    # Positions are computed; the embeddings of both sides and of the output are those of "shared".
    lacking = [name for name, _ in model.named_parameters() if name not in state]
    lacking = [name for name in lacking if "embed_positions" not in name]
    if lacking:
        raise ValueError(f"{bundle.path} has no weights for {lacking}")
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    with Staged(target, folder=True) as staged:
        model.save_pretrained(staged.path)
        transformers.AutoTokenizer.from_pretrained(bundle.path).save_pretrained(staged.path)
        staged.commit()
    return target


def _marian(folder: Path, config: Any) -> dict[str, np.ndarray]:
    encoder = _scaled(folder / "onnx" / "encoder_model_int8.onnx")
    decoder = _scaled(folder / "onnx" / "decoder_model_merged_int8.onnx")
    root = config.d_model**0.5 if config.scale_embedding else 1.0
    state = {"model.shared.weight": np.ascontiguousarray(decoder["embeddings.weight"].T / root)}

    def put(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        state[f"{name}.weight"] = np.ascontiguousarray(weight.T)
        state[f"{name}.bias"] = bias

    def layer(values: dict[str, np.ndarray], side: str, index: int, norms: Sequence[str]) -> str:
        """Put what layers of both sides have; returns the start of the layer's names."""
        start, own = f"model.{side}.layers.{index}", f"layers.{index}"
        weights = np.split(values[f"{own}.qkv.weight"], 3, 1)
        biases = np.split(values[f"{own}.qkv.bias"], 3)
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            put(f"{start}.self_attn.{letter}_proj", weight, bias)
        for name, part in (("self_attn.out_proj", "out"), ("fc1", "up"), ("fc2", "down")):
            put(f"{start}.{name}", values[f"{own}.{part}.weight"], values[f"{own}.{part}.bias"])
        for place, name in enumerate(norms, start=1):
            for kind in ("weight", "bias"):
                state[f"{start}.{name}.{kind}"] = values[f"{own}.norm_{place}.{kind}"]
        return start

    for index in range(config.encoder_layers):
        layer(encoder, "encoder", index, ("self_attn_layer_norm", "final_layer_norm"))
    # The keys and values of the source, for all layers of the decoder.
    weights = np.split(encoder["cross.weight"], 2 * config.decoder_layers, 1)
    biases = np.split(encoder["cross.bias"], 2 * config.decoder_layers)
    norms = ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
    for index in range(config.decoder_layers):
        start, own = layer(decoder, "decoder", index, norms), f"layers.{index}"
        for letter, place in (("k", 2 * index), ("v", 2 * index + 1)):
            put(f"{start}.encoder_attn.{letter}_proj", weights[place], biases[place])
        for name, part in (("q_proj", "cross_query"), ("out_proj", "cross_out")):
            weight, bias = decoder[f"{own}.{part}.weight"], decoder[f"{own}.{part}.bias"]
            put(f"{start}.encoder_attn.{name}", weight, bias)
    last = f"model.decoder.layers.{config.decoder_layers - 1}.final_layer_norm"
    for kind in ("weight", "bias"):
        state[f"{last}.{kind}"] = state[f"{last}.{kind}"] * np.float32(root)
    return state


def _scaled(file: Path) -> dict[str, np.ndarray]:
    """The weights and biases of a graph as float32, by their names."""
    values = {
        value.name: numpy_helper.to_array(value) for value in onnx.load(file).graph.initializer
    }
    found = {}
    for name, value in values.items():
        if name.endswith("_int8"):
            own = name.removesuffix("_int8")
            scale = values[f"{own}_scale"].astype(np.float32)
            # One scale per column, or per row where rows are looked up.
            by_row = value.shape[-1] != scale.size
            found[own] = value.astype(np.float32) * (scale[:, None] if by_row else scale)
    return found | {
        name: value.astype(np.float32)
        for name, value in values.items()
        if name.endswith((".weight", ".bias"))
    }
