"""Tokenizers of the usual kinds, trained on a few texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

WINDOW = 64
"""Tokens in a window, special ones included, so that a few sentences make several."""
_VOCABULARY = 1000


def word_piece(name: str, *, lowercase: bool = True) -> Callable[[list[str]], Any]:
    """Trains the tokenizer of transformers with this name, with the special tokens of BERT."""

    def train(texts: list[str]) -> Any:
        import transformers

        inner = _pieces(texts, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], lowercase)
        inner.post_processor = _bert_template(inner)
        kind = getattr(transformers, name)
        return kind(tokenizer_object=inner, do_lower_case=lowercase, model_max_length=WINDOW)

    return train


def mpnet(texts: list[str]) -> Any:
    from transformers import MPNetTokenizerFast

    inner = _pieces(texts, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], lowercase=True)
    inner.post_processor = _roberta_template(inner)
    return MPNetTokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)


def _pieces(texts: list[str], specials: list[str], lowercase: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(
            vocab_size=_VOCABULARY // 3,  # words are cut into pieces as in real ones
            # Rarer letters are unknown words, as emoji are to many a real vocabulary.
            limit_alphabet=150,
            special_tokens=specials,
            show_progress=False,
        ),
    )
    return inner


def roberta(texts: list[str]) -> Any:
    from tokenizers import processors
    from transformers import RobertaTokenizerFast

    inner = byte_level(texts, _VOCABULARY)
    inner.post_processor = processors.RobertaProcessing(
        ("</s>", inner.token_to_id("</s>")),
        ("<s>", inner.token_to_id("<s>")),
        trim_offsets=True,
        add_prefix_space=False,
    )
    return RobertaTokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)


def modernbert(texts: list[str]) -> Any:
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
    inner = byte_level(texts, _VOCABULARY, specials=[*names.values(), "[MASK]"])
    inner.post_processor = _bert_template(inner)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        **{f"{name}_token": token for name, token in names.items()},
        mask_token=AddedToken("[MASK]", lstrip=True),
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=WINDOW,
    )


def byte_level(
    texts: list[str],
    size: int,
    specials: Sequence[str] = ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
) -> Any:
    """A ``tokenizers.Tokenizer`` of byte pairs, as those of RoBERTa and BART."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=list(specials),
            show_progress=False,
        ),
    )
    return inner


def unigram(
    texts: list[str],
    *,
    specials: list[str],
    unknown: str,
    normalizer: Any,
    split: bool,
    size: int = _VOCABULARY,
) -> Any:
    """Trained on texts; with ``split`` at spaces first, else the offsets of words hold them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.Unigram())
    if normalizer is not None:
        inner.normalizer = normalizer
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    inner.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        if split
        else metaspace
    )
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    inner.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=size,
            special_tokens=specials,
            unk_token=unknown,
            show_progress=False,
        ),
    )
    return inner


def deberta(texts: list[str]) -> Any:
    from tokenizers import Regex, normalizers
    from transformers import DebertaV2TokenizerFast

    inner = unigram(
        texts,
        specials=["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"],
        unknown="[UNK]",
        split=False,
        normalizer=normalizers.Sequence(
            [normalizers.Strip(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
        ),
    )
    inner.post_processor = _bert_template(inner)
    return DebertaV2TokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)


def albert(texts: list[str]) -> Any:
    from tokenizers import Regex, normalizers
    from transformers import AlbertTokenizerFast

    inner = unigram(
        texts,
        specials=["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        unknown="<unk>",
        split=True,
        normalizer=normalizers.Sequence(
            [
                normalizers.Replace("``", '"'),
                normalizers.Replace("''", '"'),
                normalizers.NFKD(),
                normalizers.StripAccents(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        ),
    )
    inner.post_processor = _bert_template(inner)
    return AlbertTokenizerFast(tokenizer_object=inner, model_max_length=WINDOW)


def xlm(texts: list[str]) -> Any:
    from transformers import XLMRobertaTokenizerFast

    return XLMRobertaTokenizerFast(tokenizer_object=_xlm_pieces(texts), model_max_length=WINDOW)


def camembert(texts: list[str]) -> Any:
    from transformers import CamembertTokenizerFast

    return CamembertTokenizerFast(tokenizer_object=_xlm_pieces(texts), model_max_length=WINDOW)


def _xlm_pieces(texts: list[str]) -> Any:
    from tokenizers import Regex, normalizers

    inner = unigram(
        texts,
        specials=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        unknown="<unk>",
        split=True,
        normalizer=normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
        ),
    )
    inner.post_processor = _roberta_template(inner)
    return inner


def _roberta_template(inner: Any) -> Any:
    from tokenizers import processors

    return processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(name, inner.token_to_id(name)) for name in ("<s>", "</s>")],
    )


def _bert_template(inner: Any) -> Any:
    from tokenizers import processors

    return processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, inner.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
