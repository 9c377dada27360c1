"""Which texts are in none of the languages that a model knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from linear_kit import slow

from nlplug.errors import MissingExtra
from nlplug.text.identifier import load_rank
from nlplug.text.language import OTHER, foreign_language, guess, plain_words
from nlplug.text.language_codes import name_of


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


# Sentences in Latin letters of languages that have others, as people write them in chats.
ROMANIZED = {
    "Hindi": """yah film bahut acchi thi aur mujhe bahut pasand aayi
        mujhe yeh jagah bilkul pasand nahi aayi khana bhi kharab tha
        aap kaise hain main theek hoon aur aap batao kya chal raha hai
        kya aap mujhe bata sakte hain ki station kahan hai aur kitni door hai
        kal raat ko bahut baarish hui isliye hum ghar par hi rahe""",
    "Russian": """mne ochen ponravilsya etot film ya hochu posmotret ego eshche raz
        segodnya ochen holodno i my ostalis doma i smotreli televizor
        skazhite pozhaluysta gde nahoditsya blizhayshaya stantsiya metro
        ya ne znayu chto delat potomu chto on mne ne zvonit""",
    "Arabic": """ana mabsoot kteer bel film da wa keman mabsoot bel akl
        kifak enta sho akhbarak ana mnih el hamdulillah
        uridu an adhhaba ila al suq li ashtariya al khubz wal halib
        kan el akl wahesh awi w el khedma batee2a""",
    "Greek": """den mou arese katholou afti i tainia itan poli megali
        thelo na pao stin agora na agoraso psomi kai gala
        to fagito itan poli kalo kai oi anthropoi itan filikoi""",
    "Chinese": """wo hen xihuan zhe bu dianying wo hai xiang zai kan yi ci
        jintian tianqi hen hao women qu gongyuan ba
        zhe jia fandian de cai hen nan chi fuwu ye bu hao""",
    "Japanese": """kono eiga wa totemo omoshirokatta mou ichido mitai desu
        kyou wa totemo samui node uchi ni imashita""",
    "Korean": """i yeonghwaneun jeongmal jaemiisseosseoyo tto bogo sipeoyo
        oneureun nalssiga neomu chuwoseo jibe isseosseoyo""",
    "Persian": """in film kheyli khoob bood va man an ra kheyli doost dashtam
        emrooz hava kheyli sard ast va ma dar khane mandim""",
}


@pytest.mark.parametrize("known", ["en", "zh"])
@pytest.mark.parametrize("language", ROMANIZED)
def test_a_language_in_latin_letters_that_has_others_is_found(language: str, known: str) -> None:
    sentences = ROMANIZED[language].splitlines()
    assert foreign_language(" ".join(sentences), [known]) is not None
    missed = [text for text in sentences if foreign_language(text, [known]) is None]
    assert len(missed) <= len(sentences) // 3, missed


def test_a_text_that_is_clearly_in_no_language_gets_no_name() -> None:
    for sentence in (
        "mne ochen ponravilsya etot film ya hochu posmotret ego eshche raz",
        "in film kheyli khoob bood va man an ra kheyli doost dashtam",
    ):
        assert foreign_language(sentence, ["en"]) == OTHER
    assert name_of(OTHER, "zh") == "其他语言"


def test_foreign_words_in_an_english_sentence_do_not_make_it_foreign() -> None:
    for sentence in (
        "We had tapas, paella and a jug of sangria at La Tasca",
        "The café was très chic, and the crème brûlée was divine.",
        "namaste everyone hope you had a lovely diwali with family",
        "aight imma head out lol brb gonna get sum food",
        "pt c/o sob and cp x 3 days hx of copd dm htn",
    ):
        assert foreign_language(sentence, ["en"]) is None, sentence


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
