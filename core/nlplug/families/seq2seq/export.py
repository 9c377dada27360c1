"""Exporting text-to-text models: encoder and decoder, and the texts that judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from nlplug.data.readers import read_rows
from nlplug.errors import DataError
from nlplug.evaluation.base import Evaluation, Sample, evaluation_of, options_of
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.encoder_decoder import export_seq2seq
from nlplug.export.decoding import NEW_TOKENS, built, judged, products, save, write_source
from nlplug.export.decoding_gate import DecodingRows, Logits
from nlplug.export.made import Made
from nlplug.export.rows import SENTENCES, draw, labelled
from nlplug.export.source import Source
from nlplug.families.seq2seq.model import Segment, Seq2SeqModel, Written
from nlplug.models.bundle import Bundle
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH
from nlplug.models.manifest import Manifest
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.open import open_seq2seq
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.validation import make_input

_WRITTEN_ROWS = 512
"""Rows that are answered for chrF, by PyTorch and by each precision."""


def make(config: ExportConfig, source: Source, folder: Path) -> Made:
    """Build and judge the graphs; see `nlplug.export.one_pass.make`."""
    write_source(config, source, folder)
    blocks = config.quantization.blocks is True
    made = export_seq2seq(source.model, folder, precisions=products(config, blocks=blocks))
    graphs = built(config, folder, made.plain, made.fast, made.note)
    files = save(graphs, folder)
    draft = _described(Bundle.open(folder), config)
    task: Any = config.task
    model = task.bind(draft)

    def opened(precision: str) -> Decoder:
        graphs = (draft.onnx_file(precision, name) for name in (ENCODER_GRAPH, DECODER_GRAPH))
        return open_seq2seq(*graphs, start=model.start_token(), context=model.positions())

    rows = gate_rows(config, draft, model)
    return judged(config, source, draft, graphs, files, rows, opened)


def _described(draft: Bundle, config: ExportConfig) -> Bundle:
    """The draft with what its manifest will say, such as the languages that it is for."""
    manifest = Manifest(
        name=config.name or config.output.resolve().name,
        task=config.task.name,
        hub_task=config.task.hub_task,
        languages=list(config.languages),
        max_length=draft.max_length,
        options=dict(config.options),
    )
    return replace(draft, name=manifest.name, manifest=manifest)


def gate_rows(config: ExportConfig, draft: Bundle, model: Seq2SeqModel) -> DecodingRows:
    """Sources to answer, and the right answers where there are any.

    Args:
        config: Its data may have pairs, or texts alone; without, there are built-in sentences.
        draft: The model with its tokenizer.
        model: The task, bound to it.

    Raises:
        DataError: The data cannot be used.
    """
    evaluation = evaluation_of(config.task, []) if config.task.family.scoring else None
    defaults = config.task.default_options(draft) | dict(config.options)
    options: Any = options_of(config.task, evaluation, defaults)
    options = options.model_copy(update={"truncation": "longest_first"})
    samples, origin, right = _samples(config, evaluation)
    parts = [model.parts(make_input(config.task, sample.input), options) for sample in samples]
    segments = [part for part in chain.from_iterable(parts) if isinstance(part, Segment)]
    if not segments:
        raise DataError("There is no text to compare on.", hint="Give a file with texts.")

    def answers(_: Logits, texts: Sequence[Sequence[int]]) -> list[Any]:
        written = iter(texts)

        def text_of(part: Any) -> str:
            if isinstance(part, str):
                return part
            text = model.target.decode(list(next(written)))
            made = [Written(model.tidied(text, part, options))]
            return str(part.finished(made, _as_written)[0])

        return ["".join(map(text_of, own)) for own in parts]

    return DecodingRows(
        prompts=[segment.ids for segment in segments],
        options=_greedy(model, options),
        origin=origin,
        evaluation=evaluation if right else None,
        answers=answers if right else None,
        targets=[sample.target for sample in samples],
    )


def _samples(config: ExportConfig, evaluation: Evaluation | None) -> tuple[list[Sample], str, bool]:
    """Rows with or without labels, what they are, and whether they have labels."""
    data, columns = config.eval_data, dict(config.columns)
    limit = min(config.eval_rows, _WRITTEN_ROWS)
    if data is None:
        texts: list[Any] = [dict(example.input) for example in config.task.examples]
        texts += [{"text": text} for text in _varied()]
        origin = f"{len(texts)} of the task's examples and built-in sentences, without labels"
        return [Sample(text, None, "built-in") for text in texts], origin, False
    if evaluation is not None and labelled(evaluation, data, columns):
        samples = draw(evaluation.samples(data, **columns), limit)
        return samples, f"{len(samples)} labelled rows of {data.name}", True
    column = columns.get("text", "text")
    rows = (row for row in read_rows(data) if str(row.values.get(column, "")).strip())
    samples = draw((Sample({"text": str(r.values[column])}, None, r.where) for r in rows), limit)
    return samples, f"{len(samples)} rows of {data.name}, without labels", False


def _greedy(model: Seq2SeqModel, options: Any) -> DecodingOptions:
    """Greedy decoding with the model's own special tokens, and no taste of any caller's."""
    room = (model.positions() or 4 * NEW_TOKENS) - 1
    return model.decoding(
        options,
        max_new_tokens=max(1, min(4 * NEW_TOKENS, room)),
        min_new_tokens=0,
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        repetition_penalty=1.0,
        frequency_penalty=0.0,
        presence_penalty=0.0,
        no_repeat_ngram_size=0,
    )


def _as_written(more: Sequence[Segment]) -> list[list[str]]:
    """Nothing is written again here: what a text lost of what it had to keep stays lost."""
    return [[""] for _ in more]


def _varied() -> Iterator[str]:
    """The built-in sentences, and beginnings of them: a hundred and more."""
    for text in SENTENCES:
        words = text.split()
        yield text
        for count in range(2, min(len(words), 12), 2):
            yield " ".join(words[:count])
