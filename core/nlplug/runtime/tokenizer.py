"""The Rust tokenizer of a bundle: texts in, windows of token ids with offsets out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Encoding
from tokenizers.models import BPE, WordLevel, WordPiece

from nlplug.errors import BundleError, InputError
from nlplug.models.layout import TARGET_TOKENIZER_FILE
from nlplug.models.repository import Repository
from nlplug.runtime.token_windows import PairFrame, TokenWindow, longest_first
from nlplug.runtime.tokenizer_files import padding_id, read_tokenizer, unknown_id
from nlplug.text.windows import window_spans
from nlplug.validation import check_text

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

__all__ = [
    "PairFrame",
    "Text",
    "TokenWindow",
    "Tokenizer",
    "load_target_tokenizer",
    "load_tokenizer",
]

Text = str | tuple[str, str]


class Tokenizer:
    """A fast tokenizer that covers long texts by overlapping windows; it holds no state per call.

    Args:
        file: ``tokenizer.json``, or a ``vocab.txt`` of word pieces.
        max_length: Tokens in a window, special tokens included.
        repository: What the other files say of the tokenizer; None where there are no others.
        offsets: Whether encodings hold the position of each token in the text. Without them,
            tokenizing takes a sixth less time.

    Raises:
        BundleError: The file is not a tokenizer.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_length: int,
        repository: Repository | None = None,
        offsets: bool = True,
    ) -> None:
        self.max_length = max_length
        self._offsets = offsets
        repository = repository or Repository(file.parent)
        self._shared = read_tokenizer(file, repository)
        self._plain = self._shared.rust
        self.pad_token_id: int | None = padding_id(self._shared, repository)
        self._typed = repository.gives_types
        unknown = unknown_id(self._plain, repository)
        self.unk_token_id: int = unknown if unknown is not None else -1

    @property
    def knows_words(self) -> bool:
        """Whether ``word_ids`` of its encodings number words, and not the parts between spaces.

        True where pieces inside a word are marked (WordPiece) and where words have no pieces
        (WordLevel). Byte-level BPE and SentencePiece split at spaces only.
        """
        model = self._plain.model
        if isinstance(model, WordPiece | BPE):
            return bool(model.continuing_subword_prefix)
        return isinstance(model, WordLevel)

    @property
    def splits_words(self) -> bool:
        """Whether text is split into words before words are split into tokens."""
        return self._plain.pre_tokenizer is not None

    @cached_property
    def added_tokens(self) -> dict[int, str]:
        """The tokens that were added to the vocabulary, the special ones among them, by id."""
        found = self._plain.get_added_tokens_decoder()
        return {number: str(token.content) for number, token in found.items()}

    def token_text(self, token: int) -> str | None:
        """The text of a token in the vocabulary; None for an id that it lacks."""
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
        """A text to continue: the special tokens before it, and its own tokens.

        Special tokens that follow a complete text are left out, because the text is continued.

        Raises:
            InputError: The text is not valid Unicode.
        """
        encoding = self._encode_batch([text])[0]
        special = [bool(value) for value in encoding.special_tokens_mask]
        begin = special.index(False) if False in special else len(special)
        end = len(special) - special[::-1].index(False) if False in special else begin
        return encoding.ids[:begin], encoding.ids[begin:end]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of some tokens; tokens outside the vocabulary have none."""
        return str(self._plain.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def vocabulary(self) -> dict[str, int]:
        """The text of each token with its id; a large one takes a tenth of a second."""
        return dict(self._plain.get_vocab())

    @property
    def base_size(self) -> int:
        """Number of tokens in the vocabulary, without those that were added to it."""
        return int(self._plain.get_vocab_size(with_added_tokens=False))

    @property
    def size(self) -> int:
        """Number of tokens in the vocabulary."""
        return self._shared.size

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

    def windows(
        self, ids: Sequence[int], *, stride: int = 0, max_length: int | None = None
    ) -> list[list[int]]:
        """The windows that cover one text, each with its special tokens; at least one.

        Args:
            ids: The text's tokens, from `pieces`.
            stride: Tokens that neighboring windows share.
            max_length: Tokens of a window, if fewer than the model's.

        Raises:
            OptionError: The stride leaves no room for new tokens in a window.
        """
        before, behind = self.text_frame
        room = min(max_length or self.max_length, self.max_length) - len(before) - len(behind)
        return [[*before, *ids[span], *behind] for span in window_spans(len(ids), room, stride)]

    def pair_frame(self) -> PairFrame:
        """The special tokens that belong around a pair.

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
        kinds = pair.type_ids if self._typed else [0] * len(pair)
        types = [tuple(kinds[part]) for part in parts]
        types[1], types[3] = types[1][:1], types[3][:1]
        return PairFrame(ids[0], ids[2], ids[4], tuple(types))

    def encode(
        self,
        texts: Sequence[Text],
        *,
        stride: int = 0,
        strategy: str = "only_first",
        max_length: int | None = None,
    ) -> list[list[TokenWindow]]:
        """Tokenize texts or pairs; for each the windows that cover it, in order.

        Args:
            texts: Texts, or (text, pair) tuples.
            stride: Tokens that neighboring windows share.
            strategy: Which text of a pair is cut into windows: ``only_first`` or ``only_second``;
                ``longest_first``: both are cut off, which leaves one window.
            max_length: Tokens of a window, if fewer than the model's.

        Raises:
            InputError: A text is not valid Unicode, or one of a pair fills the window.
            OptionError: The stride leaves no room for new tokens in a window.
        """
        limit = min(max_length or self.max_length, self.max_length)
        return [
            self._cut(
                encoding.ids,
                encoding,
                pair=isinstance(text, tuple),
                stride=stride,
                strategy=strategy,
                limit=limit,
            )
            for text, encoding in zip(texts, self._encode_batch(texts), strict=True)
        ]

    def places(
        self,
        text: Text,
        *,
        stride: int = 0,
        strategy: str = "only_first",
        max_length: int | None = None,
    ) -> list[np.ndarray]:
        """Where the tokens of the windows that `encode` makes of one text or pair come from.

        Returns:
            For each window (tokens, 3) of int: the number of the text (0, or 1 for the second of a
            pair), the first character of the token and the end; a special token has the number -1.

        Raises:
            InputError: As `encode`.
            OptionError: As `encode`.
        """
        encoding = self._encode_batch([text])[0]
        sequences = [-1 if one is None else one for one in encoding.sequence_ids]
        table = np.array(
            [(one, *span) for one, span in zip(sequences, encoding.offsets, strict=True)]
            + [(-1, 0, 0)],
            dtype=np.int64,
        )
        # In place of its id, each token of a text has a negative number. The code that makes the
        # windows only copies ids, and the ids of the special tokens that it adds are not negative.
        numbers = [
            token if one < 0 else -1 - place
            for place, (token, one) in enumerate(zip(encoding.ids, sequences, strict=True))
        ]
        windows = self._cut(
            numbers,
            encoding,
            pair=isinstance(text, tuple),
            stride=stride,
            strategy=strategy,
            limit=min(max_length or self.max_length, self.max_length),
        )
        found = [np.array(window.ids, dtype=np.int64) for window in windows]
        return [table[np.where(ids < 0, -1 - ids, len(table) - 1)] for ids in found]

    def _cut(
        self,
        ids: list[int],
        encoding: Encoding,
        *,
        pair: bool,
        stride: int,
        strategy: str,
        limit: int,
    ) -> list[TokenWindow]:
        """The windows of one encoding, of whose tokens only these ids are used."""
        if len(encoding) <= limit:
            return [TokenWindow(ids, encoding.type_ids if pair and self._typed else None)]
        if pair:
            return self._pair_windows(ids, encoding, stride, strategy, limit)
        before, behind = self.text_frame
        own = ids[len(before) : len(encoding) - len(behind)]
        return [TokenWindow(one) for one in self.windows(own, stride=stride, max_length=limit)]

    def truncate(
        self,
        texts: Sequence[Text],
        *,
        max_length: int | None = None,
        strategy: str = "longest_first",
    ) -> list[list[TokenWindow]]:
        """Tokenize and keep only the first window, as ``truncation=True`` does elsewhere."""
        rows = self.encode(texts, max_length=max_length, strategy=strategy)
        return [row[:1] for row in rows]

    def _pair_windows(
        self, ids: list[int], encoding: Encoding, stride: int, strategy: str, limit: int
    ) -> list[TokenWindow]:
        frame = self.pair_frame()
        parts: tuple[list[int], list[int]] = ([], [])
        for token, sequence in zip(ids, encoding.sequence_ids, strict=True):
            if sequence is not None:
                parts[sequence].append(token)
        room = limit - len(frame.before) - len(frame.between) - len(frame.after)
        if strategy == "longest_first":
            kept = longest_first(len(parts[0]), len(parts[1]), max(room, 0))
            return [frame.join(*(part[:size] for part, size in zip(parts, kept, strict=True)))]
        cut = 0 if strategy == "only_first" else 1
        taken = len(parts[1 - cut])
        room -= taken
        if room < 1:
            raise InputError(
                f"One text of the pair has {taken} tokens and leaves no room for the other: "
                f"the window is {limit} tokens.",
                hint="Shorten it, or use a higher max_length or a model with a longer window.",
            )
        windows = []
        for span in window_spans(len(parts[cut]), room, stride):
            first, second = parts[0], parts[1]
            first, second = (first[span], second) if cut == 0 else (first, second[span])
            windows.append(frame.join(first, second))
        return windows

    def _encode_batch(self, texts: Sequence[Any]) -> list[Encoding]:
        try:
            if len(texts) == 1:
                text = texts[0]
                pair = text if isinstance(text, tuple) else (text,)
                return [self._plain.encode(*pair)]
            batch = self._plain.encode_batch if self._offsets else self._plain.encode_batch_fast
            return list(batch(list(texts)))
        except (UnicodeEncodeError, TypeError) as error:
            raise _bad_text(texts, error) from error


