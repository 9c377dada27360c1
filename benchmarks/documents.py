"""The contenders of the two benchmarks on documents: named entities, and answers to questions.

All of them read the same 500 documents with the same weights. Each gives what it found as spans,
``[[start, end, label], …]`` a document, so that it can be seen who finds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from contenders import CPUS, PIPELINE_SWEEP, Contender, Settings
from texts import make_documents

DOCUMENTS = 500
OVERLAP = 64
"""Tokens that the windows of a long document share, for everybody alike."""
QUESTION_WORDS = 9

Spans = list[list[Any]]


class Documents(Contender):
    """One way to read documents."""

    @classmethod
    def corpus(cls, vocabulary: Sequence[str]) -> list[str]:
        return make_documents(vocabulary, DOCUMENTS)

    def warm(self, texts: Sequence[str]) -> None:
        self.run(texts[:16])


def question_for(document: str) -> str:
    """A question of nine words from the middle of the document."""
    words = document.split()
    middle = len(words) // 2
    return " ".join(words[max(0, middle - QUESTION_WORDS) : middle]) + "?"


class TransformersDocuments(Documents):
    """``transformers.pipeline`` in PyTorch, fp32; long documents by windows."""

    sweep = PIPELINE_SWEEP
    hub_task: ClassVar[str]

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        from transformers import AutoTokenizer, pipeline

        tokenizer = AutoTokenizer.from_pretrained(work / "checkpoint")
        self.pipe = pipeline(self.hub_task, model=self._model(), tokenizer=tokenizer)
        self.batch_size = 1

    def _model(self) -> Any:
        return str(self.work / "checkpoint")

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        import torch

        torch.set_num_threads(settings.get("torch_threads", CPUS))
        self.batch_size = settings.get("batch_size", 1)
        self.run(texts[:8])


class TransformersNer(TransformersDocuments):
    """Its token-classification pipeline, ``aggregation_strategy="simple"``."""

    task = "ner"
    hub_task = "token-classification"

    def run(self, texts: Sequence[str]) -> list[Spans]:
        answers = self.pipe(
            list(texts),
            batch_size=self.batch_size,
            aggregation_strategy="simple",
            stride=OVERLAP,
        )
        return [_entities(answer) for answer in answers]


class TransformersQa(TransformersDocuments):
    """Its question-answering pipeline."""

    task = "qa"
    hub_task = "question-answering"

    def run(self, texts: Sequence[str]) -> list[Spans]:
        questions = [question_for(text) for text in texts]
        answers = self.pipe(question=questions, context=list(texts), batch_size=self.batch_size)
        return [_answer(answer) for answer in answers]


class OptimumNer(TransformersNer):
    """The same pipeline over optimum-onnx and its own int8 (avx512_vnni, dynamic, per channel)."""

    def _model(self) -> Any:
        from optimum.onnxruntime import ORTModelForTokenClassification

        return _optimum(ORTModelForTokenClassification, self.work / "optimum-int8")


class OptimumQa(TransformersQa):
    """The same pipeline over optimum-onnx and its own int8 (avx512_vnni, dynamic, per channel)."""

    def _model(self) -> Any:
        from optimum.onnxruntime import ORTModelForQuestionAnswering

        return _optimum(ORTModelForQuestionAnswering, self.work / "optimum-int8")


class NlplugDocuments(Documents):
    """``nlplug.pipeline``, everything at its default."""

    precision: ClassVar[str] = "fp32"

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        from nlplug import pipeline

        model = work / "bundle"
        self.pipe = pipeline(self.task, model=model, precision=self.precision)

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        self.run(texts[:16])


class NlplugNer(NlplugDocuments):
    """``pipeline("ner")`` in fp32."""

    task = "ner"

    def run(self, texts: Sequence[str]) -> list[Spans]:
        answers = self.pipe.map(texts, aggregation_strategy="simple", stride=OVERLAP)
        return [_entities(answer) for answer in answers]


class NlplugNerInt8(NlplugNer):
    """The same in int8."""

    precision = "int8"


class NlplugQa(NlplugDocuments):
    """``pipeline("qa")`` in fp32."""

    task = "qa"

    def run(self, texts: Sequence[str]) -> list[Spans]:
        inputs = ({"question": question_for(text), "context": text} for text in texts)
        return [_answer(answer) for answer in self.pipe.map(inputs)]


class NlplugQaInt8(NlplugQa):
    """The same in int8."""

    precision = "int8"


def _optimum(kind: Any, folder: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = CPUS
    return kind.from_pretrained(folder, file_name="model_quantized.onnx", session_options=options)


def _entities(answer: Sequence[Any]) -> Spans:
    return [[item["start"], item["end"], item["entity_group"]] for item in answer]


def _answer(answer: Any) -> Spans:
    best = answer[0] if isinstance(answer, list) else answer
    return [[best["start"], best["end"], ""]]


NER: dict[str, type[Contender]] = {
    "ner-transformers": TransformersNer,
    "ner-optimum-int8": OptimumNer,
    "ner-nlplug-fp32": NlplugNer,
    "ner-nlplug-int8": NlplugNerInt8,
}
QA: dict[str, type[Contender]] = {
    "qa-transformers": TransformersQa,
    "qa-optimum-int8": OptimumQa,
    "qa-nlplug-fp32": NlplugQa,
    "qa-nlplug-int8": NlplugQaInt8,
}
