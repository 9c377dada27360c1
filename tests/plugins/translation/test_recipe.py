"""How the embedded translator's data are made: forms of a pair, phrases, what is held out."""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RECIPE, TOOLS = ROOT / "plugins" / "translation" / "recipe", ROOT / "tools"


MORE = RECIPE / "translation-more"


@pytest.fixture(autouse=True)
def recipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (getattr(request, "param", RECIPE), TOOLS):
        monkeypatch.syspath_prepend(str(folder))
    for name in ("make", "pairs", "prepare", "variants"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(
    ("variant", "pair", "made"),
    [
        ("upper", ("It is late.", "Il est tard."), ("IT IS LATE.", "IL EST TARD.")),
        ("upper", ("See {name}.", "Voir {name}."), None),
        ("lower", ("I am late.", "Je suis en retard."), ("i am late", "je suis en retard")),
        ("lower", ("Tom is late.", "Tom est en retard."), ("tom is late", "Tom est en retard")),
        ("title", ("Print all pages", "Imprimer tout"), ("Print All Pages", "Imprimer tout")),
        ("bare", ("It is late.", "Il est tard."), ("It is late", "Il est tard")),
        ("bare", ("Wait...", "Attends..."), None),
        ("curly", ("I'm here.", "J'y suis."), ("I’m here.", "J'y suis.")),
        ("bare", ("It is late.", "天晚了。"), ("It is late", "天晚了")),
    ],
)
def test_a_pair_comes_in_other_forms(
    variant: str, pair: tuple[str, str], made: tuple[str, str] | None
) -> None:
    import variants

    assert getattr(variants, variant)(pair, random.Random(0)) == made


@pytest.mark.parametrize("variant", ["marked", "renamed", "held", "tagged"])
def test_what_both_sides_share_is_changed_on_both_alike(variant: str) -> None:
    import variants

    pair = ("I met Bruno today.", "J'ai vu Bruno hier.")
    made = getattr(variants, variant)(pair, random.Random(1))
    new = made[0].removeprefix("I met ").removesuffix(" today.")
    assert new != "Bruno"
    assert made[1] == f"J'ai vu {new} hier."


@pytest.mark.parametrize("file", [RECIPE / "phrases.tsv", MORE / "phrases.tsv"])
def test_each_phrase_has_the_same_slots_in_the_same_order_in_all_languages(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 400
    for line in lines:
        sides = line.split("\t")
        assert len(sides) == (2 if file.parent == RECIPE else 4), line
        slots = [re.findall(r"\{.\}", side) for side in sides]
        assert all(found == slots[0] for found in slots), line


def test_words_come_as_people_write_them() -> None:
    from prepare import WORDS, words, written

    assert set(words([("cat", "chat"), ("who is it?", "qui est-ce ?")])) == {
        ("cat", "chat"), ("cat.", "chat."), ("cat!", "chat !"),
        ("Cat", "Chat"), ("Cat.", "Chat."), ("Cat!", "Chat !"),
        ("who is it?", "qui est-ce ?"), ("who is it", "qui est-ce"),
        ("Who is it?", "Qui est-ce ?"), ("Who is it", "Qui est-ce"),
    }  # fmt: skip
    listed = list(written(WORDS))
    assert len({english for english, _ in listed}) == len(listed)
    assert all(side == side.strip() and side for pair in listed for side in pair)


def test_names_and_numbers_next_to_chinese_characters_are_found() -> None:
    import variants

    made = variants.marked(("Tom has 3 cats.", "Tom有3只猫。"), random.Random(0))
    assert made is not None
    assert "Tom" not in made[1]
    assert re.findall(r"\d+", made[0]) == re.findall(r"\d+", made[1])
    assert variants.joined(("A b.", "一。"), ("C d.", "二。")) == ("A b. C d.", "一。二。")


@pytest.mark.parametrize("recipe", [MORE], indirect=True)
def test_held_out_sentences_are_held_out_in_all_languages(tmp_path: Path) -> None:
    from pairs import key
    from prepare import SETS, prepare

    folder = tmp_path / "train" / "translation"
    folder.mkdir(parents=True)
    chance = random.Random(0)
    words = ["".join(chance.choices("bcdfgh", k=8)) for _ in range(120)]
    for language, domains in SETS.items():
        for name in domains:
            text = "有" if language == "zh" else language
            rows = [(f"It has {word}", f"{text} {word}") for word in words]
            if language == "zh" and name == "tatoeba":
                rows.append(("He is late", "他遲到了"))
            write(folder / f"{name}_en_{language}.jsonl.gz", rows, language)
    target = tmp_path / "made"
    prepare(tmp_path, target)
    held = {key(row["en"]) for file in (target / "heldout").iterdir() for row in read(file)}
    assert held
    files = [read(target / f"{name}.jsonl.gz") for name in ("train", "everyday")]
    for rows in files:
        trained = [row for row in rows if len({*row.values()}) > 1]
        assert not held & {key(row["en"]) for row in trained}
        assert {*map(tuple, rows)} == {("en", "de"), ("en", "es"), ("en", "zh"), ("fr", "en")}
        assert not any("遲" in row.get("zh", "") for row in rows)
    assert len(files[1]) < len(files[0])
    assert all(row["source"].startswith(">>") for row in read(target / "gate.jsonl.gz"))


@pytest.mark.train
@pytest.mark.parametrize("recipe", [MORE], indirect=True)
def test_a_translator_gets_another_vocabulary_and_keeps_its_layers(tmp_path: Path) -> None:
    import torch
    from make import with_vocabulary
    from transformers import AutoTokenizer, MarianMTModel

    from nlplug.export.restore import restored
    from nlplug.models.resolve import resolve
    from nlplug.train.vocabulary import train_tokenizer

    before = restored(resolve("translation-en-fr"), tmp_path / "before")
    texts = ["the house is red", "das Haus ist rot", "there is the house of the Haus"] * 8
    tokens = train_tokenizer(
        texts, kind="unigram-bytes", size=320, end="</s>", max_length=32, tokens=[">>de<<"]
    )
    tokens.save_pretrained(tmp_path / "vocabulary")
    after = with_vocabulary(before, tmp_path / "vocabulary", tmp_path / "after")
    assert with_vocabulary(before, tmp_path / "vocabulary", after) == after
    old, new = (MarianMTModel.from_pretrained(folder).eval() for folder in (before, after))
    layer = "model.encoder.layers.3.fc1.weight"
    assert torch.equal(old.state_dict()[layer], new.state_dict()[layer])
    known, made = (AutoTokenizer.from_pretrained(folder) for folder in (before, after))
    embedded = [model.get_input_embeddings().weight for model in (old, new)]
    shared = {*known.get_vocab()} & {*made.get_vocab()}
    assert len(shared) > 250  # the bytes at least
    for token in shared:
        rows = [tokenizer.get_vocab()[token] for tokenizer in (known, made)]
        assert torch.equal(embedded[0][rows[0]], embedded[1][rows[1]])
    inputs = made([">>de<< the house"], return_tensors="pt")
    assert new(**inputs, decoder_input_ids=inputs["input_ids"]).logits.shape[-1] == len(embedded[1])
    assert new.generate(inputs["input_ids"], max_new_tokens=4).max() < len(made)


def test_what_is_held_out_is_in_no_other_file(tmp_path: Path) -> None:
    from pairs import key
    from prepare import FOREIGN, OPEN, RESTRICTED, prepare

    folder = tmp_path / "train" / "translation"
    folder.mkdir(parents=True)
    chance = random.Random(0)
    for name in (*OPEN, *RESTRICTED):
        words = ["".join(chance.choices("bcdfgh", k=8)) for _ in range(600)]
        rows = [(f"{name} has {word}", f"{name} a {word}") for word in words]
        write(folder / f"{name}_en_fr.jsonl.gz", rows, "fr")
    write(folder / f"{FOREIGN}.jsonl.gz", [("Hello.", "你好。")], "zh")
    target = tmp_path / "made"
    prepare(tmp_path, target)
    held = {
        key(row["en"])
        for name in (*OPEN, *RESTRICTED)
        for row in read(target / "heldout" / f"{name}.jsonl.gz")
    }
    watched = {key(row["en"]) for row in read(target / "eval.jsonl.gz")}
    assert held
    assert watched
    assert not held & watched
    for file in ("train", "more"):
        trained = {key(row["en"]) for row in read(target / f"{file}.jsonl.gz")}
        assert len(trained) > 1000
        assert not trained & (held | watched)


def write(path: Path, rows: list[tuple[str, str]], target: str) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for english, other in rows:
            file.write(json.dumps({"translation": {"en": english, target: other}}) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["translation"] for line in file]
