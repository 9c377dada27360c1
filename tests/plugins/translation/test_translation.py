"""The task as users call it: languages, layout, streams, and clear errors for bad input."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nlplug import Bundle, Pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleError, InputError, MissingExtra, OptionError
from nlplug.testing import tiny_translator
from nlplug_translation.task import TranslationTask

MARKED = {
    "fr": {"the": "le", "cat": "chat", "dog": "chien"},
    "de": {"the": "die", "cat": "Katze", "dog": "Hund"},
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """English to French, word by word; its window has 32 tokens."""
    folder = tmp_path_factory.mktemp("tiny-en-fr")
    named = {"source_lang": "en", "target_lang": "fr"}
    return tiny_translator(folder, max_length=32, tokenizer_config=named)


@pytest.fixture(scope="module")
def translate(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(TranslationTask(), bundle, threads=2) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Told its target by a token before the text."""
    made = tiny_translator(tmp_path_factory.mktemp("polyglot"), marked=MARKED)
    with Pipeline(TranslationTask(), made, threads=1) as pipe:
        yield pipe


def said(pipe: Pipeline, text: str, **options: object) -> str:
    (answer,) = pipe(text, **options)
    assert list(answer) == ["translation_text"]
    return str(answer["translation_text"])


def run(bundle: Bundle, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", "translation", "--model", str(bundle.path), *arguments])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"eos_token_id": None}, "No token of the model .* ends a translation"),
        ({"eos_token_id": 1 << 20}, "No token of the model .* ends a translation"),
        ({"eos_token_id": 1 << 40}, "eos_token_id=1099511627776, which is not a token"),
        ({"max_position_embeddings": 1}, "has 1 tokens, and special tokens leave no room"),
    ],
)
def test_a_model_that_can_translate_nothing_is_refused(
    tmp_path: Path, config: dict[str, int | None], message: str
) -> None:
    bundle = tiny_translator(tmp_path, config=config)
    with pytest.raises(BundleError, match=message):
        Pipeline(TranslationTask(), bundle)


def test_answers_have_the_shapes_of_transformers(translate: Pipeline) -> None:
    cat, dog = {"translation_text": "Le chat"}, {"translation_text": "un chien"}
    assert translate("The cat") == [cat]
    assert translate(["The cat", "a dog"]) == [cat, dog]
    two = translate(["a dog"], num_beams=2, num_return_sequences=2)
    assert len(two[0]) == 2
    assert two[0][0] == dog


def test_lines_paragraphs_and_bullets_stay(translate: Pipeline) -> None:
    text = "# The cat\r\n\r\n  - a dog.  The cat!\n\n\t1. a cat sees\n"
    assert (
        said(translate, text) == "# Le chat\r\n\r\n  - un chien.  Le chat!\n\n\t1. un chat voit\n"
    )


@pytest.mark.parametrize("text", ["", " ", "\n\n \t", "12:30 --- !!!", "\x00"])
def test_what_has_no_words_stays_as_it_is(translate: Pipeline, text: str) -> None:
    assert said(translate, text) == text
    assert translate([text, "a dog"])[1] == {"translation_text": "un chien"}


def test_placeholders_addresses_and_numbers_stay(translate: Pipeline) -> None:
    text = "Hello {name}, the 3 cat sees https://a.b/c?d=1 and bob@x.org, <b>a dog</b> 10:30."
    assert said(translate, text) == (
        "Bonjour {name}, le 3 chat voit https://a.b/c?d=1 et bob@x.org, <b>un chien</b> 10:30."
    )


def test_without_protection_the_model_has_the_whole_text(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, {"cat": "chat", "3": "trois"})
    with Pipeline(TranslationTask(), made, threads=1) as pipe:
        assert said(pipe, "cat 3 cat") == "chat 3 chat"
        assert said(pipe, "cat 3 cat", protect=False) == "chat trois chat"


def test_a_sentence_longer_than_the_window_is_translated_whole(translate: Pipeline) -> None:
    text = ("the cat sees a dog, " * 40).strip()
    assert said(translate, text) == ("le chat voit un chien, " * 40).strip()


def test_100_000_characters_keep_every_line(translate: Pipeline) -> None:
    line = "The cat sleeps. A dog sees {x} and 42.\n"
    text = line * 2_600
    assert len(text) > 100_000
    assert said(translate, text) == "Le chat dort. Un chien voit {x} et 42.\n" * 2_600


@pytest.mark.parametrize(
    "text", ["the cat sees a dog", "The cat. A dog, 3 cat.\n\n- Hello", "", "the cat " * 60]
)
@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_streamed_is_what_is_answered(translate: Pipeline, text: str, beams: int) -> None:
    pieces = list(translate.stream(text, num_beams=beams))
    assert "".join(pieces) == said(translate, text, num_beams=beams)


