"""Training a tokenizer, and saving it as a folder that ``AutoTokenizer`` loads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from nlplug.errors import TrainingError

Kind = Literal["bpe", "unigram", "unigram-bytes", "wordpiece"]

PAD = "<pad>"
UNKNOWN = "<unk>"
# A line end is kept: texts have paragraphs. All other white space is a space, so that the narrow
# one before a French question mark needs no piece of its own.
_BLANKS = Regex(r"[^\S\n]+")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_NEVER = -1000.0
"""Score of a byte's piece: a text that has its name, such as ``<0x41>``, is cut otherwise."""
_RARE = 20
"""A character beyond ASCII that the texts have less often is written in bytes."""


def train_tokenizer(
    texts: Iterable[str],
    *,
    kind: Kind,
    size: int,
    end: str,
    max_length: int,
    closed: bool = False,
    tokens: Sequence[str] = (),
) -> PreTrainedTokenizerFast:
    """A tokenizer learnt from texts.

    Args:
        texts: The texts, read once.
        kind: ``bpe``: byte-level byte-pair encoding, which writes any text and gives it back
            unchanged. ``unigram``: pieces of words as SentencePiece's unigram model has them;
            a character that the texts do not have is unknown. ``unigram-bytes``: the same, but
            rare and unseen characters are written in bytes, so that nothing is unknown.
            ``wordpiece``: pieces of words as BERT has them; white space is not kept.
        size: Tokens in the vocabulary, special ones included.
        end: The token that ends a document.
        max_length: The longest input, for the tokenizer's own settings.
        closed: Whether each encoded text gets ``end``, as sequence-to-sequence models want it.
        tokens: Further special tokens, such as those of languages.

    Raises:
        TrainingError: The vocabulary is smaller than what it has to hold.
    """
    # Padding is token 0, as the graphs of encoder-decoder models start with it.
    special = [PAD, end, *([] if kind == "bpe" else [UNKNOWN]), *tokens]
    tokenizer = _learn(texts, kind, size, special, UNKNOWN)
    if closed:
        tokenizer.post_processor = _template(tokenizer, f"$A {end}", f"$A {end} $B {end}", [end])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=end,
        unk_token=end if kind == "bpe" else UNKNOWN,
        bos_token=None if closed else end,
        additional_special_tokens=list(tokens),
        model_input_names=["input_ids", "attention_mask"],
        **_settings(max_length),
    )


def train_masked_tokenizer(
    texts: Iterable[str], *, kind: Kind, size: int, max_length: int
) -> PreTrainedTokenizerFast:
    """A tokenizer for a masked language model: ``[CLS]`` before a text, ``[SEP]`` behind it.

    Args:
        texts: The texts, read once.
        kind: As ``train_tokenizer`` has them.
        size: Tokens in the vocabulary, special ones included.
        max_length: The longest input, for the tokenizer's own settings.

    Raises:
        TrainingError: The vocabulary is smaller than what it has to hold.
    """
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = _learn(texts, kind, size, list(names.values()), names["unk_token"])
    frame = _template(
        tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"]
    )
    # The byte-level part keeps the space before a word out of the word's place in the text.
    tokenizer.post_processor = (
        processors.Sequence([processors.ByteLevel(trim_offsets=True), frame])
        if kind == "bpe"
        else frame
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **_settings(max_length))


def _settings(max_length: int) -> dict[str, Any]:
    return {"model_max_length": max_length, "clean_up_tokenization_spaces": False}


def _template(
    tokenizer: Tokenizer, single: str, pair: str, tokens: Sequence[str]
) -> processors.TemplateProcessing:
    ids = [(token, tokenizer.token_to_id(token)) for token in tokens]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def _learn(
    texts: Iterable[str], kind: Kind, size: int, special: list[str], unknown: str
) -> Tokenizer:
    least = len(special) + (len(_BYTES) if kind in ("bpe", "unigram-bytes") else 0)
    least += 0 if kind == "bpe" else 8
    if size < least:
        raise TrainingError(
            f"A vocabulary of {size} tokens is too small.", hint=f"The least here is {least}."
        )
    if kind == "bpe":
        tokenizer = _byte_level(texts, size, special)
    elif kind == "unigram":
        tokenizer = _unigram(texts, size, special, unknown)
    elif kind == "unigram-bytes":
        tokenizer = _unigram_bytes(texts, size, special, unknown)
    else:
        tokenizer = _word_pieces(texts, size, special, unknown)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return tokenizer


def _byte_level(texts: Iterable[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _unigram(texts: Iterable[str], size: int, special: list[str], unknown: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(_BLANKS, " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _unigram_bytes(texts: Iterable[str], size: int, special: list[str], unknown: str) -> Tokenizer:
    """A unigram tokenizer without rare characters, to which the 256 bytes are added."""
    texts = list(texts)
    counts = Counter(letter for text in texts for letter in text)
    most = max(counts.values(), default=0)
    least = min(_RARE, most)
    rare = {ord(letter): " " for letter, n in counts.items() if n < least and not letter.isascii()}
    common = (text.translate(rare) for text in texts)
    tokenizer = _unigram(common, size - len(_BYTES), special, unknown)
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    pieces += [[name, _NEVER] for name in _BYTES]
    tokenizer.model = models.Unigram(
        [(name, score) for name, score in pieces],
        unk_id=special.index(unknown),
        byte_fallback=True,
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


def _word_pieces(texts: Iterable[str], size: int, special: list[str], unknown: str) -> Tokenizer:
    """Not the same twice: its trainer takes pieces that are equally frequent in any order."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=special,
        # A character is a piece twice, at the beginning of a word and within.
        limit_alphabet=min(1000, (size - len(special)) // 2),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
