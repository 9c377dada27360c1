"""Generates texts for prompts and chats with a causal language model."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, cast

from nlplug.errors import InputError, OptionError
from nlplug.families.causal_lm.inside import inside_causal
from nlplug.families.causal_lm.options import (
    CausalInput,
    CausalOptions,
    Details,
    GeneratedText,
    GeneratedTokens,
    Message,
    TokenDetails,
)
from nlplug.families.decoding_options import GenerationConfig, refuse_token_ids
from nlplug.families.generation_settings import check_settings
from nlplug.families.text_ends import finish_reason
from nlplug.families.vocabulary import check_vocabulary
from nlplug.inside.result import Inside, Request
from nlplug.models.bundle import Bundle
from nlplug.runtime.answers import Answers, ShortTexts, TextPiece, raise_if_cancelled
from nlplug.runtime.batch_invariance import may_share_batches
from nlplug.runtime.batching import chunks
from nlplug.runtime.chat_template import ChatTemplate, append_text, chat_template_of
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.joined import JoinedDecoder, joined
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.plain import PlainDecoder
from nlplug.runtime.decoding.text import ROWS, Prompt, Text, TextDecoder
from nlplug.runtime.device import warn_unless_cpu
from nlplug.runtime.session import thread_count
from nlplug.runtime.shared import Lazy
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.task import StreamingRunner, TaskInput, TaskOptions

_FIRST_CHUNK = 16
_LARGEST_CHUNK = 256
_CALLS = 16
"""Calls at the same time whose texts are decoded together."""


class CausalRunner(StreamingRunner):
    """See `Runner`; the model is loaded at the first input.

    Args:
        bundle: The model.
        precision: A precision of the model.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; decoding runs on the CPU.
        threads: Threads of a decoding step; None: the CPUs that the process may use.

    Raises:
        BundleError: The tokenizer or its chat template cannot be used.
        DeviceError: The device name is unknown.
        OptionError: The bundle does not have the precision, or ``threads`` is below 1.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: str,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        thread_count(threads)
        warn_unless_cpu(device)
        self._name = bundle.name
        self._path = bundle.onnx_file(precision)
        signature = bundle.signature(precision)
        if signature.task not in ("text generation", ""):
            raise signature.for_another_task("it is not a decoder that continues a text")
        self._rows = ROWS if may_share_batches(signature) else 1
        self._joins = not signature.scales_by_batch  # other calls would change the answers
        self._threads = threads
        self._window = bundle.max_length
        self._tokenizer = load_tokenizer(bundle, offsets=False)
        self._config = GenerationConfig.of(bundle)
        check_settings(self._config.values, bundle.name)
        self._bundle = bundle
        self._templates: dict[bool, ChatTemplate | None] = {}
        self._decoder = Lazy(self._open)

    @property
    def device(self) -> str:
        """See `Runner.device`: decoding runs on the CPU."""
        return "cpu"

    @property
    def concurrency(self) -> int:
        """See `Runner.concurrency`; loads the model, whose graph decides.

        Raises:
            BundleError: See `open`.
        """
        decoder = self._decoder.get()
        if isinstance(decoder, JoinedDecoder):
            return _CALLS
        # A plain graph is faster with several prompts in one call; others run side by side.
        return 1 if isinstance(decoder, PlainDecoder) else 2 * thread_count(self._threads)

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        """See `Runner.map`; inputs are read in growing chunks, so the first answer is early."""
        short, parsed = ShortTexts(), cast("CausalOptions", options)
        return Answers(partial(self._steps, inputs, parsed, short), short=short)

    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        """See `Runner.stream`: the new text.

        Raises:
            InputError: Immediately: the prompt is empty or too long.
            OptionError: Immediately: several texts or beam search, which cannot be streamed.
        """
        given = cast("CausalOptions", options)
        refuse_token_ids(given)
        for name in ("num_beams", "num_return_sequences"):
            if (value := getattr(given, name)) > 1:
                raise OptionError(
                    f"{name} is {value}, but only one text can be streamed.",
                    hint=f"Set {name} to 1, or do not stream.",
                )
        prompt = self._prompt(cast("CausalInput", item), given)
        return self._pieces(prompt, given, self._decoding(given, prompt))

    def inside(self, item: TaskInput, options: TaskOptions, request: Request) -> Inside:
        """See `Runner.inside`: of the prompt, and of the text that follows it."""
        given = cast("CausalOptions", options)
        prompt = self._prompt(cast("CausalInput", item), given)
        text: Sequence[int] = ()
        if request.parts != {"neighbors"}:
            ((made, *_),) = self._texts(given).texts(
                [prompt],
                self._decoding(given, prompt),
                stop=given.stop,
                stop_kept=given.stop_strings,
            )
            text = made.tokens
        return inside_causal(
            request,
            path=self._path,
            decoder=self._decoder.get(),
            tokenizer=self._tokenizer,
            prompt=prompt.ids,
            text=text,
        )

    def open(self) -> None:
        """Load the graph.

        Raises:
            BundleError: It is not a decoder, or the tokenizer belongs to another model.
        """
        self._decoder.get()

    def close(self) -> None:
        """Release the graph; texts that are being generated keep it until they end."""
        self._decoder.clear()

    def _pieces(
        self, prompt: Prompt, options: CausalOptions, decoding: DecodingOptions
    ) -> Generator[TextPiece, None, None]:
        pieces = self._texts(options).pieces(
            prompt, decoding, stop=options.stop, stop_kept=options.stop_strings
        )
        short = ShortTexts()
        with closing(pieces):
            for piece in pieces:
                yield piece
                if piece.finish == "length":
                    self._count(short, prompt, piece.tokens, decoding)
        short.warn()

    def _count(
        self, short: ShortTexts, prompt: Prompt, new: int, decoding: DecodingOptions
    ) -> None:
        """Count a text of ``new`` tokens that ended at a length, if no position was left."""
        context, most = self._decoder.get().spec.context, decoding.max_new_tokens
        if len(prompt.ids) + new > context and new < most:
            short.add(
                f"the model's context of {context} tokens, before the limit of {most} new ones",
                "Give a shorter prompt or a lower max_new_tokens.",
            )

    def _steps(
        self,
        inputs: Iterable[TaskInput],
        options: CausalOptions,
        short: ShortTexts,
        stop: threading.Event,
    ) -> Generator[list[GeneratedText | GeneratedTokens], None, None]:
        first = 0
        # Lengths that count the prompt differ between prompts, so these are answered alone.
        alone = options.max_length is not None or options.min_length is not None
        sizes = (1, 1) if alone else (_FIRST_CHUNK, _LARGEST_CHUNK)
        for chunk in chunks(cast("Iterable[CausalInput]", inputs), *sizes):
            prompts = [self._prompt(item, options, n) for n, item in enumerate(chunk, first)]
            decoding = self._decoding(options, prompts[0], cancelled=stop.is_set)
            answers = self._texts(options).texts(
                prompts, decoding, stop=options.stop, stop_kept=options.stop_strings
            )
            for item, prompt, texts in zip(chunk, prompts, answers, strict=True):
                raise_if_cancelled(stop)
                for one in texts:
                    if one.finish == "length":
                        self._count(short, prompt, len(one.tokens), decoding)
                yield [self._answer(item, prompt, text, options) for text in texts]
            first += len(chunk)

    def _open(self) -> Decoder:
        opened = open_decoder(self._path, context=self._window, threads=self._threads)
        decoder = joined(opened) if self._joins else opened
        check_vocabulary(self._bundle, self._tokenizer, decoder.spec.vocabulary)
        return decoder

    def _texts(self, options: CausalOptions) -> TextDecoder:
        skip = options.skip_special_tokens
        decode = partial(self._tokenizer.decode, skip_special_tokens=skip)
        return TextDecoder(self._decoder.get(), decode, rows=self._rows)

    def _decoding(self, options: CausalOptions, prompt: Prompt, **more: Any) -> DecodingOptions:
        """The options of decoding; ``prompt`` is the only one if lengths count the prompt.

        Raises:
            InputError: The prompt is as long as ``max_length``.
        """
        logprobs = options.details and options.num_beams == 1
        size = len(prompt.ids)
        if options.max_length is not None:
            if size >= options.max_length:
                raise InputError(
                    f"The prompt has {size} tokens; max_length is {options.max_length}.",
                    hint="Give a larger max_length, or max_new_tokens, which counts new tokens.",
                )
            more["max_new_tokens"] = options.max_length - size
        if options.min_length is not None:
            more["min_new_tokens"] = max(0, options.min_length - size)
        return self._config.decoding(options, self._tokenizer, logprobs=logprobs, **more)

    def _prompt(self, item: CausalInput, options: CausalOptions, number: int = 0) -> Prompt:
        """The tokens of an input.

        Raises:
            InputError: There are no tokens or too many, or the model does not support chats.
        """
        if isinstance(item.text, str):
            begin, ids = self._tokenizer.prompt(options.prefix + item.text)
            begin = begin if options.add_special_tokens else []
        else:
            begin, ids = [], self._tokenizer.ids(self._rendered(item.text, options))
        if not ids and not begin and item.text == "":
            begin = list(self._config.tokens("bos_token_id")[:1])
        if not ids and not begin:
            raise InputError(
                "The prompt is empty." if not item.text else "The prompt has no tokens.",
                hint="Give at least one word.",
            )
        if options.prompt_length is not None:
            begin = begin[: options.prompt_length]
            room = options.prompt_length - len(begin)
            ids = ids[:room] if options.truncation == "error" else ids[max(0, len(ids) - room) :]
        context = self._decoder.get().spec.context
        if len(begin) + len(ids) > context:
            if options.truncation == "error":
                raise InputError(
                    f"The prompt has {len(begin) + len(ids)} tokens; the model's context is "
                    f"{context}.",
                    hint="Shorten it, or set truncation to left, which removes its beginning.",
                )
            room = max(context - options.max_new_tokens, context - context // 2)
            ids = ids[-max(1, room - len(begin)) :]
        whole = [*begin, *ids]
        return Prompt(whole, whole, number)

    def _rendered(self, messages: Sequence[Message], options: CausalOptions) -> str:
        tools = bool(options.tools)
        if tools not in self._templates:
            self._templates[tools] = chat_template_of(self._bundle, tools=tools)
        template = self._templates[tools]
        if template is None:
            raise InputError(
                f"The model {self._name!r} has no chat template, so it cannot answer messages.",
                hint="Give a text, or use a model for chats.",
            )
        return template.render(
            messages,
            continue_final=_continues(messages, options),
            tools=options.tools,
            variables=options.chat_template_kwargs,
        )

    def _answer(
        self, item: CausalInput, prompt: Prompt, made: Text, options: CausalOptions
    ) -> GeneratedText | GeneratedTokens:
        answer: GeneratedText | GeneratedTokens
        if options.return_tensors:
            answer = GeneratedTokens(generated_token_ids=[*prompt.ids, *made.tokens])
        else:
            answer = GeneratedText(generated_text=self._whole(item, made, options))
        if options.details:
            answer["details"] = self._details(made, options)
        return answer

    def _whole(self, item: CausalInput, made: Text, options: CausalOptions) -> str | list[Message]:
        """The text of an answer, with its prompt if the options say so."""
        whole: str | list[Message] = made.text
        if options.return_full_text:
            if isinstance(item.text, str):
                whole = item.text + made.text
            elif _continues(item.text, options):
                *before, last = item.text
                whole = [*before, cast("Message", append_text(last, made.text))]
            else:
                whole = [*item.text, Message(role="assistant", content=made.text)]
        return whole

    def _details(self, made: Text, options: CausalOptions) -> Details:
        logprobs: Sequence[float | None] = made.logprobs or [None] * len(made.tokens)
        return Details(
            finish_reason=finish_reason(made.finish),
            generated_tokens=len(made.tokens),
            seed=options.seed,
            prefill=[],
            tokens=[
                TokenDetails(
                    id=token,
                    text=self._tokenizer.decode([token], skip_special_tokens=False),
                    logprob=logprob,
                    special=not self._tokenizer.decode([token]),
                )
                for token, logprob in zip(made.tokens, logprobs, strict=True)
            ],
        )


def _continues(messages: Sequence[Message], options: CausalOptions) -> bool:
    if options.continue_final_message is None:
        return messages[-1]["role"] == "assistant"
    return options.continue_final_message
