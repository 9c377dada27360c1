"""The contenders of the classification and latency benchmarks; each lives in a worker process.

`Contender` is what those of the other benchmarks are too. All of these here classify the same texts
with the same weights. A contender gets its settings in ``prepare``, which also warms it up, and
only ``run`` is timed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from texts import make_texts

Settings = dict[str, Any]
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Contender(ABC):
    """One way to answer texts.

    Attributes:
        task: Our name of the task, and that of the folder its models are in.
        environment: That of `environments.ENVIRONMENTS` which it runs in; "" for the benchmark's.
        sweep: The settings that are tried before the best of them competes.
    """

    task: ClassVar[str] = "sentiment"
    environment: ClassVar[str] = ""
    sweep: ClassVar[list[Settings]] = [{}]

    def __init__(self, work: Path) -> None:
        self.work = work

    @classmethod
    def corpus(cls, vocabulary: Sequence[str]) -> list[str]:
        """The texts of its benchmark, from the whole words of the model's vocabulary."""
        return make_texts(vocabulary, 2000)

    @abstractmethod
    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        """Take on the settings; what may be done ahead for ``texts`` is done here, untimed."""

    @abstractmethod
    def run(self, texts: Sequence[str]) -> list[Any]:
        """One answer a text, as JSON holds it; here the score of the label ``positive``."""

    def warm(self, texts: Sequence[str]) -> None:
        """Touch everything that ``run`` needs: the system may have paged out who sat idle."""
        self.run(texts[:100])

    def one(self, text: str) -> Callable[[], object]:
        """A function that answers the one text; code outside of it is not timed."""
        return lambda: self.run([text])


def _positive(answers: Sequence[Any]) -> list[float]:
    best = [answer[0] if isinstance(answer, list) else answer for answer in answers]
    return [a["score"] if a["label"] == "positive" else 1.0 - a["score"] for a in best]


PIPELINE_SWEEP = [
    {"batch_size": batch, "torch_threads": threads}
    for threads in sorted({1, CPUS})
    for batch in (1, 8, 32)
]


class TransformersPipeline(Contender):
    """``transformers.pipeline("text-classification")`` in PyTorch, fp32."""

    sweep = PIPELINE_SWEEP

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        from transformers import pipeline

        model, tokenizer = self._model(), self._tokenizer()
        self.pipe = pipeline("text-classification", model=model, tokenizer=tokenizer)
        self.batch_size = 1

    def _model(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification.from_pretrained(self.work / "checkpoint")

    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.work / "checkpoint")

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        import torch

        torch.set_num_threads(settings.get("torch_threads", CPUS))
        self.batch_size = settings.get("batch_size", 1)
        self.run(texts[:32])

    def run(self, texts: Sequence[str]) -> list[float]:
        return _positive(self.pipe(list(texts), batch_size=self.batch_size, truncation=True))

    def one(self, text: str) -> Callable[[], object]:
        return lambda: self.pipe(text)


class OptimumPipeline(TransformersPipeline):
    """The same pipeline over optimum-onnx's ``ORTModelForSequenceClassification``, fp32."""

    folder: ClassVar[str] = "optimum-fp32"
    file: ClassVar[str] = "model.onnx"

    def _model(self) -> Any:
        import onnxruntime as ort
        from optimum.onnxruntime import ORTModelForSequenceClassification

        options = ort.SessionOptions()
        options.intra_op_num_threads = CPUS
        return ORTModelForSequenceClassification.from_pretrained(
            self.work / self.folder, file_name=self.file, session_options=options
        )


class OptimumInt8Pipeline(OptimumPipeline):
    """The same after optimum's own int8: ``ORTQuantizer``, avx512_vnni, dynamic, per channel."""

    folder = "optimum-int8"
    file = "model_quantized.onnx"


class TorchByHand(Contender):
    """PyTorch in bfloat16 without a pipeline: length-sorted batches of a token budget."""

    sweep: ClassVar[list[Settings]] = [
        {"token_budget": budget, "torch_threads": CPUS} for budget in (256, 512, 1024, 2048)
    ]

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(work / "checkpoint")
        model = AutoModelForSequenceClassification.from_pretrained(
            work / "checkpoint", dtype=torch.bfloat16
        )
        self.model = model.eval()
        self.budget = 512

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        import torch

        torch.set_num_threads(settings.get("torch_threads", CPUS))
        self.budget = settings.get("token_budget", 512)
        self.run(texts[:32])

    def run(self, texts: Sequence[str]) -> list[float]:
        import torch

        ids = self.tokenizer(list(texts), truncation=True)["input_ids"]
        scores = [0.0] * len(texts)
        with torch.inference_mode():
            for rows in plan([len(row) for row in ids], self.budget):
                batch = self.tokenizer.pad(
                    {"input_ids": [ids[row] for row in rows]}, return_tensors="pt"
                )
                logits = self.model(**batch).logits.float()
                for row, score in zip(rows, logits.softmax(-1)[:, 1].tolist(), strict=True):
                    scores[row] = score
        return scores