@pytest.mark.parametrize("protect", [True, False])
def test_a_sentence_has_other_texts_of_which_the_first_is_the_best_beam(
    translate: Pipeline, protect: bool
) -> None:
    text = "The cat sees {x}. A dog sleeps."
    parts: dict[int, str] = {}
    for piece in translate.pieces(text, protect=protect):
        parts[piece.part] = parts.get(piece.part, "") + piece.text
    assert "".join(parts.values()) == said(translate, text, protect=protect)
    written = [part for part, words in parts.items() if any(map(str.isalpha, words))]
    for part in written:
        others = translate.alternatives(text, part=part, count=3, protect=protect)
        assert 1 <= len(others) <= 3
        assert len(set(others)) == len(others)
        assert parts[part] in others
    assert translate.alternatives(text, part=written[0] + 1, protect=protect) == []  # a space
    with pytest.raises(InputError, match="but part 99 was requested"):
        translate.alternatives(text, part=99)
    with pytest.raises(OptionError, match="count is 0"):
        translate.alternatives(text, part=0, count=0)


@pytest.mark.parametrize("beams", [1, 3])
def test_other_texts_from_a_word_on_keep_what_is_before_it(translate: Pipeline, beams: int) -> None:
    text = "The cat sees {x}. A dog sleeps."
    first = said(translate, text).partition(".")[0]
    words = first.split()
    for place in range(len(words)):
        before = " ".join(words[:place])
        others = translate.alternatives(text, part=0, before=before, num_beams=beams)
        assert all(other.startswith(before) and "{x}" in other for other in others)
    before = words[0]
    assert translate.alternatives(text, part=0, before=before)[0] == f"{first}."
    assert translate.alternatives(text, part=0, before="Москва") == []  # no such tokens
    assert translate.alternatives(text, part=1, before="") == []  # a space


def test_what_stays_unchanged_is_named(translate: Pipeline) -> None:
    text = "See {x} at 10:30 on https://example.com."
    assert translate.unchanged(text) == ["{x}", "10:30", "https://example.com"]
    assert translate.unchanged(text, protect=False) == []
    assert translate.unchanged("a b", protect_patterns=["b"]) == ["b"]


def test_one_sentence_comes_word_by_word_where_it_is_not_checked(translate: Pipeline) -> None:
    pieces = list(translate.pieces("the cat sees a dog", protect=False))
    assert [piece.text for piece in pieces if piece.text] == [
        "le",
        " chat",
        " voit",
        " un",
        " chien",
    ]
    assert pieces[-1].finish == "eos"
    assert pieces[-1].tokens == 6


def test_a_target_is_named_by_its_code_in_any_form(polyglot: Pipeline) -> None:
    assert said(polyglot, "the cat", tgt_lang="fr") == "le chat"
    for code in ("de", "DE", "deu", "de_DE", "deu_Latn"):
        assert said(polyglot, "the cat. the dog", tgt_lang=code) == "die Katze. die Hund"
    assert said(polyglot, ">>de<< the cat") == "die Katze"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"tgt_lang": "xx"}, "tgt_lang is 'xx'", "fr, de"),
        ({"tgt_lang": "es"}, "does not translate to it", "fr, de"),
        ({}, "tgt_lang names none", "fr, de"),
    ],
)
def test_an_unknown_target_is_an_error_that_lists_the_known(
    polyglot: Pipeline, options: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(OptionError, match=message) as error:
        polyglot("the cat", **options)
    assert hint in str(error.value.hint)


def test_a_model_of_one_pair_takes_no_other(translate: Pipeline, bundle: Bundle) -> None:
    assert said(translate, "a dog", src_lang="eng", tgt_lang="fra") == "un chien"
    with pytest.raises(OptionError, match="src_lang is 'de'") as error:
        translate("a dog", src_lang="de")
    done = run(bundle, "--src-lang", "de", "a dog")
    assert done.exit_code == error.value.exit_code
    assert error.value.message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["a dog \ud83d", "\ud800", "12 \udcff"])
def test_a_lone_surrogate_is_the_same_error_in_python_and_at_the_shell(
    translate: Pipeline, bundle: Bundle, tmp_path: Path, text: str
) -> None:
    with pytest.raises(InputError, match="text holds the lone surrogate") as error:
        translate(text)
    with pytest.raises(InputError, match="lone surrogate"):
        translate.stream(text)
    done = run(bundle, text, "--output", str(tmp_path / "x.jsonl"))
    assert done.exit_code == 2
    assert error.value.message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["stop", "bad_words"])
