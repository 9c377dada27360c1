"""Rotary positions give the logits of transformers up to the context, or are refused by type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, VOCABULARY, make_model

from nlplug.errors import ExportError, InputError
from nlplug.export.decoder.export import export_decoder, save_graph
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions

pytestmark = pytest.mark.train

ORIGINAL = 32
"""Tokens that the scaled types were trained on; the context is four times as long."""
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL}
_LLAMA3 = {**_YARN, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LONGROPE = {
    "rope_type": "longrope",
    "factor": 4.0,
    "original_max_position_embeddings": ORIGINAL,
    "short_factor": [1.0] * 8,
    "long_factor": [float(number) for number in range(1, 9)],
}


@pytest.mark.parametrize(
    ("scaling", "note"),
    [
        (None, "fast"),
        ({"rope_type": "linear", "factor": 2.0}, "fast"),
        (_YARN, "fast"),
        (_LLAMA3, "fast"),
        ({"rope_type": "dynamic", "factor": 2.0}, "fast"),
    ],
    ids=["default", "linear", "yarn", "llama3", "dynamic"],
)
def test_logits_are_those_of_transformers_up_to_the_context(
    scaling: dict[str, Any] | None, note: str, tmp_path: Path
) -> None:
    import torch

    model = make_model("llama", rope_scaling=scaling)
    graphs = export_decoder(model, tmp_path)
    assert note in graphs.note
    path = tmp_path / "model.onnx"
    save_graph(graphs.fast["fp32"], path)
    decoder = open_decoder(path, context=CONTEXT, threads=1)
    random = np.random.default_rng(0)
    ids = random.integers(1, VOCABULARY, (1, CONTEXT))
    with torch.no_grad():
        wanted = model(torch.tensor(ids)).logits[0].numpy()

    for length in (8, ORIGINAL - 1, ORIGINAL + 8, CONTEXT - 1):
        found = decoder.start([ids[0, :length].tolist()]).logits[0]
        assert np.abs(found - wanted[length - 1]).max() < 1e-4
    decoding = decoder.start([ids[0, : ORIGINAL - 4].tolist()])
    for place in range(ORIGINAL - 4, ORIGINAL + 12):
        decoding.step(ids[0, place : place + 1])
        assert np.abs(decoding.logits[0] - wanted[place]).max() < 1e-4
    with pytest.raises(InputError, match=str(CONTEXT)):
        generate(decoder, [[1] * (CONTEXT + 1)], DecodingOptions(max_new_tokens=1))


def test_positions_that_change_within_the_context_are_refused(tmp_path: Path) -> None:
    model = make_model("llama", rope_scaling=LONGROPE)

    with pytest.raises(ExportError, match=f"'longrope': they change at {ORIGINAL} tokens"):
        export_decoder(model, tmp_path)


def test_positions_that_would_change_beyond_the_context_are_exported(tmp_path: Path) -> None:
    scaling = {**LONGROPE, "factor": 1.0, "original_max_position_embeddings": CONTEXT}

    assert export_decoder(make_model("llama", rope_scaling=scaling), tmp_path).plain
