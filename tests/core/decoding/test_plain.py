"""A model without a fast form decodes from its plain graph, and gives the same tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from decoding_kit import CONTEXT, END, prompts, reference

from nlplug.errors import BundleError, InputError
from nlplug.export.decoder.export import export_decoder, save_graph
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.plain import PlainDecoder

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

    value = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, 1])
    out = helper.make_tensor_value_info("logits", TensorProto.INT64, [1, 1])
    node = helper.make_node("Identity", ["input_ids"], ["logits"])
    graph = helper.make_graph([node], "other", [value], [out])
    opsets = [helper.make_opsetid("", 20)]
    path = tmp_path / "other.onnx"
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    with pytest.raises(BundleError, match="not a decoder with a cache"):
        open_decoder(path, context=8, threads=1)
