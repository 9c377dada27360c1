"""The float32 checkpoint of an int8 bundle, from which a training can go on.

The weights are those of the int8 graphs times their scales. What the export changed so that
activations round better is changed back: in a BERT it scales the outputs of norms and of
activations by channel, and the weights behind them the other way. In a Marian it moves the scale
of the embeddings into their weights, and out of the last norm. In a Llama it moves scales from one
weight into the next; both together compute what they did before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.extras import require
from nlplug.models.atomic import Staged
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIDENCE_FILE, CONFIG_FILE, CONFIG_MARK
from nlplug.models.manifest import is_listed

_OF_THE_HEAD = ("sentence_pooling", "problem_type", "id2label", "label2id")
"""Entries of ``config.json`` that are not those of the encoder."""
_POOLER, _LAST = "bert.pooler.dense", ("classifier.", "qa_outputs.")
_PRODUCTS = ("attention.output.dense", "intermediate.dense", "output.dense")
_GRAPH = "model_int8.onnx"

Weights = dict[str, np.ndarray]


def restored(bundle: Bundle, target: Path, *, head: bool = True) -> Path:
    """Write a bundle as a checkpoint of transformers, with its tokenizer.

    Args:
        bundle: A bundle with int8 graphs as the export writes them.
        target: The folder of the checkpoint. If it exists, nothing is done.
        head: Whether to write the layers that answer the task too. They can be left out of a BERT.

    Returns:
        ``target``.

    Raises:
        ExportError: The bundle has no int8 graph, its architecture is not BERT, Marian or Llama,
            or its graphs are not those that the export writes.
        MissingExtra: A package of the extra ``train`` is not installed.
    """
    if target.is_dir():
        return target
    config = json.loads((bundle.path / CONFIG_FILE).read_text(encoding="utf-8"))
    config.pop(CONFIG_MARK, None)
    kind = config.get("model_type")
    reader = _READERS.get(kind)
    if reader is None:
        raise _not_restored(bundle, f"its architecture is {kind!r}")
    try:
        weights = reader(bundle.path / "onnx", config)
        if not head:
            weights = {
                name.removeprefix("bert."): value
                for name, value in weights.items()
                if not name.startswith((_POOLER, *_LAST))
            }
    except FileNotFoundError as error:
        raise _not_restored(bundle, f"it has no file {Path(error.filename).name}") from None
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise _not_restored(bundle, "its graphs have another structure") from error
    if not head:
        config = {key: config[key] for key in config.keys() - _OF_THE_HEAD}
        config["architectures"] = ["BertModel"]
    save_file = require("safetensors.numpy", "train", purpose="Training").save_file
    target.parent.mkdir(parents=True, exist_ok=True)
    with Staged(target, folder=True) as staged:
        for file in bundle.path.iterdir():
            if file.is_file() and is_listed(file.name):
                shutil.copyfile(file, staged.path / file.name)
        # It describes the scores of the weights before.
        (staged.path / CONFIDENCE_FILE).unlink(missing_ok=True)
        (staged.path / CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
        save_file(weights, staged.path / "model.safetensors", metadata={"format": "pt"})
        staged.commit()
    return target


def _not_restored(bundle: Bundle, why: str) -> ExportError:
    return ExportError(
        f"The weights of {bundle.name} cannot be read back from its graphs: {why}.",
        hint="Name its PyTorch checkpoint, such as OUTPUT.training/model of its training.",
    )


def _graph(file: Path) -> Any:
    return require("onnx", "train", purpose="Training from a bundle").load(file).graph


def _arrays(graph: Any) -> Weights:
    to_array = require("onnx.numpy_helper", "train", purpose="Training from a bundle").to_array
    return {value.name: to_array(value) for value in graph.initializer}


def _bert(folder: Path, config: Any) -> Weights:
    graph = _graph(folder / _GRAPH)
    values = {name: value.astype(np.float32) for name, value in _arrays(graph).items()}
    state = _encoder(graph, values, config["num_hidden_layers"])
    return {f"bert.{name}": value for name, value in state.items()} | _head(graph, values)


def _encoder(graph: Any, values: Weights, layers: int) -> Weights:
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
        if own not in state:
            state[own] = values[f"bert.{own}_int8"] * values[f"bert.{own}_scale"]
    attentions = [node for node in graph.node if node.op_type == "QAttention"]
    products = [node for node in graph.node if _is_product(node, values)]
    for layer, node in zip(range(layers), attentions, strict=True):
        weight, bias = _layer(node.input, (1, 2, 4, 7), values, sources)
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
                weight, bias = _layer(product.input, (1, 6, 3, 5), values, sources)
                state[f"{start}.{name}.bias"] = bias
            state[f"{start}.{name}.weight"] = np.ascontiguousarray(weight.T)
    return state


def _is_product(node: Any, values: Weights) -> bool:
    """Whether a node multiplies by weights, in int8 or in float."""
    kind = node.op_type
    return kind == "MatMulIntegerToFloat" or (kind == "MatMul" and node.input[1] in values)


def _head(graph: Any, values: Weights) -> Weights:
    """Weights and biases of the layers behind the encoder."""
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
    places: tuple[int, int, int, int],
    values: Weights,
    sources: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (inputs, outputs) and bias of a product, as before the scaling of its inputs.

    Args:
        inputs: Names of the inputs of the product; the first one is quantized.
        places: Where weight, bias, scale and zero point of the weight are among them.
        values: All initializers.
        sources: The node that computes a value.
    """
    weight, bias, scale = (values[inputs[place]] for place in places[:3])
    zero = values.get(inputs[places[3]])
    if zero is not None and zero.any():
        raise ValueError("the weights have a zero point")
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


