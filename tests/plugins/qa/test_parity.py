"""The same answers and scores as transformers' question-answering pipeline on the same weights.

What is compared over all architectures, and where the two differ and why, stands in the parity
suite; these are the pipeline's call forms and options on one tiny model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack_kit import needs_pipelines

from nlplug import Pipeline, pipeline
from nlplug.export.run import ExportConfig, export_model
from nlplug_qa.task import QaTask

pytestmark = [pytest.mark.train, needs_pipelines]

WORDS = [f"{first}{last}" for first in "badogemiluk" for last in ("ran", "tel", "sov", "mip", "")]
QUESTION = "who was it?"
WINDOW = 64


def contexts(count: int, longest: int) -> list[str]:
    """Texts in which no word comes twice, so that each answer has one place."""
    draw = random.Random(3)
    return [" ".join(draw.sample(WORDS, draw.randint(5, longest))) + "." for _ in range(count)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with weights so wide that some spans win clearly."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering, BertTokenizerFast

    folder = tmp_path_factory.mktemp("checkpoint")
    # Words are cut after their first letters, but for those of one letter.
    pieces = ["ran", "tel", "sov", "mip"]
    rest = [*"abcdefghijklmnopqrstuvwxyz.?", "who", "was", "it", *(f"##{one}" for one in pieces)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *rest]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=WINDOW)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = BertForQuestionAnswering(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=WINDOW,
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ours(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    output = tmp_path_factory.mktemp("export") / "bundle"
    export_model(
        ExportConfig(source=checkpoint, output=output, task=QaTask(), precisions=("fp32",))
    )
    with pipeline("qa", model=output, precision="fp32", threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> Any:
    import transformers

    return transformers.pipeline("question-answering", model=str(checkpoint), device="cpu")


def same(ours: Any, theirs: Any) -> None:
    """The same nesting, keys, places and texts, and scores within 1e-4."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    else:
        assert {**ours, "score": 0} == {**theirs, "score": 0}
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 5},
        {"handle_impossible_answer": True, "top_k": 3},
        {"align_to_words": False, "top_k": 4},
        {"max_answer_len": 2, "top_k": 2},
    ],
)
def test_contexts_of_one_window_get_the_same_answers(
    ours: Pipeline, theirs: Any, options: dict[str, Any]
) -> None:
    texts = contexts(25, 25)
    expected = theirs(question=[QUESTION] * 25, context=texts, **options)
    same(ours(question=QUESTION, context=texts, **options), expected)
    best = [answer[0] if isinstance(answer, list) else answer for answer in expected]
    assert len({answer["answer"] for answer in best}) > 5, "one answer would prove nothing"


@pytest.mark.parametrize(
    "options", [{}, {"doc_stride": 9}, {"max_seq_len": 40, "doc_stride": 4}, {"doc_stride": 0}]
)
def test_longer_contexts_are_cut_into_the_same_windows(
    ours: Pipeline, theirs: Any, options: dict[str, Any]
) -> None:
    # Without alignment, as transformers answers in part where a window cuts a word.
    options |= {"top_k": 3, "align_to_words": False}
    for text in contexts(12, 50):
        mine = ours(question=QUESTION, context=text, **options)
        other = theirs(question=QUESTION, context=text, **options)
        assert [one["answer"] for one in mine] == [one["answer"] for one in other]
        scores = [one["score"] for one in other]
        assert [one["score"] for one in mine] == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("top_k", [1, 2])
def test_the_call_forms_give_the_same_shapes(ours: Pipeline, theirs: Any, top_k: int) -> None:
    one, two = contexts(2, 20)
    pairs = [{"question": QUESTION, "context": text} for text in (one, two)]
    for arguments in (
        {"question": QUESTION, "context": one},
        {"question": [QUESTION, "it?"], "context": one},
        {"question": [QUESTION, "it?"], "context": [one, two]},
    ):
        same(ours(**arguments, top_k=top_k), theirs(**arguments, top_k=top_k))
    same(ours(pairs[0], top_k=top_k), theirs(pairs[0], top_k=top_k))
    same(ours(pairs, top_k=top_k), theirs(pairs, top_k=top_k))


def test_no_answer_scores_what_the_least_of_the_windows_gives(ours: Pipeline, theirs: Any) -> None:
    everything = {"handle_impossible_answer": True, "top_k": 10_000, "align_to_words": False}
    for text in contexts(6, 50):
        mine, other = (
            [
                answer["score"]
                for answer in pipe(question=QUESTION, context=text, **everything)
                if not answer["answer"] and answer["score"]
            ]
            for pipe in (ours, theirs)
        )
        assert len(mine) == 1
        assert mine == pytest.approx(other, rel=1e-3)
