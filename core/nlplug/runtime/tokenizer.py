"""The Rust tokenizer of a bundle: texts in, windows of token ids with offsets out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding
from tokenizers import Tokenizer as RustTokenizer

from nlplug.errors import BundleError, InputError, OptionError

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

Text = str | tuple[str, str]


class Tokenizer:
    """A fast tokenizer that covers long texts by overlapping windows.

    Args:
        file: ``tokenizer.json``.
        max_length: Tokens in a window, special tokens included.
        pad_token: The padding token's text, from ``tokenizer_config.json``; None if there is none.
        offsets: Whether the encodings tell where each token stands in the text; without, a sixth
            of the time is saved.

    Raises:
        BundleError: The file is not a tokenizer.
    """

    def __init__(
        self, file: Path, *, max_length: int, pad_token: str | None = None, offsets: bool = True
    ) -> None:
        self.max_length = max_length
        self._offsets = offsets
        try:
            self._plain = RustTokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises bare Exception
            raise BundleError(
                f"{file} is not a tokenizer that this version of `tokenizers` reads: {error}",
                hint="Export the model again, or fetch it again with `nlplug models pull`.",
            ) from error
        self._plain.no_padding()
        self._plain.no_truncation()
        padding = self._plain.token_to_id(pad_token) if pad_token else None
        self.pad_token_id: int = padding if padding is not None else 0
        self._windowed: dict[tuple[int, int, str], RustTokenizer] = {}
        self._lock = threading.Lock()

    def special_tokens(self, *, pair: bool = False) -> int:
        """How many special tokens a window (of one text, or of a pair) holds."""
        return int(self._plain.num_special_tokens_to_add(pair))

    def encode(
        self, texts: Sequence[Text], *, stride: int = 0, strategy: str = "only_first"
    ) -> list[list[Encoding]]:
        """Tokenize texts or pairs; for each the windows that cover it, in order.

        Args:
            texts: Texts, or (text, pair) tuples.
            stride: Tokens that neighbouring windows share.
            strategy: Which text of a pair is cut into windows: ``only_first`` or ``only_second``.

        Raises:
            InputError: A text is not valid Unicode, or one of a pair fills the window.
            OptionError: The stride leaves no room for new tokens in a window.
        """
        encodings = self._encode_batch(self._plain, texts)
        limit = self.max_length
        windows: list[list[Encoding]] = []
        for text, encoding in zip(texts, encodings, strict=True):
            if len(encoding) <= limit:
                windows.append([encoding])
            else:
                windows.append(self._split(text, stride, strategy))
        return windows

    def truncate(self, texts: Sequence[Text]) -> list[list[Encoding]]:
        """Tokenize and keep the first window alone, as ``truncation=True`` does elsewhere."""
        return [[row[0]] for row in self.encode(texts)]

    def _split(self, text: Text, stride: int, strategy: str) -> list[Encoding]:
        pair = isinstance(text, tuple)
        room = self.max_length - self.special_tokens(pair=pair)
        if isinstance(text, tuple):
            fixed = text[1] if strategy == "only_first" else text[0]
            taken = len(self._plain.encode(fixed, add_special_tokens=False).ids)
            room -= taken
            if room < 1:
                raise InputError(
                    f"One text of the pair has {taken} tokens and leaves no room for the other: "
                    f"the model's window is {self.max_length} tokens.",
                    hint="Shorten it, or use a model with a longer window.",
                )
        if stride >= room:
            raise OptionError(
                f"stride is {stride}, but a window has room for {room} tokens of text.",
                hint=f"Give a stride from 0 to {room - 1}.",
            )
        encoding = self._encode_batch(self._window(stride, strategy), [text])[0]
        return [encoding, *encoding.overflowing]

    def _window(self, stride: int, strategy: str) -> RustTokenizer:
        # Truncation is a state of the Rust object, not an argument: one copy for each setting,
        # so that threads with different settings never meet.
        key = (self.max_length, stride, strategy)
        with self._lock:
            if key not in self._windowed:
                copy = RustTokenizer.from_str(self._plain.to_str())
                copy.enable_truncation(self.max_length, stride=stride, strategy=strategy)
                self._windowed[key] = copy
            return self._windowed[key]

    def _encode_batch(self, tokenizer: RustTokenizer, texts: Sequence[Any]) -> list[Encoding]:
        try:
            if len(texts) == 1:
                text = texts[0]
                return [
                    tokenizer.encode(*text) if isinstance(text, tuple) else tokenizer.encode(text)
                ]
            batch = tokenizer.encode_batch if self._offsets else tokenizer.encode_batch_fast
            return list(batch(list(texts)))
        except (UnicodeEncodeError, TypeError) as error:
            raise _bad_text(texts, error) from error


def load_tokenizer(bundle: Bundle, *, offsets: bool = True) -> Tokenizer:
    """The tokenizer of a bundle, with the bundle's window.

    Args:
        bundle: The bundle.
        offsets: Whether the task needs to know where in the text a token stands.

    Raises:
        BundleError: The file is not a tokenizer.
    """
    pad = bundle.tokenizer_config.get("pad_token")
    text = pad.get("content") if isinstance(pad, dict) else pad
    return Tokenizer(
        bundle.tokenizer_file, max_length=bundle.max_length, pad_token=text, offsets=offsets
    )


def _bad_text(texts: Sequence[Text], error: Exception) -> InputError:
    """Name the text at fault: a lone surrogate is the one thing that Rust cannot take."""
    for index, text in enumerate(texts):
        for part in text if isinstance(text, tuple) else (text,):
            try:
                part.encode("utf-8")
            except UnicodeEncodeError as bad:
                return InputError(
                    f"Text {index} holds the lone surrogate {part[bad.start]!r} at character "
                    f"{bad.start}, which is not valid Unicode.",
                    hint="Decode the source with the right encoding, or drop such characters with "
                    "text.encode('utf-8', 'ignore').decode().",
                )
    return InputError(f"A text cannot be tokenized: {error}")
