"""Layouts of real repositories, each built small: loaded and answering, or refused by name.

The reference of an answer is the graph worked out by hand on the tokens that transformers gives.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_kit import write_classifier
from layout_rows import ANSWER, REFUSED
from layouts_kit import (
    LONG,
    TEXTS,
    VOCABULARY,
    WEIGHTS,
    Judge,
    Layout,
    Read,
    build,
    write,
)
from stack_kit import TRANSFORMERS
from transformers import AutoTokenizer

from nlplug.errors import BundleError
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.testing import tiny_question_answerer


def expected_ids(layout: Layout, folder: Path, text: str) -> list[int]:
    """The tokens of a text as transformers gives them, with all files in one folder."""
    copied = folder / "reference"
    copied.mkdir(exist_ok=True)
    for name in ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"):
        for place in (folder, folder / "onnx", folder / "tokenizer"):
            if (place / name).is_file():
                content = (place / name).read_bytes()
                (copied / name).write_bytes(content.removeprefix(codecs.BOM_UTF8))
    for name in (
        "config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    ):
        for place in (folder, folder / "onnx"):
            if (place / name).is_file():
                content = (place / name).read_bytes()
                (copied / name).write_bytes(content.removeprefix(codecs.BOM_UTF8))
    if layout.tokenizer_config is None and "vocab" not in layout.tokenizer:
        # Without this file transformers takes the defaults of the class; we take tokenizer.json.
        write(
            copied / "tokenizer_config.json",
            {"do_lower_case": layout.lowercase, "strip_accents": layout.accents},
        )
    reference = AutoTokenizer.from_pretrained(str(copied))
    ids: list[int] = reference(text, padding=False)["input_ids"]
    return ids


def expected_logits(layout: Layout, ids: Sequence[int]) -> np.ndarray:
    """The graph of a layout, worked out by hand for one row."""
    (told, *_) = layout.graphs.values()
    kept = np.array([token != told.get("pad", -1) for token in ids])
    places = np.arange(layout.first, layout.first + len(ids)) if told.get("positions") else 1.0
    rows = (
        WEIGHTS[list(ids), : len(layout.labels)]
        * np.broadcast_to(places, len(ids))[:, None]
        * kept[:, None]
    )
    logits: np.ndarray = rows.sum(axis=0) / (kept.sum() if "pad" in told else len(ids))
    return logits


@pytest.mark.parametrize("layout", ANSWER, ids=str)
@pytest.mark.skipif(TRANSFORMERS >= 5, reason="the reference is how transformers 4 reads the files")
def test_a_repository_answers_as_its_graph_and_transformers_say(
    layout: Layout, tmp_path: Path
) -> None:
    bundle = Bundle.open(build(layout, tmp_path))
    tokenizer = load_tokenizer(bundle, offsets=False)
    assert bundle.labels == list(layout.labels)
    assert bundle.max_length == layout.window
    assert tokenizer.pad_token_id == layout.pads
    options = {"top_k": None, "function_to_apply": "none"}
    with Pipeline(layout.task(), bundle, precision=layout.precision, threads=2) as pipe:
        together = pipe([*TEXTS, LONG], **options)
        alone = [pipe(text, **options) for text in [*TEXTS, LONG]]
    for text, ours, single in zip([*TEXTS, LONG], together, alone, strict=True):
        scores = {entry["label"]: entry["score"] for entry in ours}
        assert scores == pytest.approx({e["label"]: e["score"] for e in single}, abs=1e-5)
        if text is not LONG:
            ids = expected_ids(layout, tmp_path, text)
            assert tokenizer.encode([text])[0][0].ids == ids
            logits = expected_logits(layout, ids)
            assert [scores[label] for label in layout.labels] == pytest.approx(
                logits.tolist(), abs=1e-4
            )


@pytest.mark.parametrize("layout", REFUSED, ids=str)
def test_a_repository_that_cannot_be_used_is_refused_by_name(
    layout: Layout, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=layout.refused):
        Pipeline(layout.task(), Bundle.open(build(layout, tmp_path)), threads=1)("good film")


@pytest.mark.parametrize(
    "names", [("start", "end"), ("output_0", "output_1"), ("s_start", "t_end")]
)
def test_a_reader_answers_whatever_its_outputs_are_called(
    names: tuple[str, str], tmp_path: Path
) -> None:
    bundle = tiny_question_answerer(tmp_path)
    model = onnx.load(str(bundle.onnx_file("fp32")))
    for node, output, name in zip(model.graph.node, model.graph.output, names, strict=True):
        node.output[0] = output.name = name
    onnx.save(model, str(bundle.onnx_file("fp32")))
    with Pipeline(Read(), Bundle.open(tmp_path), threads=1) as pipe:
        answer = pipe(question="where ?", context="they live in new york now")
    assert answer["answer"] == "new york"


def test_a_graph_that_gives_no_numbers_is_named(tmp_path: Path) -> None:
    weights = WEIGHTS.copy()
    weights[VOCABULARY.index("bad")] = np.nan
    build(ANSWER[0], tmp_path)
    write_classifier(tmp_path / "model.onnx", weights)
    with Pipeline(Judge(), Bundle.open(tmp_path), threads=2) as pipe:
        assert pipe("good")
        with pytest.raises(BundleError, match=r"model\.onnx gives logits that are NaN or infinite"):
            pipe(["good", "bad"] * 100)


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    build(ANSWER[0], tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(BundleError, match=r"model\.onnx is not an ONNX graph"):
        Pipeline(Judge(), Bundle.open(tmp_path))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    build(ANSWER[0], tmp_path)
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n")
    with pytest.raises(BundleError) as caught:
        Pipeline(Judge(), Bundle.open(tmp_path))
    assert name in caught.value.message
    assert "git lfs pull" in str(caught.value.hint)
