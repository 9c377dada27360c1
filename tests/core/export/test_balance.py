"""Moving scales out of outlier channels of models that write texts: exact, and good for int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import MODELS, SEQ2SEQ_MODELS, make_model, make_seq2seq, prompts

from nlplug.export.decoder.balance import balance_decoder, balance_encoder_decoder
from nlplug.export.decoder.builder import build
from nlplug.export.decoder.cross_step import build_step
from nlplug.export.decoder.encoder import build_encoder
from nlplug.export.decoder.encoder_decoder_weights import EncoderDecoderWeights
from nlplug.export.decoder.export import save_graph
from nlplug.export.decoder.products import BlockProducts, FineBlockProducts, Products, products_of
from nlplug.export.decoder.read import read_decoder, read_encoder_decoder
from nlplug.export.decoder.weights import DecoderWeights, Linear
from nlplug.runtime.decoding.open import open_decoder, open_encoder_decoder
from nlplug.runtime.decoding.scoring import token_logits

pytestmark = pytest.mark.train

PROMPTS = prompts(6)
TEXTS = prompts(6, seed=1)
FACTOR = 1e3


def logits(graphs: Any, folder: Path, *, causal: bool) -> np.ndarray:
    """The logits of the tokens of some texts, one after the other."""
    if causal:
        save_graph(graphs, folder / "model.onnx")
        decoder: Any = open_decoder(folder / "model.onnx", threads=1)
    else:
        for name, graph in graphs.items():
            save_graph(graph, folder / f"{name}.onnx")
        paths = (folder / "encoder.onnx", folder / "step.onnx")
        decoder = open_encoder_decoder(*paths, threads=1)
    return np.concatenate(list(token_logits(decoder, PROMPTS, TEXTS)))


def pair(weights: EncoderDecoderWeights, products: Products) -> dict[str, Any]:
    return {
        "encoder": build_encoder(weights, products.many_rows),
        "step": build_step(weights, products),
    }


def outliers(weights: DecoderWeights) -> DecoderWeights:
    """The same model, with one channel of the values of each head a thousand times as large."""
    size = weights.kv_heads * weights.head_size
    shared = weights.heads // weights.kv_heads
    one = np.ones(size, np.float32)
    one[:: weights.head_size] = FACTOR
    wide = np.repeat(one.reshape(-1, weights.head_size), shared, axis=0).ravel()

    def changed(qkv: Linear, out: Linear) -> tuple[Linear, Linear]:
        rest = np.ones(qkv.weight.shape[1] - size, np.float32)
        whole = np.concatenate([rest, one])
        bias = None if qkv.bias is None else qkv.bias * whole
        return Linear(qkv.weight * whole, bias), Linear(out.weight / wide[:, None], out.bias)

    blocks = []
    for block in weights.blocks:
        qkv, out = changed(block.qkv, block.attention_out)
        blocks.append(replace(block, qkv=qkv, attention_out=out))
    return replace(weights, blocks=tuple(blocks))


def relative(expected: np.ndarray, given: np.ndarray) -> float:
    return float(np.abs(expected - given).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_a_balanced_decoder_computes_the_same(name: str, tmp_path: Path) -> None:
    weights, products = read_decoder(make_model(name)), products_of("fp32")
    expected = logits(build(weights, products), tmp_path, causal=True)
    balanced = balance_decoder(outliers(weights))
    given = logits(build(balanced, products), tmp_path, causal=True)
    assert relative(expected, given) < 1e-4


@pytest.mark.parametrize("name", SEQ2SEQ_MODELS)
def test_a_balanced_text_to_text_model_computes_the_same(name: str, tmp_path: Path) -> None:
    weights, products = read_encoder_decoder(make_seq2seq(name)), products_of("fp32")
    expected = logits(pair(weights, products), tmp_path, causal=False)
    balanced = balance_encoder_decoder(weights)
    given = logits(pair(balanced, products), tmp_path, causal=False)
    assert relative(expected, given) < 1e-4
    before, after = weights.cross[0].value.weight, balanced.cross[0].value.weight
    assert not np.allclose(before, after)


@pytest.mark.parametrize(
    "products",
    [products_of("int8"), BlockProducts(), FineBlockProducts()],
    ids=lambda p: type(p).__name__,
)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_outlier_channels_no_longer_spoil_int8(
    name: str, products: Products, tmp_path: Path
) -> None:
    sound = read_decoder(make_model(name))
    expected = logits(build(sound, products_of("fp32")), tmp_path, causal=True)
    before, spoilt, repaired = (
        relative(expected, logits(build(one, products), tmp_path, causal=True))
        for one in (sound, outliers(sound), balance_decoder(outliers(sound)))
    )
    assert repaired < max(2 * before, 0.02)
    if not isinstance(products, FineBlockProducts):
        assert spoilt > 3 * repaired
