"""Answers beside transformers: n best, no answer, strides, lengths, words, long contexts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from parity.compare import Answer, Tally, explainer
from parity.faults import QA_FAULTS
from parity.graphs import check_both_precisions
from parity.mended import MendedQa, mend
from parity.models import ARCHITECTURES, usually
from parity.texts import questions

pytestmark = pytest.mark.train

SOME = usually(ARCHITECTURES, "BERT", "RoBERTa", "ALBERT", "XLM-R")
SHORT = questions(120, 100, seed=31)
LONG = questions(42, 500, seed=32)
SETTINGS: dict[str, dict[str, Any]] = {
    "top_k 1": {},
    "top_k 5": {"top_k": 5},
    "no answer": {"handle_impossible_answer": True, "top_k": 4},
    "doc_stride 8": {"doc_stride": 8, "top_k": 3},
    "max_seq_len 48": {"max_seq_len": 48, "doc_stride": 12, "top_k": 3},
    "max_answer_len 3": {"max_answer_len": 3, "top_k": 3},
    "not aligned to words": {"align_to_words": False, "top_k": 4},
}
_WINDOWS = ("doc_stride", "max_seq_len")


@pytest.mark.parametrize("architecture", SOME)
def test_both_precisions_pass_the_gate(architecture: str, exported: Callable[..., Any]) -> None:
    import onnx

    _, report = exported(architecture, "qa")
    check_both_precisions(report)
    graph = onnx.load(report.bundle.onnx_file("int8")).graph
    assert [item.name for item in graph.output] == ["start_logits", "end_logits"]
    assert report.bundle.manifest.labels == []


@pytest.mark.parametrize("architecture", SOME)
def test_answers(
    architecture: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[dict[str, str]]],
) -> None:
    items = some(SHORT, 17) + some(LONG, 14)
    mine = ours(architecture, "qa")
    pipe = mend(theirs(architecture, "qa"), MendedQa)
    read: dict[Any, list[Any]] = {}
    for setting, options in SETTINGS.items():
        count = tally("qa", architecture, setting)
        sizes = {name: value for name, value in options.items() if name in _WINDOWS}
        others = {name: value for name, value in options.items() if name not in _WINDOWS}
        for item, answers in zip(items, mine(items, **options), strict=True):
            key = (*item.values(), *sizes.items())
            if key not in read:
                read[key] = pipe.windows(**item, **sizes)
            windows = read[key]

            def answer(
                mended: frozenset[str],
                windows: list[Any] = windows,
                others: dict[str, Any] = others,
            ) -> list[Answer]:
                pipe.mended = mended
                return _answers(pipe.best(windows, **others))

            own = answers if isinstance(answers, list) else [answers]
            for one in own:
                assert item["context"][one["start"] : one["end"]] == one["answer"]
            plain = pipe.postprocess(windows, **others)
            count.add(
                _answers(own),
                _answers(plain if isinstance(plain, list) else [plain]),
                explainer(_answers(own), QA_FAULTS, answer),
                where=repr(item),
            )
        count.check(least=len(items))


@pytest.mark.parametrize("architecture", ["BERT", "RoBERTa"])
def test_one_question_and_many_have_the_same_shape(
    architecture: str, ours: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    mine, pipe = ours(architecture, "qa"), theirs(architecture, "qa")
    for options in ({}, {"top_k": 1}, {"top_k": 3}):
        assert type(mine(SHORT[0], **options)) is type(pipe(**SHORT[0], **options))
        many = {name: [item[name] for item in SHORT[:2]] for name in ("question", "context")}
        expected = pipe(**many, **options)
        given = mine(SHORT[:2], **options)
        assert [type(one) for one in given] == [type(one) for one in expected]


def _answers(answers: list[dict[str, Any]]) -> list[Answer]:
    return [((answer["start"], answer["end"]), answer["score"]) for answer in answers]