class _Read(dict[str, np.ndarray]):
    """Weights and biases of a graph as float32, by name, that know which of them were used."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._used: set[str] = set()
        values = _arrays(_graph(file))
        for name, value in values.items():
            if name.endswith((".weight", ".bias")):
                self[name] = value.astype(np.float32)
            elif name.endswith("_int8"):
                own = name.removesuffix("_int8")
                scale = values[f"{own}_scale"].astype(np.float32)
                # One scale per column, or per row where rows are looked up.
                by_row = value.shape[-1] != scale.size
                self[own] = value.astype(np.float32) * (scale[:, None] if by_row else scale)
            elif name.endswith("_blocks"):  # (columns, blocks, rows of a block), uint8 around 128
                own = name.removesuffix("_blocks")
                blocks = (value.astype(np.float32) - 128) * values[f"{own}_scale"][..., None]
                self[own] = blocks.reshape(len(value), -1).T

    def __getitem__(self, name: str) -> np.ndarray:
        self._used.add(name)
        return super().__getitem__(name)

    def check(self) -> None:
        """Raises ValueError if a weight was not used: the model has a part of another kind."""
        if unused := self.keys() - self._used:
            raise ValueError(f"unknown weights: {sorted(unused)}")


def _put(state: Weights, name: str, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Put a linear layer, whose weight (inputs, outputs) PyTorch has transposed."""
    state[f"{name}.weight"] = np.ascontiguousarray(weight.T)
    if bias is not None:
        state[f"{name}.bias"] = bias


def _llama(folder: Path, config: Any) -> Weights:
    values = _Read(folder / _GRAPH)
    heads = config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    key_heads = config.get("num_key_value_heads") or heads
    ends = [heads * size, (heads + key_heads) * size]
    state = {"model.norm.weight": values["final_norm.weight"]}
    _put(state, "model.embed_tokens", values["embeddings.weight"])
    if not config.get("tie_word_embeddings"):
        _put(state, "lm_head", values["head.weight"])
    for index in range(config["num_hidden_layers"]):
        start, own = f"model.layers.{index}", f"layers.{index}"
        state[f"{start}.input_layernorm.weight"] = values[f"{own}.norm_1.weight"]
        state[f"{start}.post_attention_layernorm.weight"] = values[f"{own}.norm_2.weight"]
        parts = np.split(values[f"{own}.qkv.weight"], ends, axis=1)
        for letter, weight in zip("qkv", parts, strict=True):
            _put(state, f"{start}.self_attn.{letter}_proj", weight)
        _put(state, f"{start}.self_attn.o_proj", values[f"{own}.out.weight"])
        gate, up = np.split(values[f"{own}.up.weight"], 2, axis=1)
        _put(state, f"{start}.mlp.gate_proj", gate)
        _put(state, f"{start}.mlp.up_proj", up)
        _put(state, f"{start}.mlp.down_proj", values[f"{own}.down.weight"])
    values.check()
    return state


def _marian(folder: Path, config: Any) -> Weights:
    encoder = _Read(folder / "encoder_model_int8.onnx")
    decoder = _Read(folder / "decoder_model_merged_int8.onnx")
    size, layers = config["d_model"], config["decoder_layers"]
    root = size**0.5 if config["scale_embedding"] else 1.0
    if encoder["embeddings.rows"].shape != decoder["embeddings.weight"].T.shape:
        raise ValueError("the languages have vocabularies of their own")
    state: Weights = {}
    _put(state, "model.shared", decoder["embeddings.weight"] / root)
    state["final_logits_bias"] = np.zeros((1, config["vocab_size"]), dtype=np.float32)

    def layer(values: Weights, side: str, index: int, norms: Sequence[str]) -> str:
        """Put what layers of both sides have; returns the start of the layer's names."""
        start, own = f"model.{side}.layers.{index}", f"layers.{index}"
        weights = np.split(values[f"{own}.qkv.weight"], 3, 1)
        biases = np.split(values[f"{own}.qkv.bias"], 3)
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            _put(state, f"{start}.self_attn.{letter}_proj", weight, bias)
        for name, part in (("self_attn.out_proj", "out"), ("fc1", "up"), ("fc2", "down")):
            linear = f"{own}.{part}"
            _put(state, f"{start}.{name}", values[f"{linear}.weight"], values[f"{linear}.bias"])
        for place, name in enumerate(norms, start=1):
            for kind in ("weight", "bias"):
                state[f"{start}.{name}.{kind}"] = values[f"{own}.norm_{place}.{kind}"]
        return start

    for index in range(config["encoder_layers"]):
        layer(encoder, "encoder", index, ("self_attn_layer_norm", "final_layer_norm"))
    # The keys and values of the source, for all layers of the decoder.
    weights = np.split(encoder["cross.weight"], 2 * layers, 1)
    biases = np.split(encoder["cross.bias"], 2 * layers)
    norms = ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
    for index in range(layers):
        start, own = layer(decoder, "decoder", index, norms), f"layers.{index}"
        for letter, place in (("k", 2 * index), ("v", 2 * index + 1)):
            _put(state, f"{start}.encoder_attn.{letter}_proj", weights[place], biases[place])
        for name, part in (("q_proj", "cross_query"), ("out_proj", "cross_out")):
            linear = f"{own}.{part}"
            weight, bias = decoder[f"{linear}.weight"], decoder[f"{linear}.bias"]
            _put(state, f"{start}.encoder_attn.{name}", weight, bias)
    last = f"model.decoder.layers.{layers - 1}.final_layer_norm"
    for kind in ("weight", "bias"):
        state[f"{last}.{kind}"] = state[f"{last}.{kind}"] * np.float32(root)
    encoder.check()
    decoder.check()
    return state


_READERS: dict[str, Callable[[Path, Any], Weights]] = {
    "bert": _bert,
    "marian": _marian,
    "llama": _llama,
}
