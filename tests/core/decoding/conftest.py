"""Pairs of a PyTorch model and its fast graph, each made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from decoding_kit import Pair, make_model

from nlplug.runtime.decoding.open import open_decoder


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """From the name of one of `decoding_kit.MODELS`."""
    from nlplug.export.decoder.builder import build
    from nlplug.export.decoder.export import save_graph
    from nlplug.export.decoder.products import products_of
    from nlplug.export.decoder.read import read_decoder

    made: dict[str, Pair] = {}

    def get(name: str) -> Pair:
        if name not in made:
            model = make_model(name)
            path = tmp_path_factory.mktemp(name) / "model.onnx"
            save_graph(build(read_decoder(model), products_of("fp32")), path)
            made[name] = Pair(model, open_decoder(path, threads=1))
        return made[name]

    return get
