"""Trains tokenizers that ``AutoTokenizer`` can load."""

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
# Line ends are kept, because texts have paragraphs. All other white space becomes a space, so that
# the narrow space before a French question mark does not need a token.
_BLANKS = Regex(r"[^\S\n]+")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_NEVER = -1000.0
"""Score of the tokens of bytes, so low that a text such as ``<0x41>`` is split in another way."""
_RARE = 20
"""Characters outside ASCII that occur less often than this are encoded as bytes."""


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
    """Train a tokenizer on texts.

    Only ``bpe`` gives the same tokenizer each time. The trainers of the other kinds start from a
    random order, so that pieces that are nearly as frequent change from run to run.

    Args:
        texts: The texts, read once.
        kind: ``bpe``: byte-level byte-pair encoding, which encodes any text without loss.
            ``unigram``: SentencePiece's unigram model; characters that are not in the texts are
            unknown. ``unigram-bytes``: the same, but rare and unseen characters are encoded as
            bytes, so no character is unknown. ``wordpiece``: subwords as in BERT; white
            space is not kept.
        size: Vocabulary size, special tokens included.
        end: The token that ends a document.
        max_length: Maximum input length, for the tokenizer's settings.
        closed: Whether to append ``end`` to each encoded text, as sequence-to-sequence models need.
        tokens: Further special tokens, such as language tokens.

    Raises:
        TrainingError: The vocabulary is too small.
    """
    # Padding is token 0, because encoder-decoder graphs use it as start token.
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
    """A tokenizer for masked language models: ``[CLS]`` before a text, ``[SEP]`` after it.

    As reproducible as that of ``train_tokenizer``.

    Args:
        texts: The texts, read once.
        kind: As in ``train_tokenizer``.
        size: Vocabulary size, special tokens included.
        max_length: Maximum input length, for the tokenizer's settings.

    Raises:
        TrainingError: The vocabulary is too small.
    """
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = _learn(texts, kind, size, list(names.values()), names["unk_token"])
    frame = _template(
        tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"]
    )
    # The byte-level processor excludes the space before a word from the offsets of the word.
    tokenizer.post_processor = (
        processors.Sequence([processors.ByteLevel(trim_offsets=True), frame])
        if kind == "bpe"
        else frame
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
        **_settings(max_length),
    )


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
            f"A vocabulary of {size} tokens is too small.", hint=f"Set it to at least {least}."
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
    """A unigram tokenizer without rare characters, with 256 tokens for bytes."""
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
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=special,
        # Rare characters leave half of the vocabulary to longer pieces. A smaller limit would cut
        # off most characters of Chinese, where each is a word.
        limit_alphabet=(size - len(special)) // 2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
