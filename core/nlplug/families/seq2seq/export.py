"""Exporting text-to-text models: encoder and decoder, and the texts to compare them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from nlplug.data.readers import read_rows
from nlplug.errors import DataError, ExportError
from nlplug.evaluation.base import Evaluation, Sample, evaluation_of, options_of
from nlplug.export.build_result import BuildResult
from nlplug.export.calibration import ROWS, Calibration, Recorders, fix_graphs
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.encoder_decoder import export_encoder_decoder
from nlplug.export.decoding import (
    NEW_TOKENS,
    fast_precisions,
    judge_calibrated,
    run_gate,
    write_checkpoint,
    write_graphs,
)
from nlplug.export.decoding_gate import DecodingRows, Logits
from nlplug.export.rows import SENTENCES, draw, labelled
from nlplug.families.seq2seq.model import Segment, Seq2SeqModel, Written
from nlplug.families.seq2seq.task import Seq2SeqTask
from nlplug.models.bundle import Bundle
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH
from nlplug.models.manifest import Manifest
from nlplug.runtime.decoding.decoder import Decoder, EncoderDecoderSpec
from nlplug.runtime.decoding.fast_encoder_decoder import FastEncoderDecoder
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.open import open_encoder_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.validation import make_input

_WRITTEN_ROWS = 512
"""Maximum number of rows whose answers PyTorch and each precision write."""


def make(config: ExportConfig, checkpoint: Checkpoint, folder: Path) -> BuildResult:
    """Build the graphs, and compare each precision; see `nlplug.export.one_pass.make`."""
    task = _seq2seq(config)
    write_checkpoint(config, checkpoint, folder)
    precisions = fast_precisions(config, blocks=config.quantization.blocks is True)
    exported = export_encoder_decoder(checkpoint.model, folder, precisions=precisions)
    written = write_graphs(
        config, folder, exported.plain, exported.fast, exported.note, exported.forms
    )
    draft = _described(Bundle.open(folder), config)
    model = task.bind(draft)

    def open_precision(precision: str) -> Decoder:
        return _opened(draft, precision, model)

    rows = gate_rows(config, draft, model)
    fix = partial(fix_scales, config, draft, "int8", model, rows)
    return run_gate(config, checkpoint, draft, written, rows, open_precision, fix)


def calibrate(config: ExportConfig, earlier: Bundle, draft: Bundle, precision: str) -> BuildResult:
    """Fix the scales of a precision; see `nlplug.export.one_pass.calibrate`."""
    model = _seq2seq(config).bind(draft)
    rows = gate_rows(config, draft, model)
    calibration = fix_scales(config, draft, precision, model, rows)
    decoders = _opened(earlier, precision, model), _opened(draft, precision, model)
    return judge_calibrated(config, draft, precision, rows, decoders, calibration)


def _seq2seq(config: ExportConfig) -> Seq2SeqTask:
    task = config.task
    if not isinstance(task, Seq2SeqTask):
        raise ExportError(
            f"{task.name} cannot be exported: {type(task).__name__} is not a Seq2SeqTask.",
            hint="Name another exporter in the record of its family (Family.exporter).",
        )
    return task


def _opened(bundle: Bundle, precision: str, model: Seq2SeqModel) -> Decoder:
    graphs = (bundle.onnx_file(precision, name) for name in (ENCODER_GRAPH, DECODER_GRAPH))
    return open_encoder_decoder(*graphs, start=model.start_token(), context=model.positions())


def fix_scales(
    config: ExportConfig, draft: Bundle, precision: str, model: Seq2SeqModel, rows: DecodingRows
) -> Calibration:
    """Fix the scales of graphs in the fast form, by writing greedy texts one at a time.

    Args:
        config: The settings of the export.
        draft: The bundle, whose files are written again.
        precision: The precision.
        model: The task, bound to the draft.
        rows: Those of the gate, for the case that no others are given.
    """
    if config.calibration is not None:
        other = replace(config, eval_data=config.calibration, eval_rows=ROWS)
        rows = gate_rows(other, draft, model)
    prompts = rows.prompts[:: max(1, len(rows.prompts) // ROWS)]

    def run(recorders: Recorders) -> None:
        encoder, decoder = recorders[ENCODER_GRAPH], recorders[DECODER_GRAPH]
        described = decoder.metadata.get(EncoderDecoderSpec.metadata_key)
        if described is None:
            raise ExportError(
                f"The graphs of {draft.name!r} are not in the form that nlplug exports.",
                hint="Export the model from its checkpoint with `nlplug export`.",
            )
        spec = EncoderDecoderSpec.from_json(described, draft.path)
        opened = FastEncoderDecoder(encoder, decoder, spec, draft.path)
        for prompt in prompts:
            generate(opened, [prompt], rows.options)

    return fix_graphs(config, draft, precision, rows.origin, run)


def _described(draft: Bundle, config: ExportConfig) -> Bundle:
    """The draft with the manifest entries that the task reads, such as the languages."""
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
    """Sources to answer, and the right answers if there are any.

    Args:
        config: Its data may have pairs, or only texts; without data, built-in sentences are used.
        draft: The model with its tokenizer.
        model: The task, bound to the draft.

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
            text = model.tidied(model.target.decode(list(next(written))), part, options)
            finished: str | None = part.at_once(Written(text))
            # The gate compares first attempts: it does not let a model write a segment again.
            return text if finished is None else finished

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
    """The rows, their description, and whether they have labels."""
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
    """Greedy decoding with the model's own special tokens, without penalties."""
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


def _varied() -> Iterator[str]:
    """The built-in sentences and the first words of each: more than a hundred texts."""
    for text in SENTENCES:
        words = text.split()
        yield text
        for count in range(2, min(len(words), 12), 2):
            yield " ".join(words[:count])
