"""The Rust tokenizer of a bundle: texts in, windows of token ids with offsets out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import WordLevel

from nlplug.errors import BundleError, InputError, OptionError
from nlplug.models.layout import TARGET_TOKENIZER_FILE
from nlplug.validation import check_text

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

Text = str | tuple[str, str]


@dataclass(frozen=True)
class PairFrame:
    """What a tokenizer puts around a pair of texts.

    Attributes:
        before: Ids of the special tokens before the first text.
        between: Those between the texts.
        after: Those after the second text.
        types: The type ids of these five parts: before, first text, between, second text, after;
            one id a special token, and one id for all tokens of a text.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[tuple[int, ...], ...]


class Tokenizer:
    """A fast tokenizer that covers long texts by overlapping windows.

    Args:
        file: ``tokenizer.json``.
        max_length: Tokens in a window, special tokens included.
        pad_token: The padding token's text, from ``tokenizer_config.json``; None if there is none.
        unk_token: The text of the token for what the vocabulary lacks, likewise.
        offsets: Whether the encodings tell where each token stands in the text; without, a sixth
            of the time is saved.

    Raises:
        BundleError: The file is not a tokenizer.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_length: int,
        pad_token: str | None = None,
        unk_token: str | None = None,
        offsets: bool = True,
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
        unknown = self._plain.token_to_id(unk_token) if unk_token else None
        self.unk_token_id: int = unknown if unknown is not None else -1
        self._windowed: dict[tuple[int, int, str], RustTokenizer] = {}
        self._lock = threading.Lock()

    @property
    def knows_words(self) -> bool:
        """Whether the words of its encodings are words, and not what lies between two spaces.

        So it is where pieces inside a word are marked (WordPiece), or where words have no pieces
        (WordLevel). Byte-level BPE and SentencePiece know only where spaces are.
        """
        model = self._plain.model
        return isinstance(model, WordLevel) or bool(
            getattr(model, "continuing_subword_prefix", None)
        )

    @property
    def splits_words(self) -> bool:
        """Whether text is cut into words before these are cut into tokens; else all is one word."""
        return self._plain.pre_tokenizer is not None

    @cached_property
    def added_tokens(self) -> dict[int, str]:
        """The tokens that were added to the vocabulary, the special ones among them, by id."""
        found = self._plain.get_added_tokens_decoder()
        return {number: str(token.content) for number, token in found.items()}

    def token_text(self, token: int) -> str | None:
        """How a token is written in the vocabulary; None where it lacks it."""
        return self._plain.id_to_token(token) if token >= 0 else None

    def special_tokens(self, *, pair: bool = False) -> int:
        """How many special tokens a window (of one text, or of a pair) holds."""
        return int(self._plain.num_special_tokens_to_add(pair))

    def token_id(self, text: str | None) -> int | None:
        """The id of a token; None where the vocabulary lacks it."""
        return None if text is None else self._plain.token_to_id(text)

    def pieces(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize each text whole: no special tokens, no windows.

        Raises:
            InputError: A text is not valid Unicode.
        """
        try:
            batch = self._plain.encode_batch if self._offsets else self._plain.encode_batch_fast
            return list(batch(list(texts), add_special_tokens=False))
        except (UnicodeEncodeError, TypeError) as error:
            raise _bad_text(texts, error) from error

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without special ones around it.

        Raises:
            InputError: The text is not valid Unicode.
        """
        return list(self.pieces([text])[0].ids)

    def prompt(self, text: str) -> tuple[list[int], list[int]]:
        """A text to go on from: the special tokens before it, and its own.

        Those that belong behind a whole text are left out, for this one does not end here.

        Raises:
            InputError: The text is not valid Unicode.
        """
        encoding = self._encode_batch(self._plain, [text])[0]
        special = [bool(value) for value in encoding.special_tokens_mask]
        begin = special.index(False) if False in special else len(special)
        end = len(special) - special[::-1].index(False) if False in special else begin
        return encoding.ids[:begin], encoding.ids[begin:end]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of some tokens; those that the vocabulary lacks have none."""
        return str(self._plain.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def vocabulary(self) -> dict[str, int]:
        """The text of each token with its id; a large one takes a tenth of a second."""
        return dict(self._plain.get_vocab())

    @property
    def base_size(self) -> int:
        """Tokens of the vocabulary, less those that were added to it."""
        return int(self._plain.get_vocab_size(with_added_tokens=False))

    @property
    def size(self) -> int:
        """Tokens of the vocabulary."""
        return int(self._plain.get_vocab_size())

    @cached_property
    def text_frame(self) -> tuple[list[int], list[int]]:
        """The special tokens that belong before and behind one text.

        Raises:
            BundleError: The tokenizer makes nothing of a plain letter.
        """
        letter = self._plain.encode("a")
        special = letter.special_tokens_mask
        if 0 not in special:
            raise _no_letter()
        first = special.index(0)
        return letter.ids[:first], letter.ids[first + special.count(0) :]

    def windows(self, ids: Sequence[int], *, stride: int = 0) -> list[list[int]]:
        """The windows that cover one text, each with its special tokens; at least one.

        Args:
            ids: The text's tokens, from `pieces`.
            stride: Tokens that neighbouring windows share.

        Raises:
            OptionError: The stride leaves no room for new tokens in a window.
        """
        before, behind = self.text_frame
        room = self.max_length - len(before) - len(behind)
        if len(ids) <= room:
            return [[*before, *ids, *behind]]
        _check_stride(stride, room)
        begins = range(0, len(ids) - stride, room - stride)
        return [[*before, *ids[begin : begin + room], *behind] for begin in begins]

    def pair_frame(self) -> PairFrame:
        """The special tokens that belong around a pair, for windows put together by hand.

        Raises:
            BundleError: The tokenizer makes nothing of a plain letter.
        """
        pair = self._plain.encode("a", "a")
        places: dict[int | None, list[int]] = {None: [], 0: [], 1: []}
        for place, sequence in enumerate(pair.sequence_ids):
            places[sequence].append(place)
        if not places[0] or not places[1]:
            raise _no_letter()
        first, second = places[0], places[1]
        cuts = [0, first[0], first[-1] + 1, second[0], second[-1] + 1, len(pair)]
        parts = [slice(*cut) for cut in pairwise(cuts)]
        ids = [tuple(pair.ids[part]) for part in parts]
        types = [tuple(pair.type_ids[part]) for part in parts]
        types[1], types[3] = types[1][:1], types[3][:1]
        return PairFrame(ids[0], ids[2], ids[4], tuple(types))

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
        _check_stride(stride, room)
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
    return _load(bundle, bundle.tokenizer_file, offsets=offsets)


def load_target_tokenizer(bundle: Bundle) -> Tokenizer | None:
    """The tokenizer of the texts that a model writes, where it is not that of those it reads.

    Raises:
        BundleError: The file is not a tokenizer.
    """
    file = bundle.path / TARGET_TOKENIZER_FILE
    return _load(bundle, file, offsets=False) if file.is_file() else None


def _load(bundle: Bundle, file: Path, *, offsets: bool) -> Tokenizer:
    named = {}
    for name in ("pad_token", "unk_token"):
        token = bundle.tokenizer_config.get(name)
        named[name] = token.get("content") if isinstance(token, dict) else token
    return Tokenizer(file, max_length=bundle.max_length, offsets=offsets, **named)


def _no_letter() -> BundleError:
    return BundleError(
        "The tokenizer gives no token for the letter 'a'.",
        hint="Its vocabulary needs a token for what is unknown.",
    )


def _check_stride(stride: int, room: int) -> None:
    if stride >= room:
        raise OptionError(
            f"stride is {stride}, but a window has room for {room} tokens of text.",
            hint=f"Give a stride from 0 to {room - 1}.",
        )


def _bad_text(texts: Sequence[Text], error: Exception) -> InputError:
    """Name the text at fault: a lone surrogate is the one thing that Rust cannot take."""
    for index, text in enumerate(texts):
        for part in text if isinstance(text, tuple) else (text,):
            try:
                check_text(part, f"Text {index}")
            except InputError as found:
                return found
    return InputError(f"A text cannot be tokenized: {error}")
