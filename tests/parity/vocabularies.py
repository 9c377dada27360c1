"""Tokenizers of the usual kinds, trained on a few texts."""

from __future__ import annotations

import io
from collections import Counter
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
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    before = pre_tokenizers.BertPreTokenizer()
    words = _words(texts, normalizer, before)
    # Rarer letters are unknown words, as emoji are to many a real vocabulary.
    common = {letter for letter, _ in Counter("".join(words)).most_common(150)}
    words = [f"▁{word}" for word in words if common.issuperset(word)]
    # Words are cut into pieces as in real vocabularies, which are larger.
    size = _VOCABULARY // 3 - len(specials)
    found = [name for name, _ in _learned(words, size, model_type="bpe")]
    pieces = [
        *sorted(common),
        *(f"##{letter}" for letter in sorted(common)),
        *(name[1:] if name.startswith("▁") else f"##{name}" for name in found),
    ]
    inner = Tokenizer(
        models.WordPiece(
            {name: number for number, name in enumerate(dict.fromkeys([*specials, *pieces]))},
            unk_token="[UNK]",
        )
    )
    inner.normalizer = normalizer
    inner.pre_tokenizer = before
    inner.decoder = decoders.WordPiece()
    inner.add_special_tokens(specials)
    return inner


def _words(texts: list[str], normalizer: Any, pre_tokenizer: Any) -> list[str]:
    if normalizer is not None:
        texts = [normalizer.normalize_str(text) for text in texts]
    return [word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(text)]


def _learned(words: list[str], size: int, **settings: Any) -> list[tuple[str, float]]:
    """Pieces and scores by SentencePiece: the trainers of ``tokenizers`` differ in each run."""
    import sentencepiece

    found = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words),
        model_writer=found,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        split_by_unicode_script=False,
        split_by_number=False,
        num_threads=1,
        minloglevel=2,
        **settings,
    )
    made = sentencepiece.SentencePieceProcessor(model_proto=found.getvalue())
    own = len(["<unk>", "<s>", "</s>"])
    return [(made.id_to_piece(one), made.get_score(one)) for one in range(own, len(made))]


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
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    before = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
        if split
        else metaspace
    )
    pieces = _learned(_words(texts, normalizer, before), size - len(specials))
    inner = Tokenizer(
        models.Unigram(
            [*((name, 0.0) for name in specials), *pieces], unk_id=specials.index(unknown)
        )
    )
    if normalizer is not None:
        inner.normalizer = normalizer
    inner.pre_tokenizer = before
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    inner.add_special_tokens(specials)
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
