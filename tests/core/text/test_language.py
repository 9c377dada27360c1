"""Which texts are in none of the languages that a model knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from linear_kit import slow

from nlplug.errors import MissingExtra
from nlplug.text.identifier import load_rank
from nlplug.text.language import foreign_language, guess, plain_words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Je n'ai pas aimé ce film du tout, il est beaucoup trop long.", "fr"),
        ("Das ist ein gutes Buch und ich habe es gern gelesen.", "de"),
        ("quero comer uma maçã e beber água", "pt"),
        ("Questo ristorante non mi è piaciuto per niente, non ci torno più.", "it"),
        ("De film was veel te lang en het verhaal was niet goed.", "nl"),
        ("Jag tyckte inte om filmen, den var alldeles för lång.", "sv"),
        ("Ten film był o wiele za długi i wcale mi się nie podobał.", "pl"),
        ("Bu filmi hiç beğenmedim, çok uzundu ve sıkıcıydı.", "tr"),
        ("C'EST VRAIMENT NUL ET TROP CHER", "fr"),
        ("这部电影很好看", "zh"),
        ("これは本です", "ja"),
        ("사랑해요", "ko"),
        ("Привет", "Cyrillic"),
        ("Мне совсем не понравился этот фильм, он слишком длинный.", "ru"),
        ("مرحبا بالعالم كيف حالك اليوم", "ar"),
        ("Καλημέρα", "el"),
    ],
)
def test_a_text_in_another_language_is_found(text: str, found: str) -> None:
    assert foreign_language(text, ["en"]) == found


@pytest.mark.parametrize(
    "text",
    [
        "I loved it",
        "The café was très chic, and the crème brûlée was divine.",
        "Barack Obama, Angela Merkel, Emmanuel Macron and Olaf Scholz",
        "José Luis Rodríguez Zapatero, Björk Guðmundsdóttir",
        "def f(x): return [x for x in range(10)] # sum",
        "SELECT * FROM kunden WHERE name = 'x'",
        "https://example.fr/le/chien/est/dans/le/jardin mail@exemple.fr",
        "12.5 % 1,000 km/h 2026-01-01 10:30",
        "ΔE = mc² α β",
        "😀😀😀 🎉",
        "The character 爱 means love.",
        "OMG LOL THIS IS GREAT",
        "sehr gut",
        "好",
        "",
        "   ",
        "gr8 cu l8r @united #fail <br/> {name} $x",
    ],
)
def test_short_texts_names_code_and_numbers_are_not_foreign(text: str) -> None:
    assert foreign_language(text, ["en"]) is None


def test_code_and_names_in_latin_letters_are_not_foreign_to_a_chinese_model() -> None:
    for text in ("iPhone 15 Pro Max", "def f(x): return x", "https://example.com/the/one"):
        assert foreign_language(text, ["zh"]) is None
    assert foreign_language("The film was far too long, and I did not like it.", ["zh"]) == "en"


def test_any_form_of_a_code_names_a_language() -> None:
    text = "Das ist ein gutes Buch und ich habe es gern gelesen."
    assert foreign_language(text, ["deu_Latn"]) is None
    assert foreign_language(text, ["fr_XX", "de_DE"]) is None
    assert foreign_language(text, ["eng"]) == "de"


@pytest.mark.parametrize("known", [[], ["multilingual"], ["en", "mul"]])
def test_a_model_that_names_no_language_knows_all(known: list[str]) -> None:
    assert foreign_language("这部电影很好看", known) is None


def test_without_the_package_the_script_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "py3langid", None)
    assert foreign_language("Das ist ein gutes Buch und ich habe es gern", ["en"]) is None
    assert foreign_language("这部电影很好看", ["en"]) == "zh"
    assert foreign_language("Мне совсем не понравился этот фильм", ["en"]) == "Cyrillic"
    with pytest.raises(MissingExtra) as error:
        guess("Ich bin müde", ["en", "de"])
    assert error.value.hint == "pip install py3langid"


def test_a_text_takes_time_in_proportion_to_its_length() -> None:
    assert slow(lambda text: foreign_language(text, ["en"])) == []
    assert slow(lambda text: plain_words(text)) == []


def test_damaged_tables_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path))
    text = "Das ist ein schöner Film, den ich mag"
    expected = load_rank()(text)[0]
    (table,) = tmp_path.rglob("nextmove.npy")
    content = table.read_bytes()
    table.write_bytes((content[:128] + b"\xff" * 500_000 + content)[: len(content)])
    assert load_rank()(text)[0] == expected
    assert not table.exists()


def test_no_room_is_needed_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert load_rank()("Das ist ein schöner Film, den ich mag")[0][0] == "de"