def test_a_lone_surrogate_in_an_option_is_named(translate: Pipeline, name: str) -> None:
    with pytest.raises(OptionError, match=rf"{name}\.1 holds the lone surrogate '\\ud800'"):
        translate("a dog", **{name: ["x", "\ud800"]})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\ufeffThe cat\u200b.\n\u200e- a dog\u200e", "\ufeffLe chat.\n\u200e- un chien\u200e"),
        ("the c\xada\u200bt \u2060sees\ufeff a\u202b dog\u202c", "le chat voit un chien"),
        ("\u2067the cat\u2069 sees a dog", "le chat voit un chien"),
        ("\u202ethe cat sees a dog\u202c", "\u202ele chat voit un chien\u202c"),
        ("\u2067the \u202bcat\u202c. a dog\u2069\u202c", "\u2067le chat. un chien\u2069\u202c"),
        ("the \x1b[31mcat\x1b[0m sees", "le \x1b[31mchat\x1b[0m voit"),
        ("the `a\u200bb` dog", "le `a\u200bb` chien"),
        ("<b>\u200bthe cat\u200b</b>", "<b>\u200ble chat\u200b</b>"),
    ],
)
def test_what_nobody_sees_does_not_reach_the_model(
    translate: Pipeline, text: str, answer: str
) -> None:
    assert said(translate, text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("{a}" * 60, "{a}" * 60),
        ("{a}" * 60 + " the cat", "{a}" * 60 + " le chat"),
        ("the cat " + "{a} {b}" * 40, "le chat " + "{a} {b}" * 40),
        ("http://a.b/" * 20, "http://a.b/" * 20),
        ("the cat " + "-" * 80 + " a dog", "le chat " + "-" * 80 + " un chien"),
    ],
)
def test_a_cut_where_nothing_is_translated_adds_nothing(
    translate: Pipeline, text: str, answer: str
) -> None:
    assert said(translate, text) == answer


def test_a_mark_that_the_model_does_not_know_lists_the_targets(translate: Pipeline) -> None:
    for options in ({}, {"tgt_lang": "fr"}):
        with pytest.raises(OptionError, match=">>de<<") as error:
            translate(">>de<< the cat", **options)
        assert error.value.hint == "It translates to: fr."
    assert said(translate, ">>fr<< the cat") == "le chat"


def test_versions_of_what_cannot_be_translated_are_the_source(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, {"cat": "7", "dog": ""})
    with Pipeline(TranslationTask(), made, threads=1) as pipe:
        (versions,) = pipe(["cat dog"], num_beams=2, num_return_sequences=2)
        assert versions == [{"translation_text": "cat dog"}] * 2


def test_masks_do_not_come_through_where_the_room_is_small(translate: Pipeline) -> None:
    for room in range(1, 9):
        text = said(translate, "the {a} cat sees 5 {b} a dog", max_new_tokens=room)
        assert [part for part in text.split() if "{" in part or "5" in part] == ["{a}", "5", "{b}"]


def test_what_is_made_of_halves_or_stays_has_its_end(tmp_path: Path) -> None:
    """A model that never ends a text with "dog"; the room is larger than the source."""
    made = tiny_translator(tmp_path, {"cat": "chat", "dog": " ".join(["chien"] * 40)})
    with Pipeline(TranslationTask(), made, threads=1) as pipe:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pieces = list(pipe.pieces("cat dog", max_new_tokens=12))
        assert ("".join(piece.text for piece in pieces), pieces[-1].finish) == ("chat dog", "eos")
        with pytest.warns(UserWarning, match=r"ended at max_new_tokens \(1\)"):
            pipe("cat cat cat", max_new_tokens=1)


def test_a_users_patterns_stay_as_they_are(translate: Pipeline) -> None:
    assert said(translate, "the cat sees the dog", protect_patterns=["the d\\w+"]) == (
        "le chat voit the dog"
    )


@pytest.mark.parametrize(
    "options",
    [
        *({"max_new_tokens": 0}, {"num_beams": -1}, {"sentences": "x"}, {"best_length": 0}),
        {"protect_patterns": ["("]},
    ],
)
def test_a_wrong_option_is_named(translate: Pipeline, options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        translate("a dog", **options)


def test_the_shell_gives_what_python_gives(translate: Pipeline, bundle: Bundle) -> None:
    done = run(bundle, "--tgt-lang", "fr", "The cat.")
    assert done.exit_code == 0, done.output
    assert "Le chat." in done.stdout


def test_a_file_is_translated_line_by_line(translate: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    rows = [{"text": "a dog", "id": 1}, {"text": "the cat"}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [row["translation_text"] for row in translate(file)] == ["un chien", "le chat"]


def test_its_languages_are_offered_by_name(polyglot: Pipeline, bundle: Bundle) -> None:
    task = TranslationTask()
    assert task.choices(polyglot.bundle)["tgt_lang"]["de"] == {"en": "German", "zh": "德语"}
    assert list(task.choices(bundle)["src_lang"]) == ["en"]


def test_its_texts_stand_in_both_languages() -> None:
    task = TranslationTask()
    for text in (task.title, task.description):
        assert not isinstance(text, str)
        assert set(text) == {"en", "zh"}
    for field in task.Options.model_fields.values():
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["zh"]


def test_without_the_guessing_package_the_hint_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from nlplug.text.language import guess

    monkeypatch.setitem(__import__("sys").modules, "py3langid", None)
    with pytest.raises(MissingExtra) as error:
        guess("Ich bin müde", ["en", "de"])
    assert "pip install py3langid" in str(error.value.hint)
