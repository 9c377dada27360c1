"""Exported graphs compute what PyTorch computes, on each stack and for batches of any shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from stack_kit import TRANSFORMERS
from transformers import AutoConfig

from nlplug.export.exporters.exporter import installed_exporter
from nlplug.export.fusion import fuse
from nlplug.export.graph import histogram
from nlplug.runtime.session import build_session, session_options

pytestmark = pytest.mark.train

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
    "vocab_size": 64,
    "pad_token_id": 0,
}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "mpnet": {},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "modernbert": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        **{f"{name}_token_id": 1 for name in ("cls", "bos")},
        **{f"{name}_token_id": 2 for name in ("sep", "eos")},
    },
}
HEADS = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
}
# Each architecture once with a head, and BERT with each.
CASES = [(name, "text-classification") for name in ENCODERS]
CASES += [("bert", head) for head in HEADS if head != "text-classification"]
CASES += [("modernbert", "token-classification")]
# Numbers of tokens of the rows; none is the shape of an exporter's example.
BATCHES = ((1,), (5,), (70,), (20, 20), (7, 3), (30, 1, 12), (9, 9, 4, 2, 8), (16,) * 12)


def encoder(model_type: str, head: str, **settings: Any) -> Any:
    """Random weights, spread wide enough that the outputs differ between texts."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{**SIZE, **ENCODERS[model_type], **settings})
    model = getattr(transformers, HEADS[head]).from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def worst_difference(model: Any, graph: Any) -> float:
    """The largest difference of outputs of tokens over all batches."""
    session = build_session(graph.SerializeToString(), session_options(1))
    names = [item.name for item in session.get_inputs()]
    random = np.random.default_rng(0)
    worst = 0.0
    for lengths in BATCHES:
        mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        ids = random.integers(3, 64, mask.shape) * mask
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        feeds = {name: values[name] for name in names}
        with torch.inference_mode():
            expected = model(**{name: torch.from_numpy(one) for name, one in feeds.items()})
        for item, found in zip(session.get_outputs(), session.run(None, feeds), strict=True):
            right = expected[item.name].numpy()
            assert right.shape == found.shape
            if right.shape[:2] == mask.shape:
                right, found = right[mask > 0], found[mask > 0]
            worst = max(worst, float(np.abs(right - found).max()))
    return worst


@pytest.mark.parametrize(("model_type", "head"), CASES)
def test_graphs_are_right_for_shapes_that_the_exporter_has_not_seen(
    tmp_path: Path, model_type: str, head: str
) -> None:
    model = encoder(model_type, head)
    plain = installed_exporter().one_pass(model, head, tmp_path)
    fused = fuse(plain, model.config, tmp_path)
    for graph in (plain, fused.cpu, fused.gpu):
        assert worst_difference(model, graph) < 1e-5
    assert list(tmp_path.iterdir()) == []
    if model_type in {"mpnet", "deberta-v2", "modernbert"}:
        assert fused.note == f"plain: no fusion for {model_type}"
    else:
        assert fused.note.startswith("fused: 2 Attention, 4 SkipLayerNormalization, ")


def test_an_export_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = encoder("bert", "text-classification")
    before = model.config.to_dict(), model.config._attn_implementation
    ids = torch.tensor([[5, 6, 7]])
    expected = model(ids).logits
    installed_exporter().one_pass(model, "text-classification", tmp_path)
    assert (model.config.to_dict(), model.config._attn_implementation) == before
    assert torch.equal(model(ids).logits, expected)


def test_parts_have_the_names_of_their_modules(tmp_path: Path) -> None:
    model = encoder("bert", "text-classification")
    plain = installed_exporter().one_pass(model, "text-classification", tmp_path)
    graph = fuse(plain, model.config, tmp_path).cpu.graph
    written = {name for node in graph.node for name in node.output}
    for layer in (0, 1):
        for part in ("attention/output/dense", "intermediate/dense", "output/dense"):
            assert f"/bert/encoder/layer.{layer}/{part}/MatMul_output_0" in written
    assert b"site-packages" not in plain.SerializeToString()


@pytest.mark.skipif(TRANSFORMERS < 5, reason="Optimum traces another attention")
class TestMarkedAttention:
    """The attention of a model as one node, which is fused or written out."""

    def test_another_scale_becomes_part_of_the_queries(self, tmp_path: Path) -> None:
        model = encoder("bert", "text-classification")
        for layer in model.bert.encoder.layer:
            layer.attention.self.scaling = 0.1
        plain = installed_exporter().one_pass(model, "text-classification", tmp_path)
        fused = fuse(plain, model.config, tmp_path)
        assert fused.note.startswith("fused: 2 Attention")
        assert worst_difference(model, plain) < 1e-5
        assert worst_difference(model, fused.cpu) < 1e-5

    def test_products_of_several_inputs_are_not_fused(self, tmp_path: Path) -> None:
        """Keys of another value than the queries', as a plugin's model might have them."""
        model = encoder("bert", "text-classification")
        projection = model.bert.encoder.layer[1].attention.self.key
        projection.register_forward_pre_hook(lambda _, args: (args[0] * 0.5,))
        plain = installed_exporter().one_pass(model, "text-classification", tmp_path)
        fused = fuse(plain, model.config, tmp_path)
        assert fused.note.startswith("partly fused: 1 Attention")
        assert histogram(fused.cpu)["Softmax"] == 1
        assert worst_difference(model, fused.cpu) < 1e-5
