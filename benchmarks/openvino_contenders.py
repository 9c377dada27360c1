"""OpenVINO's own runtime on the plain export, in fp32, bf16 and int8, with length-sorted batches.

Run as a script, in its environment, it makes the int8 model: ``… openvino_contenders.py FOLDER``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from contenders import CPUS, Contender, Settings, plan
from texts import load_vocabulary, make_texts

INT8 = "openvino-int8/model.xml"
_CALIBRATION_ROWS = 300
_CALIBRATION_SEED = 1
_MOST_TOKENS = 512


class OpenVino(Contender):
    """fp32: as many requests at once as the plugin has streams, each with its own batch."""

    environment = "openvino"
    precision: ClassVar[str] = "f32"
    file: ClassVar[str] = "optimum-fp32/model.onnx"
    sweep: ClassVar[list[Settings]] = [
        {"token_budget": budget, "streams": streams}
        for budget, streams in product((512, 1024, 2048), sorted({1, CPUS}))
    ]

    def __init__(self, work: Path) -> None:
        super().__init__(work)
        import openvino

        self.core = openvino.Core()
        self.tokenizer = _tokenizer(work)
        self.budget = self.streams = 0
        self.queue: Any = None

    def prepare(self, settings: Settings, texts: Sequence[str]) -> None:
        import openvino

        self.budget, streams = settings.get("token_budget", 1024), settings.get("streams", 1)
        if streams != self.streams:
            compiled = self.core.compile_model(
                str(self.work / self.file),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": self.precision,
                    "INFERENCE_NUM_THREADS": CPUS,
                    "NUM_STREAMS": streams,
                },
            )
            self.streams, self.queue = streams, openvino.AsyncInferQueue(compiled, streams)
        self.run(texts[:32])

    def run(self, texts: Sequence[str]) -> list[float]:
        import numpy as np

        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        scores = np.zeros(len(texts))

        def keep(request: Any, rows: list[int]) -> None:
            logits = request.get_output_tensor(0).data
            scores[rows] = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))

        self.queue.set_callback(keep)
        for rows in plan([len(row) for row in ids], self.budget):
            self.queue.start_async(_feeds([ids[row] for row in rows]), rows)
        self.queue.wait_all()
        return [float(score) for score in scores]

    def one(self, text: str) -> Callable[[], object]:
        return lambda: self.run([text])


class OpenVinoBf16(OpenVino):
    """bf16, which the plugin takes by itself where the processor has it."""

    precision = "bf16"


class OpenVinoInt8(OpenVino):
    """int8 by NNCF with fixed scales, which 300 texts chose; the rest in bf16 where it is fast."""

    precision = "bf16"
    file = INT8


OPENVINO: dict[str, type[Contender]] = {
    "openvino-fp32": OpenVino,
    "openvino-bf16": OpenVinoBf16,
    "openvino-int8": OpenVinoInt8,
}


def make_int8(work: Path) -> None:
    """Quantize the plain export on texts that no contender is measured with."""
    import nncf
    import openvino

    vocabulary = load_vocabulary(work / "checkpoint" / "vocab.txt")
    texts = make_texts(vocabulary, _CALIBRATION_ROWS, seed=_CALIBRATION_SEED)
    rows = [_feeds([encoding.ids]) for encoding in _tokenizer(work).encode_batch(texts)]
    model = nncf.quantize(
        openvino.Core().read_model(str(work / OpenVino.file)),
        nncf.Dataset(rows),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=_CALIBRATION_ROWS,
    )
    file = work / INT8
    file.parent.mkdir(exist_ok=True)
    openvino.save_model(model, str(file))


def _tokenizer(work: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(work / "checkpoint" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    return tokenizer


def _feeds(ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    import numpy as np

    width = max(len(row) for row in ids)
    padded = np.zeros((len(ids), width), np.int64)
    mask = np.zeros_like(padded)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {
        "input_ids": padded,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(padded),
    }


if __name__ == "__main__":
    make_int8(Path(sys.argv[1]))
