"""Training a tokenizer, and saving it as a folder that ``AutoTokenizer`` loads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

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

Kind = Literal["bpe", "unigram"]

PAD = "<pad>"
UNKNOWN = "<unk>"
# A line end is kept: texts have paragraphs. All other white space is a space, so that the narrow
# one before a French question mark needs no piece of its own.
_BLANKS = Regex(r"[^\S\n]+")


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
            a character that the texts do not have is unknown.
        size: Tokens in the vocabulary, special ones included.
        end: The token that ends a document.
        max_length: The longest input, for the tokenizer's own settings.
        closed: Whether each encoded text gets ``end``, as sequence-to-sequence models want it.
        tokens: Further special tokens, such as those of languages.

    Raises:
        TrainingError: The vocabulary is smaller than what it has to hold.
    """
    # Padding is token 0, as the graphs of encoder-decoder models start with it.
    special = [PAD, end, *([UNKNOWN] if kind == "unigram" else []), *tokens]
    least = len(special) + (len(pre_tokenizers.ByteLevel.alphabet()) if kind == "bpe" else 8)
    if size < least:
        raise TrainingError(
            f"A vocabulary of {size} tokens is too small.", hint=f"The least here is {least}."
        )
    tokenizer = (
        _byte_level(texts, size, special) if kind == "bpe" else _unigram(texts, size, special)
    )
    if closed:
        template = processors.TemplateProcessing(
            single=f"$A {end}",
            pair=f"$A {end} $B {end}",
            special_tokens=[(end, tokenizer.token_to_id(end))],
        )
        tokenizer.post_processor = template
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=end,
        unk_token=UNKNOWN if kind == "unigram" else end,
        bos_token=None if closed else end,
        additional_special_tokens=list(tokens),
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


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


def _unigram(texts: Iterable[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(_BLANKS, " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token=UNKNOWN, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