class BareSession(Contender):
    """Only ``InferenceSession.run`` on ideal prepared batches: the upper bound for our graph.

    Only the runs are timed: two single-threaded callers (one a CPU) take the next batch each,
    longest first. Sweeps the token budget and whether only texts of one length share a batch.
    """

    precision: ClassVar[str] = "fp32"
    sweep: ClassVar[list[Settings]] = [
        {"token_budget": budget, "exact": exact}
        for exact in (False, True)
        for budget in (128, 256, 384, 512)
    ]

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        from tokenizers import Tokenizer

        bundle = work / "bundle"
        name = "model.onnx" if self.precision == "fp32" else f"model_{self.precision}.onnx"
        self.graph = bundle / "onnx" / name
        self.tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.sessions: list[Any] = []
        self.batches: list[tuple[list[int], dict[str, Any]]] = []

    def _session(self, threads: int) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        return ort.InferenceSession(str(self.graph), options, providers=["CPUExecutionProvider"])

    def _feeds(self, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
        import numpy as np

        width = max(len(row) for row in ids)
        input_ids = np.zeros((len(ids), width), np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for row, tokens in enumerate(ids):
            input_ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feeds = {
            "input_ids": input_ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(input_ids),
        }
        declared = {node.name for node in self.sessions[0].get_inputs()}
        return {name: value for name, value in feeds.items() if name in declared}

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        threads = settings.get("threads")
        if threads is not None:
            self.sessions = [self._session(threads)]
        elif len(self.sessions) != CPUS:
            self.sessions = [self._session(1) for _ in range(CPUS)]
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        lengths = [len(row) for row in ids]
        budget, exact = settings.get("token_budget", 256), settings.get("exact", False)
        planned = plan(lengths, budget, exact=exact)
        self.batches = [(rows, self._feeds([ids[row] for row in rows])) for rows in planned]
        self.warm(texts)

    def warm(self, texts: Sequence[str]) -> None:
        """The first and the last batches, on each session."""
        for session in self.sessions:
            for _, feeds in (*self.batches[:8], *self.batches[-8:]):
                session.run(None, feeds)

    def run(self, texts: Sequence[str]) -> list[float]:
        import numpy as np

        waiting = iter(self.batches)
        scores = np.zeros(len(texts))

        def caller(session: Any) -> None:
            # next() on a list iterator is atomic under the GIL: each batch goes to one caller.
            for rows, feeds in waiting:
                logits = session.run(None, feeds)[0]
                scores[rows] = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))

        with ThreadPoolExecutor(len(self.sessions)) as pool:
            for future in [pool.submit(caller, session) for session in self.sessions]:
                future.result()
        return [float(score) for score in scores]

    def one(self, text: str) -> Callable[[], object]:
        feeds = self._feeds([self.tokenizer.encode(text).ids])
        session = self.sessions[0]
        return lambda: session.run(None, feeds)


class BareInt8Session(BareSession):
    """The same ceiling for our int8 graph."""

    precision = "int8"


class Nlplug(Contender):
    """``nlplug.pipeline("sentiment", model=…).map(texts)`` in fp32, everything at its default."""

    precision: ClassVar[str] = "fp32"

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        from nlplug import pipeline

        self.pipe = pipeline("sentiment", model=work / "bundle", precision=self.precision)

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        self.run(texts[:64])

    def run(self, texts: Sequence[str]) -> list[float]:
        return _positive(list(self.pipe.map(texts)))

    def one(self, text: str) -> Callable[[], object]:
        return lambda: self.pipe(text)


class NlplugInt8(Nlplug):
    """The same in int8."""

    precision = "int8"


def plan(lengths: Sequence[int], budget: int, *, exact: bool = False) -> list[list[int]]:
    """Row numbers by batch, longest first, with at most ``budget`` padded tokens per batch.

    Args:
        lengths: Tokens of each row.
        budget: Padded tokens per batch; a longer row is a batch of its own.
        exact: Only rows of one length share a batch, so that nothing is padded.
    """
    batches: list[list[int]] = []
    width = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        fits = bool(batches) and width * (len(batches[-1]) + 1) <= budget
        if fits and not (exact and lengths[row] != width):
            batches[-1].append(row)
        else:
            batches.append([row])
            width = lengths[row]
    return batches


CLASSIFICATION: dict[str, type[Contender]] = {
    "transformers": TransformersPipeline,
    "torch-bf16": TorchByHand,
    "optimum-fp32": OptimumPipeline,
    "optimum-int8": OptimumInt8Pipeline,
    "bare-fp32": BareSession,
    "bare-int8": BareInt8Session,
    "nlplug-fp32": Nlplug,
    "nlplug-int8": NlplugInt8,
}
