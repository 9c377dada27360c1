"""Answers of text-to-text models: stretches of many texts decoded together, on all cores."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import InputError, OptionError
from nlplug.families.decoding_options import refuse_token_ids
from nlplug.families.seq2seq.alternatives import other_endings
from nlplug.families.seq2seq.inside import inside_seq2seq
from nlplug.families.seq2seq.model import Part, Segment, Seq2SeqModel
from nlplug.families.seq2seq.stretch import (
    End,
    Stretch,
    Trim,
    joined_end,
    joined_ids,
    joined_texts,
)
from nlplug.families.text_ends import text_end
from nlplug.inside.result import Inside, Request
from nlplug.models.signature import Signature
from nlplug.runtime.answers import Answers, ShortTexts, TextPiece, raise_if_cancelled
from nlplug.runtime.batch_invariance import may_share_batches
from nlplug.runtime.batching import chunks
from nlplug.runtime.decoding.open import open_encoder_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.text import ROWS, Prompt, TextDecoder, batches
from nlplug.runtime.device import warn_unless_cpu
from nlplug.runtime.session import thread_count
from nlplug.runtime.shared import Lazy, WorkerPool
from nlplug.task import StreamingRunner, TaskInput

_FIRST_CHUNK = 8
_LARGEST_CHUNK = 512


class Seq2SeqRunner(StreamingRunner):
    """Runs an encoder and its decoder for one task; safe to use from several threads.

    One batch is decoded on one core: at the size of such models that is faster than sharing the
    steps of a batch. Several batches run at the same time, in the same sessions.

    Args:
        model: The task's text handling.
        encoder: The ``.onnx`` file.
        decoder: The ``.onnx`` file.
        key: Under which name a text is returned.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; decoding runs on the CPU.
        threads: Number of batches at the same time; None for the CPUs that the process may use.

    Raises:
        DeviceError: The device name is unknown.
        OptionError: ``threads`` is below 1.
    """

    def __init__(
        self,
        model: Seq2SeqModel,
        encoder: Path,
        decoder: Path,
        *,
        key: str,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._workers = thread_count(threads)
        warn_unless_cpu(device)
        self._model = model
        self._files = encoder, decoder
        self._key = key
        together = may_share_batches(*map(Signature.read, self._files))
        self._rows = ROWS if together else 1
        self._decoder = Lazy(self._open)
        self._pool = WorkerPool(self._workers)

    @property
    def device(self) -> str:
        """See `Runner.device`: decoding runs on the CPU."""
        return "cpu"

    @property
    def concurrency(self) -> int:
        """See `Runner.concurrency`: a call with one batch uses one core."""
        return 2 * self._workers

    def map(self, inputs: Iterable[TaskInput], options: Any) -> Answers:
        """See `Runner.map`: for each input a list of its versions."""
        short = ShortTexts()
        return Answers(partial(self._steps, inputs, options, short), short=short)

    def stream(self, item: TaskInput, options: Any) -> Generator[TextPiece, None, None]:
        """See `Runner.stream`.

        A single stretch comes token by token; of several each comes when it is whole, decoded in
        the same batches as without streaming.

        Raises:
            InputError: The model cannot take the input; raised by the call itself.
            OptionError: Several versions were asked for.
        """
        decoding = self._model.decoding(options)
        refuse_token_ids(options)
        if decoding.num_return_sequences > 1:
            raise OptionError(
                f"num_return_sequences is {decoding.num_return_sequences}: only one text can be "
                "streamed.",
                hint="Set it to 1, or ask for the whole answer.",
            )
        parts = self._model.parts(item, options)
        segments = [part for part in parts if isinstance(part, Segment)]
        if (
            len(segments) == 1
            and segments[0].plain
            and decoding.num_beams == 1
            and not options.clean_up_tokenization_spaces
        ):
            return self._by_token(parts, options, decoding)
        return self._by_stretch(parts, options, decoding)

    def inside(self, item: TaskInput, options: Any, request: Request) -> Inside:
        """See `Runner.inside`; a window is a segment of the input."""
        parts = self._model.parts(item, options)
        sources = [part.ids for part in parts if isinstance(part, Segment)]
        number = request.place(len(sources))
        decoder, text = self._decoder_for(options), list[int]()
        if request.parts != {"neighbors"}:
            prompt, decoding = Prompt(sources[number]), self._model.decoding(options)
            ((made, *_),) = decoder.texts(
                [prompt], decoding, stop=options.stop, stop_kept=options.stop_strings
            )
            text = made.tokens
        return inside_seq2seq(
            request,
            files=self._files,
            decoder=decoder.decoder,
            model=self._model,
            sources=sources,
            number=number,
            text=text,
        )

    def alternatives(
        self, item: TaskInput, options: Any, part: int, count: int, before: str | None = None
    ) -> list[str]:
        """See `StreamingRunner.alternatives`: the best beams of a segment, or other endings."""
        parts = self._model.parts(item, options)
        if not 0 <= part < len(parts):
            raise InputError(
                f"The answer has {len(parts)} parts, but part {part} was requested.",
                hint="Ask for the answer again: its input or its options may have changed.",
            )
        chosen = parts[part]
        if isinstance(chosen, str):
            return []
        if before is not None:
            return other_endings(
                self._decoder_for(options), self._model, chosen, options, before=before, count=count
            )
        changes = {"num_beams": count, "num_return_sequences": count, "do_sample": False}
        beams = options.model_copy(update=changes)
        [written] = self._write([(chosen, 0)], beams, self._model.decoding(beams))
        return list(dict.fromkeys(written.versions))

    def open(self) -> None:
        """See `Runner.open`.

        Raises:
            BundleError: The graphs cannot be used, or the tokenizer belongs to another model.
        """
        self._decoder.get()

    def close(self) -> None:
        """See `Runner.close`."""
        self._pool.close()
        self._decoder.clear()

    def _steps(
        self, inputs: Iterable[TaskInput], options: Any, short: ShortTexts, stop: threading.Event
    ) -> Generator[list[dict[str, Any]], None, None]:
        decoding = self._model.decoding(options, cancelled=stop.is_set)
        count = decoding.num_return_sequences
        first = 0
        for items in chunks(inputs, _FIRST_CHUNK, _LARGEST_CHUNK):
            parts = [self._model.parts(item, options) for item in items]
            numbers = [number for number, own in enumerate(parts, first) for _ in own]
            first += len(items)
            stretches = self._stretches(list(chain(*parts)), options, decoding, numbers)
            with closing(stretches):
                for own in parts:
                    raise_if_cancelled(stop)
                    made = list(islice(stretches, len(own)))
                    ends = [joined_end(made, number) for number in range(count)]
                    if any(end.finish == "length" for end in ends):
                        short.add(*self._limit(decoding))
                    yield self._versions(made, ends, options)

    def _versions(
        self, made: Sequence[Stretch], ends: Sequence[End], options: Any
    ) -> list[dict[str, Any]]:
        """The versions of one answer, with their details if the options ask for them."""
        if options.return_tensors:
            found = self._token_ids(made, len(ends), self._decoder_for(options).begin())
        else:
            found = [{self._key: text} for text in joined_texts(made, len(ends))]
        if not options.details:
            return found
        return [
            {**one, "details": text_end(end.finish, end.tokens, options.seed)}
            for one, end in zip(found, ends, strict=True)
        ]

    def _limit(self, decoding: DecodingOptions) -> tuple[str, str]:
        """What ends a stretch without its end, and what to do."""
        most, positions = decoding.max_new_tokens, self._model.positions()
        if positions is not None and positions <= most:
            return f"the model's context of {positions} tokens", "Give shorter texts."
        return f"max_new_tokens ({most})", "Give a larger one for the whole text."

    def _open(self) -> TextDecoder:
        encoder, decoder = self._files
        opened = open_encoder_decoder(
            encoder,
            decoder,
            start=self._model.start_token(),
            context=self._model.positions(),
            threads=1,
        )
        self._model.check(opened.spec)
        return TextDecoder(opened, self._model.target.decode)

    def _decoder_for(self, options: Any) -> TextDecoder:
        return self._decoder.get().starting_with(options.decoder_start_token_id)

    def _token_ids(
        self, made: Sequence[Stretch], count: int, start: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The ids of each version, int64 of shape (tokens,), as ``generate`` returns them: after
        the start token, and padded to the longest version."""
        pad = self._model.target.pad_token_id or 0
        versions = joined_ids([stretch.ids for stretch in made], count)
        longest = max(map(len, versions))
        key = f"{self._key.removesuffix('_text')}_token_ids"
        return [
            {key: np.array([*start, *ids, *[pad] * (longest - len(ids))], dtype=np.int64)}
            for ids in versions
        ]

    def _by_token(
        self, parts: Sequence[Part], options: Any, decoding: DecodingOptions
    ) -> Generator[TextPiece, None, None]:
        """The one segment among the parts as it comes."""
        count, finish = 0, "eos"
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            if isinstance(part, str):
                yield TextPiece(part, finish if last else None, count, part=place)
                continue
            trim = Trim() if part.trims else None
            pieces = self._decoder_for(options).pieces(
                Prompt(part.ids), decoding, stop=options.stop, stop_kept=options.stop_strings
            )
            with closing(pieces):
                for piece in pieces:
                    count, finish = piece.tokens, piece.finish or finish
                    text = trim(piece.text) if trim else piece.text
                    ended = piece.finish if last else None
                    yield replace(piece, text=text, finish=ended, part=place)
        if finish == "length":
            ShortTexts(Counter([self._limit(decoding)])).warn()

    def _by_stretch(
        self, parts: Sequence[Part], options: Any, decoding: DecodingOptions
    ) -> Generator[TextPiece, None, None]:
        so_far = Stretch([], ends=[End("eos", 0)])
        with closing(self._stretches(parts, options, decoding, in_order=True)) as stretches:
            for place, stretch in enumerate(stretches):
                end = joined_end([so_far, stretch], 0)
                so_far = Stretch([], ends=[end])
                ended = end.finish if place == len(parts) - 1 else None
                yield TextPiece(stretch.versions[0], ended, end.tokens, part=place)
        if so_far.ends[0].finish == "length":
            ShortTexts(Counter([self._limit(decoding)])).warn()

    def _stretches(
        self,
        parts: Sequence[Part],
        options: Any,
        decoding: DecodingOptions,
        numbers: Sequence[int] | None = None,
        *,
        in_order: bool = False,
    ) -> Generator[Stretch, None, None]:
        """What becomes of each part; the segments among them are decoded in batches.

        Args:
            parts: In their order, of any number of answers.
            options: Of the call.
            decoding: Made of them.
            numbers: Of the input that each part belongs to; None if there is but one.
            in_order: Begin with the first parts, and not with the longest.
        """
        constrained = decoding.allowed_tokens is not None
        first = _first_places(parts, alone=decoding.samples or constrained)
        numbers = numbers or [0] * len(parts)
        segments = {place: part for place, part in enumerate(parts) if isinstance(part, Segment)}
        chosen = [place for place, origin in first.items() if place == origin]
        plan = self._plan([len(segments[place].ids) for place in chosen], decoding)
        plan = sorted(plan) if in_order else plan[::-1]
        turns: dict[int, tuple[Future[list[Stretch]], int]] = {}
        call = object()  # its batches take turns with those of other calls
        try:
            for batch in plan:
                places = [chosen[index] for index in batch]
                together = [(segments[place], numbers[place]) for place in places]
                write = partial(self._write, together, options, decoding)
                made = _done(write()) if len(plan) == 1 else self._pool.submit_for(call, write)
                turns |= {chosen[index]: (made, turn) for turn, index in enumerate(batch)}
            for place, part in enumerate(parts):
                if isinstance(part, str):
                    yield Stretch([part])
                else:
                    made, turn = turns[first[place]]
                    yield made.result()[turn]
        finally:
            # After an error, or when the caller stopped reading, nobody waits for these.
            for made, _ in turns.values():
                made.cancel()

    def _plan(self, lengths: Sequence[int], decoding: DecodingOptions) -> list[list[int]]:
        """Batches that keep all workers busy."""
        width = max(decoding.num_beams, decoding.num_return_sequences)
        share = -(-len(lengths) // self._workers)
        plan = batches(lengths, max(1, min(self._rows // width, share)))
        return [sorted(batch) for batch in plan]

    def _write(
        self, segments: Sequence[tuple[Segment, int]], options: Any, decoding: DecodingOptions
    ) -> list[Stretch]:
        """Have some segments, each of the input with a number, written in the calling thread."""
        prompts = [Prompt(segment.ids, number=number) for segment, number in segments]
        made = self._decoder_for(options).texts(
            prompts, decoding, stop=options.stop, stop_kept=options.stop_strings
        )
        stretches = []
        for (segment, number), texts in zip(segments, made, strict=True):
            ids = [text.tokens for text in texts]
            written = [self._model.written(text, segment, options) for text in texts]
            ends = [End(text.finish, len(text.tokens)) for text in texts]
            # Of those without an end, other segments take the place; if there are none, the source.
            replaced = [one.cut and not segment.accepts(one) for one in written]

            def again(
                more: Sequence[Segment],
                number: int = number,
                ends: list[End] = ends,
                replaced: Sequence[bool] = replaced,
            ) -> list[list[str]]:
                nonlocal ids
                parts = [(one, number) for one in more]
                rewritten = self._write(parts, options, decoding) if parts else []
                for version, end in enumerate(ends):
                    new = joined_end(rewritten, version)
                    finish = new.finish if replaced[version] else end.finish
                    ends[version] = End(finish, end.tokens + new.tokens)
                if rewritten:
                    ids = joined_ids([stretch.ids for stretch in rewritten], len(ids))
                return [stretch.versions for stretch in rewritten]

            versions = segment.finished(written, again)
            stretches.append(Stretch(versions, ids, ends))
        return stretches


def _done(result: list[Stretch]) -> Future[list[Stretch]]:
    """The future of what was done in the calling thread."""
    done: Future[list[Stretch]] = Future()
    done.set_result(result)
    return done


def _first_places(parts: Sequence[Part], *, alone: bool) -> dict[int, int]:
    """For each segment the index of the first equal one; its own if there is none before."""
    seen: dict[Segment, int] = {}
    return {
        place: place if alone else seen.setdefault(part, place)
        for place, part in enumerate(parts)
        if isinstance(part, Segment)
    }
