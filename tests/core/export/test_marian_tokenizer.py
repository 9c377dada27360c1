"""The converted pair of vocabularies gives the ids and the texts of ``MarianTokenizer``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug.errors import ExportError

pytestmark = pytest.mark.train

SOURCES = [
    "The cat sleeps on the mat.",
    "Hello, how are you today?",
    "I don't know what to do...",
    "Café naïve résumé, it's 3.5 km.",
    "Let's go “there” – now!",
    "(brackets) [and] {more}, jumping quickly",
]
TARGETS = [
    "Le chat dort sur le tapis.",
    "Bonjour, comment vas-tu aujourd'hui ?",
    "Je ne sais pas quoi faire…",
    "Café naïf, c'est 3,5 km.",
    "Allons « là » – maintenant !",
    "你好 世界",
]
TEXTS = [
    *SOURCES,
    *TARGETS,
    *("", "   ", " two  spaces ", "tab\there\nnew line", "\xa0nbsp\u3000ideographic"),
    *("ﬁne ½ ™ … ＡＢＣ", "nai\u0308ve e\u0301e\u0301 o\u0302\u0301", "İstanbul ẞ ǅ", "x▁y ▁z"),
    *("日本語", "мир труд", "한국어 각", "\u1112\u1161\u11ab jamo", "مرحبا بكم", "नमस्ते", "สวัสดี"),
    *("😀 emoji", "a\u200bzero", "control\x00\x01\x7f", "\ufeffbom", "a </s> b", "<unk> a <pad>"),
    *(">>fr<< Hello", ">>fr<<Hello there"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair trained on a few sentences, numbered as Marian checkpoints have it."""
    spm = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("marian")
    vocabulary = {"</s>": 0, "<unk>": 1, ">>fr<<": 2}
    for name, texts in (("source", SOURCES), ("target", TARGETS)):
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(texts * 20),
            model_prefix=str(folder / name),
            vocab_size=90,
            hard_vocab_limit=False,
            character_coverage=1.0,
            minloglevel=2,
        )
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        model = spm.SentencePieceProcessor(str(folder / f"{name}.spm"))
        pieces = [model.id_to_piece(number) for number in range(model.get_piece_size())]
        for piece in pieces:
            if piece != "<s>":
                vocabulary.setdefault(piece, len(vocabulary))
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {"source_lang": "en", "target_lang": "fr", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def marian(folder: Path) -> Any:
    from transformers import MarianTokenizer

    return MarianTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle that holds the converted files; its graphs are of a tiny translator."""
    from nlplug import Bundle
    from nlplug.export.marian_tokenizer import fast_tokenizer, marian_tokenizers
    from nlplug.testing import tiny_translator

    path = tiny_translator(tmp_path_factory.mktemp("converted")).path
    pair = marian_tokenizers(folder)
    fast_tokenizer(folder, pair.source).save_pretrained(path)
    pair.target.save(str(path / "target_tokenizer.json"))
    return Bundle.open(path)


@pytest.mark.parametrize("text", TEXTS)
def test_sources_have_the_ids_of_marian(bundle: Any, marian: Any, text: str) -> None:
    from nlplug.families.seq2seq import Seq2SeqModel

    model = Seq2SeqModel(bundle, "translation")
    (ids,) = model.tokens([text])
    before, behind = model.frame
    assert [*before, *ids, *behind] == marian(text).input_ids


def test_translations_have_the_texts_of_marian(bundle: Any, marian: Any) -> None:
    from nlplug.families.seq2seq import Seq2SeqModel

    decode = Seq2SeqModel(bundle, "translation").target.decode
    random = np.random.default_rng(0)
    marks = {marian.convert_tokens_to_ids(">>fr<<")}
    known = sorted(set(range(marian.vocab_size)) - marks)
    for _ in range(1000):
        ids = random.choice(known, random.integers(0, 12)).tolist()
        assert decode(ids) == marian.decode(ids, skip_special_tokens=True), ids


def test_what_marian_says_of_its_languages_is_kept(bundle: Any) -> None:
    config = bundle.repository.tokenizer_config
    assert (config["source_lang"], config["target_lang"]) == ("en", "fr")
    assert config["model_max_length"] == 512


def test_a_folder_with_a_fast_tokenizer_needs_no_conversion(folder: Path, tmp_path: Path) -> None:
    from nlplug.export.marian_tokenizer import marian_folder

    assert marian_folder(str(folder), offline=True) == folder
    assert marian_folder(str(tmp_path), offline=True) is None


@pytest.mark.parametrize("name", ["source.spm", "vocab.json"])
def test_a_broken_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    from nlplug.export.marian_tokenizer import marian_tokenizers

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_bytes(b"no such thing")
    with pytest.raises(ExportError, match=name):
        marian_tokenizers(tmp_path)
