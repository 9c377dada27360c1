"""A causal language model is exported plain and, where it is known, fast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from decoding_kit import CONTEXT, make_model, prompts

from nlplug.errors import OptionError
from nlplug.export.decoder.export import export_decoder, save_graph
from nlplug.export.decoder.products import PRECISIONS, quantize_blocks
from nlplug.export.decoder.read import read_decoder
from nlplug.export.decoder.weights import NoFastForm
from nlplug.runtime.decoding.open import open_decoder

pytestmark = pytest.mark.train

LONGROPE = {
    "rope_type": "longrope",
    "factor": 1.0,
    "original_max_position_embeddings": CONTEXT,
    "short_factor": [1.0] * 8,
    "long_factor": [2.0] * 8,
}


@dataclass(frozen=True)
class Exported:
    """The files of the fast graphs by precision, and what was said of them."""

    paths: dict[str, Path]
    difference: float | None
    note: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    made = {}
    for name in ("gpt2", "llama"):
        folder = tmp_path_factory.mktemp(name)
        graphs = export_decoder(make_model(name), folder)
        paths = {precision: folder / f"{precision}.onnx" for precision in graphs.fast}
        for precision, graph in graphs.fast.items():
            save_graph(graph, paths[precision])
        made[name] = Exported(paths, graphs.difference, graphs.note)
    return made


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_fast_graph_gives_the_logits_of_the_plain_one(
    exported: dict[str, Exported], name: str
) -> None:
    made = exported[name]
    assert tuple(made.paths) == PRECISIONS
    assert made.difference is not None
    assert made.difference < 1e-5
    assert made.note == f"fast: 2 layers, {name}"


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("precision", ["int8", "int8-blocks"])
def test_int8_says_nearly_the_same(
    exported: dict[str, Exported], name: str, precision: str
) -> None:
    paths = exported[name].paths
    texts = prompts(40, seed=1)
    exact = open_decoder(paths["fp32"], threads=1).start(texts)
    rounded = open_decoder(paths[precision], threads=1).start(texts)
    for _ in range(4):
        assert np.abs(exact.logits - rounded.logits).mean() < 0.05 * exact.logits.std()
        rounded.step(exact.next_tokens)
        exact.step(exact.next_tokens)


@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("int8", 1), ("int8-blocks", 1)])
def test_tied_embeddings_are_kept_once(
    exported: dict[str, Exported], precision: str, size: int
) -> None:
    import onnx

    tensors = onnx.load(str(exported["gpt2"].paths[precision])).graph.initializer
    tables = [tensor.name for tensor in tensors if len(tensor.raw_data) == 96 * 32 * size]
    assert len([name for name in tables if name.startswith("embeddings")]) == 1
    assert not [tensor.name for tensor in tensors if tensor.name.startswith("head")]


def test_an_unknown_architecture_keeps_its_plain_graph_and_says_so(tmp_path: Path) -> None:
    from transformers import OPTConfig, OPTForCausalLM

    config = OPTConfig(
        vocab_size=96,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    graphs = export_decoder(OPTForCausalLM(config).eval(), tmp_path)
    assert graphs.fast == {}
    assert graphs.note == "plain: no fast form for architecture 'opt'"
    assert "past_key_values.0.key" in {value.name for value in graphs.plain.graph.input}


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("gpt2", {"n_head": 8}, "heads of 4 numbers"),
        ("gpt2", {"activation_function": "tanh"}, "activation 'tanh'"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "attention scores"),
        ("llama", {"num_attention_heads": 8}, "rotary heads of 8 numbers"),
        ("gpt_neox", {"rotary_pct": 0.25}, "rotation of 8 numbers"),
        ("llama", {"rope_scaling": LONGROPE}, "'longrope'"),
        ("mistral", {"sliding_window": 16}, "window of 16"),
    ],
)
def test_what_has_no_fast_form_is_named(
    name: str, settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(NoFastForm, match=reason):
        read_decoder(make_model(name, **settings))


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="int3"):
        export_decoder(make_model("gpt2"), tmp_path, precisions=["int3"])


def test_blocks_are_rounded_within_half_a_step() -> None:
    weight = np.random.default_rng(0).standard_normal((70, 5)).astype(np.float32)
    weight[:32, 0] = 0
    blocks, scale = quantize_blocks(weight)
    assert blocks.shape == (5, 3, 32)
    assert scale.shape == (5, 3)
    back = ((blocks.astype(np.float32) - 128) * scale[:, :, None]).reshape(5, -1)
    assert np.abs(back[:, :70].T - weight).max() <= scale.max() / 2 + 1e-7
    assert not back[:, 70:].any()


@pytest.mark.parametrize(
    ("inputs", "blocks", "size"), [(384, 6, 64), (192, 3, 64), (96, 3, 32), (70, 3, 32)]
)
def test_blocks_are_as_large_as_leaves_no_rest(inputs: int, blocks: int, size: int) -> None:
    assert quantize_blocks(np.ones((inputs, 2), np.float32))[0].shape == (2, blocks, size)


def test_sizes_that_are_no_multiple_of_a_block_work_in_blocks(tmp_path: Path) -> None:
    model = make_model("gpt2", n_embd=40, n_head=5)
    graphs = export_decoder(model, tmp_path, precisions=["fp32", "int8-blocks"])
    logits = []
    for precision, graph in graphs.fast.items():
        path = tmp_path / f"{precision}.onnx"
        save_graph(graph, path)
        logits.append(open_decoder(path, threads=1).start([[5, 6, 7]]).logits)
    assert np.abs(logits[0] - logits[1]).mean() < 0.05 * logits[0].std()
