"""A model without a fast form decodes from its plain graph, and gives the same tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, END, prompts, reference

from nlplug.errors import BundleError, InputError
from nlplug.export.decoder.export import export_decoder, save_graph
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.plain import PlainDecoder
from nlplug.testing import tiny_text_generator

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, PlainDecoder, str]:
    import torch
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=96,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=END,
    )
    model = OPTForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
    folder = tmp_path_factory.mktemp("opt")
    graphs = export_decoder(model, folder)
    save_graph(graphs.plain, folder / "model.onnx")
    session = open_decoder(folder / "model.onnx", context=CONTEXT, threads=1)
    return model, session, graphs.note


def test_the_export_says_that_there_is_no_fast_form(opt: tuple[Any, PlainDecoder, str]) -> None:
    assert opt[2] == "plain: no fast form for architecture 'opt'"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 3},
        {"num_beams": 2, "num_return_sequences": 2, "early_stopping": True},
    ],
    ids=str,
)
def test_tokens_are_those_of_transformers(
    opt: tuple[Any, PlainDecoder, str], settings: dict[str, Any]
) -> None:
    model, session, _ = opt
    texts = prompts(40)
    expected = reference(model, texts, **settings)
    options = DecodingOptions(max_new_tokens=24, eos=(END,), **settings)
    made = generate(session, texts, options)
    assert [[text.tokens for text in row] for row in made] == expected


def test_the_context_is_kept(opt: tuple[Any, PlainDecoder, str]) -> None:
    session = opt[1]
    made = generate(session, [[1] * (CONTEXT - 2)], DecodingOptions(max_new_tokens=9))
    assert len(made[0][0].tokens) == 3
    with pytest.raises(InputError, match="context"):
        session.start([[1] * (CONTEXT + 1)])


def test_a_graph_without_a_cache_is_refused(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "s"])
    out = helper.make_tensor_value_info("logits", TensorProto.INT64, ["b", "s"])
    node = helper.make_node("Identity", ["input_ids"], ["logits"])
    graph = helper.make_graph([node], "other", [value], [out])
    opsets = [helper.make_opsetid("", 20)]
    path = tmp_path / "other.onnx"
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    with pytest.raises(BundleError, match="not a decoder with a cache"):
        open_decoder(path, context=8, threads=1)


def changed(folder: Path, change: Callable[[Any], None]) -> PlainDecoder:
    """The decoder of a tiny generator whose graph is changed."""
    import onnx

    path = tiny_text_generator(folder).onnx_file("fp32")
    model = onnx.load(str(path))
    change(model.graph)
    onnx.save(model, str(path))
    decoder = open_decoder(path, context=16, threads=1)
    assert isinstance(decoder, PlainDecoder)
    return decoder


def int32(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = 6


def number_of_logits(graph: Any) -> None:
    """An input of newer exports: the number of positions that have logits."""
    import onnx

    graph.input.append(onnx.helper.make_tensor_value_info("num_logits_to_keep", 7, []))


def free_heads(graph: Any) -> None:
    for item in graph.input[1:]:
        item.type.tensor_type.shape.dim[1].dim_param = "heads"


def one_row(graph: Any) -> None:
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def with_weights(graph: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
    import onnx

    for tensor in graph.initializer:
        if tensor.name == "weights":
            values = change(onnx.numpy_helper.to_array(tensor))
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def not_a_number(graph: Any) -> None:
    with_weights(graph, lambda weights: weights * np.float32("nan"))


def fewer_tokens(graph: Any) -> None:
    """A graph that is loaded but cannot run."""
    with_weights(graph, lambda weights: weights[:2])


@pytest.mark.parametrize("change", [int32, number_of_logits])
def test_other_inputs_give_the_same_tokens(change: Callable[[Any], None], tmp_path: Path) -> None:
    options = DecodingOptions(max_new_tokens=4)
    usual, other = (
        generate(changed(tmp_path / name, how), [[3], [4, 5]], options)
        for name, how in (("usual", lambda graph: None), ("other", change))
    )
    assert [row[0].tokens for row in usual] == [row[0].tokens for row in other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (free_heads, "lack sizes: kv_heads"),
        (one_row, r"fixes the shape of input_ids to \[1,"),
        (not_a_number, r"model\.onnx gives logits that are NaN"),
        (fewer_tokens, r"cannot run .*model\.onnx"),
    ],
)
def test_a_graph_that_cannot_decode_is_named(
    change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=message):
        generate(changed(tmp_path, change), [[3], [4, 5]], DecodingOptions(max_new_tokens=4))
