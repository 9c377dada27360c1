"""The shapes and the answers of transformers' own pipeline on the same weights, in short.

``tests/parity`` compares all architectures and traces each difference to its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parity.models import ARCHITECTURES, make_checkpoint

from nlplug import Pipeline
from nlplug.export.run import ExportConfig, export_model
from nlplug_ner.task import NerTask

pytestmark = pytest.mark.train

TEXTS = [
    "José García moved from Los Angeles to 北京 in 1998, and joined AT&T.",
    "{Paris}: rain, 12°C; New York: sunny 😀 -- don't forget Jean-Luc's e-mail!",
    "我和王小明在上海市看了两遍。",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    return make_checkpoint(ARCHITECTURES["BERT"], "token-classification", folder)


@pytest.fixture(scope="module")
def ours(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    output = tmp_path_factory.mktemp("export") / "bundle"
    config = ExportConfig(source=checkpoint, output=output, task=NerTask(), precisions=("fp32",))
    with Pipeline(NerTask(), export_model(config).bundle, precision="fp32", threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> Any:
    import transformers

    return transformers.pipeline("token-classification", model=str(checkpoint), device="cpu")


def same(ours: Any, theirs: Any) -> None:
    """The same nesting, keys, labels and places; scores within 1e-5. ``word`` is ours alone."""
    assert isinstance(theirs, list) == isinstance(ours, list)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, two in zip(ours, theirs, strict=True):
            same(one, two)
        return
    assert list(ours) == list(theirs)
    for key in theirs.keys() - {"word", "score"}:
        assert ours[key] == theirs[key]
    assert ours["score"] == pytest.approx(float(theirs["score"]), abs=1e-5)


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
@pytest.mark.parametrize("inputs", [TEXTS[0], TEXTS[:1], TEXTS], ids=["text", "one", "many"])
def test_the_shapes_and_answers_are_the_same(
    ours: Pipeline, theirs: Any, inputs: Any, strategy: str
) -> None:
    answers = theirs(inputs, aggregation_strategy=strategy)
    same(ours(inputs, aggregation_strategy=strategy), answers)
    assert answers


@pytest.mark.parametrize("ignored", [[], ["O", "PER"], ["B-PER"]])
def test_the_same_labels_are_left_out(ours: Pipeline, theirs: Any, ignored: list[str]) -> None:
    for strategy in ("none", "simple"):
        options = {"aggregation_strategy": strategy, "ignore_labels": ignored}
        same(ours(TEXTS, **options), theirs(TEXTS, **options))
