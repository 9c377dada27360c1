"""The model inside the package: as good as its card says."""

from __future__ import annotations

import gzip
import hashlib
import json
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.evaluation.run import evaluate
from nlplug_translation.plugin import register_models
from nlplug_translation.task import TranslationTask


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    [spec] = register_models()
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def translate(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("translation") as translate:
        yield translate


def test_its_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert manifest.task == "translation"
    assert bundle.graphs.keys() == {"encoder_model", "decoder_model_merged"}
    assert manifest.metrics["graph"].startswith(("fast", "plain"))
    assert 0.7 < manifest.precisions["int8"].parity["identical"] <= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Where is the station?", ["Où", "gare", "?"]),
        ("I don't have any money.", ["Je n'ai", "argent"]),
        ("A man is playing the guitar.", ["Un homme", "joue", "guitare"]),
        ("Two children are running on the beach.", ["Deux enfants", "plage"]),
    ],
)
def test_it_translates_plain_sentences(translate: Pipeline, text: str, words: list[str]) -> None:
    [answer] = translate(text)
    for word in words:
        assert word in answer["translation_text"]


def test_lines_and_placeholders_stay(translate: Pipeline) -> None:
    [answer] = translate("I waited for {name}.\n\nSee https://example.com for more.")
    first, blank, last = answer["translation_text"].split("\n")
    assert "{name}" in first
    assert blank == ""
    assert "https://example.com" in last


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ["Où", "gare", "?"]),
        (1, ["Un homme", "rouge", "guitare.\n\nDeux enfants", "dans"]),
        (2, ["Bonjour {name}", "train", "10:30", "https://example.com pour plus d'informations."]),
    ],
)
def test_each_example_is_translated_whole(
    translate: Pipeline, number: int, words: list[str]
) -> None:
    assert len(TranslationTask.examples) == 3
    example = TranslationTask.examples[number]
    [answer] = translate(example.input["text"], **example.options)
    for word in words:
        assert word in answer["translation_text"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I love you 😀. 你好，世界。", "Je t'aime 😀. 你好，世界。"),
        ("THIS IS VERY IMPORTANT", "C'EST TRÈS IMPORTANT"),
        ("It costs £11million.", "Cela coûte £11million."),
        ("HTTP 404", "HTTP 404"),
        ("Error 404", "Erreur 404"),
        ("I have ١٢٣ books.", "J'ai ١٢٣ livres."),
        ("Customer Supplied Package", "Client Fichier fourni"),
    ],
)
def test_what_must_stay_or_be_written_once_is(translate: Pipeline, text: str, answer: str) -> None:
    assert translate(text) == [{"translation_text": answer}]


@pytest.mark.filterwarnings("ignore::nlplug.errors.ForeignTextWarning")
@pytest.mark.parametrize(
    "text",
    [
        "这家餐厅的服务非常好，我下次还会来北京。我很高兴。你呢？",
        "これはテストです。とても良い、ありがとう。",
        "你好！！！世界？！",
        "Привет!Как дела?",
    ],
)
def test_a_text_that_it_cannot_read_gets_no_spaces(translate: Pipeline, text: str) -> None:
    assert translate(text) == [{"translation_text": text}]


def test_other_words_may_come_from_any_word_of_a_sentence_on(translate: Pipeline) -> None:
    text = "The weather is nice and we are going to the sea."
    words = translate(text)[0]["translation_text"].split()
    for place in range(0, len(words), 2):
        before = " ".join(words[:place])
        others = translate.alternatives(text, part=0, before=before)
        assert len(others) >= 2
        assert all(other.startswith(before) for other in others)
        assert len({other.split()[place] for other in others}) == len(others)


@pytest.mark.parametrize("beams", [1, 4])
def test_a_sentence_that_it_knows_nothing_of_is_translated_all_the_same(
    translate: Pipeline, beams: int
) -> None:
    text = (
        "Garden show host Anna Weber left 'delighted' after museum director Paul Lindqvist pulls "
        "in £15million grant with his railway heritage charity to focus on their new projects "
        "with Stone and Miller and BBX"
    )
    [answer] = translate(text, num_beams=beams)
    assert "£15million" in answer["translation_text"]
    assert "BBX" in answer["translation_text"]


def test_sentences_kept_out_of_training_are_translated_as_well_as_asked(
    translate: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sacrebleu")
    rows = rows_of(data_folder / "train" / "translation" / "tatoeba_en_fr.jsonl.gz")
    held = [row for row in rows if held_out(row["translation"]["en"])]
    report = evaluate(translate, rows_file(tmp_path / "held.jsonl", held[:500])).report
    assert report["rows"] > 300
    assert report["bleu"] >= 42
    assert report["chrf"] >= 62


def test_captions_which_are_in_no_training_set_are_translated_too(
    translate: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sacrebleu")
    rows = rows_of(data_folder / "dev" / "translation" / "multi30k_en_fr_test.jsonl.gz")
    report = evaluate(
        translate, rows_file(tmp_path / "test.jsonl", islice(rows, 0, None, 8))
    ).report
    assert report["bleu"] >= 22


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def rows_file(path: Path, rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def held_out(english: str) -> bool:
    """The recipe keeps a 200th of the English sentences out of training, by a hash."""
    letters = unicodedata.normalize("NFKC", english).casefold()
    key = "".join(letter for letter in letters if letter.isalnum())
    return int.from_bytes(hashlib.sha256(f"test/{key}".encode()).digest()[:8], "big") % 200 == 0
