"""The prompts that the gate of decoding models compares on, and what they are scored by."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from nlplug.data.readers import read_rows
from nlplug.errors import DataError
from nlplug.evaluation.base import Evaluation, Sample, evaluation_of, options_of
from nlplug.evaluation.text_generation import Reader, TextGenerationEvaluation, reader_of
from nlplug.export.decoding_gate import DecodingRows, Logits
from nlplug.export.rows import SENTENCES, draw, labelled
from nlplug.families.decoding_options import GenerationConfig, TextDecodingOptions
from nlplug.families.seq2seq import Segment, Seq2SeqModel, Written
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.validation import make_input

if TYPE_CHECKING:
    from nlplug.export.run import ExportConfig
    from nlplug.models.bundle import Bundle

PROMPTS = 128
"""Prompts of which the greedy continuations are compared."""

_LENGTHS = (4, 8, 16, 24)
_NEW_TOKENS = 32
_READ_BYTES = 100_000
"""Text that is read for bits a byte; what it costs is read by PyTorch and by each precision."""
_WRITTEN_ROWS = 512
"""Rows that are answered for chrF, by PyTorch and by each precision."""


def causal_rows(config: ExportConfig, draft: Bundle) -> DecodingRows:
    """Beginnings of texts to go on from, and texts to be read.

    Args:
        config: Its data may have texts; without, sentences that are built in begin the prompts.
        draft: The model with its tokenizer.

    Raises:
        DataError: The data cannot be used.
    """
    tokenizer = load_tokenizer(draft, offsets=False)
    options = GenerationConfig.of(draft).decoding(
        TextDecodingOptions(max_new_tokens=min(_NEW_TOKENS, draft.max_length // 2)), tokenizer
    )
    if config.eval_data is None:
        texts, origin = list(SENTENCES), "beginnings of built-in sentences"
    else:
        evaluation = TextGenerationEvaluation([])
        samples = draw(
            evaluation.samples(config.eval_data, **dict(config.columns)), config.eval_rows
        )
        texts = [sample.input["prompt"] + sample.input["text"] for sample in samples]
        origin = f"beginnings of texts of {config.eval_data.name}"
    begin, _ = tokenizer.prompt(texts[0]) if texts else ([], [])
    prompts = _beginnings([tokenizer.ids(text) for text in texts], begin, draft.max_length // 2)
    if not prompts:
        raise DataError("There is no text to compare on.", hint="Give a file with texts.")
    origin = f"{len(prompts)} {origin}"
    if config.eval_data is None:
        return DecodingRows(prompts, options, f"{origin}, without labels")
    read = _some(samples)

    def answers(logits: Logits, _: Sequence[Sequence[int]]) -> list[Any]:
        reader: Reader = reader_of(draft, logits)
        return [reader.likelihood(one.input["text"], one.input["prompt"]) for one in read]

    origin = f"{origin}; bits a byte of {len(read)} texts"
    return DecodingRows(
        prompts, options, origin, evaluation, answers, [sample.target for sample in read]
    )


def seq2seq_rows(config: ExportConfig, draft: Bundle, model: Seq2SeqModel) -> DecodingRows:
    """Sources to answer, and the right answers where there are any.

    Args:
        config: Its data may have pairs, or texts alone; without, there are built-in sentences.
        draft: The model with its tokenizer.
        model: The task, bound to it.

    Raises:
        DataError: The data cannot be used.
    """
    evaluation = evaluation_of(config.task, []) if config.task.evaluation else None
    wishes = config.task.wishes(draft) | dict(config.options)
    options: Any = options_of(config.task, evaluation, wishes)
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
    room = (model.positions() or 4 * _NEW_TOKENS) - 1
    return model.decoding(
        options,
        max_new_tokens=max(1, min(4 * _NEW_TOKENS, room)),
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


def _beginnings(
    texts: Sequence[Sequence[int]], begin: Sequence[int], longest: int
) -> list[list[int]]:
    """Pieces of texts, of several lengths, drawn evenly; each after what begins a text."""
    found: set[tuple[int, ...]] = set()
    lengths = [length for length in _LENGTHS if length + len(begin) <= longest] or [1]
    places = 2 * PROMPTS // max(1, len(texts)) + 2
    for text in texts:
        step = max(1, len(text) // places)
        for place in range(0, max(1, len(text) - 1), step):
            for length in lengths:
                found.add((*begin, *text[place : place + length]))
    pieces = sorted(piece for piece in found if len(piece) > len(begin))
    if len(pieces) > PROMPTS:
        pieces = random.Random(0).sample(pieces, PROMPTS)
    return [list(piece) for piece in pieces]


def _some(samples: Sequence[Sample]) -> list[Sample]:
    """Of the samples as many, drawn evenly, as `_READ_BYTES` allow; one at least."""
    kept: list[Sample] = []
    size = 0
    for sample in random.Random(0).sample(list(samples), len(samples)):
        size += len(sample.input["text"].encode())
        if kept and size > _READ_BYTES:
            break
        kept.append(sample)
    return kept