def load_tokenizer(bundle: Bundle, *, offsets: bool = True) -> Tokenizer:
    """The tokenizer of a bundle, with the bundle's window.

    Args:
        bundle: The bundle.
        offsets: Whether the task needs the position of each token in the text.

    Raises:
        BundleError: The file is not a tokenizer.
    """
    return _load(bundle, bundle.tokenizer_file, offsets=offsets)


def load_target_tokenizer(bundle: Bundle) -> Tokenizer | None:
    """The tokenizer of the target texts, where it differs from that of the source texts.

    Raises:
        BundleError: The file is not a tokenizer.
    """
    file = bundle.path / TARGET_TOKENIZER_FILE
    return _load(bundle, file, offsets=False) if file.is_file() else None


def _load(bundle: Bundle, file: Path, *, offsets: bool) -> Tokenizer:
    return Tokenizer(
        file, max_length=bundle.max_length, repository=bundle.repository, offsets=offsets
    )


def _no_letter() -> BundleError:
    return BundleError(
        "The tokenizer gives no token for the letter 'a'.",
        hint="Its vocabulary needs an unknown token.",
    )


def _bad_text(texts: Sequence[Text], error: Exception) -> InputError:
    """Name the text that Rust cannot read, which is one with a lone surrogate."""
    for index, text in enumerate(texts):
        for part in text if isinstance(text, tuple) else (text,):
            try:
                check_text(part, f"Text {index}")
            except InputError as found:
                return found
    return InputError(f"A text cannot be tokenized: {error}")
