"""How models of different families are told their languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from nlplug import Bundle
from nlplug.errors import OptionError
from nlplug.testing import tiny_translator
from nlplug.text.language import guess
from nlplug.text.language_codes import base, title
from nlplug_translation.languages import Languages, languages_of


def told_by_codes(folder: Path, template: str, codes: Sequence[str], **config: object) -> Bundle:
    """A bundle whose tokenizer has tokens of languages, put around texts as the template says."""
    named = {"additional_special_tokens": list(codes)}
    described = {"model_type": "m2m_100", **config}
    bundle = tiny_translator(folder, tokenizer_config=named, config=described)
    names = ["<pad>", "</s>", "<unk>", *codes, "a", "cat"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(code, special=True) for code in ["</s>", *codes]])
    special = [(name, vocabulary[name]) for name in ("</s>", *codes)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=special
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return bundle


@pytest.mark.parametrize(
    ("codes", "template", "before", "behind"),
    [
        (("en_XX", "fr_XX"), "$A </s> en_XX", (), (1, 4)),  # mBART
        (("en_XX", "fr_XX"), "en_XX $A </s>", (4,), (1,)),  # mBART-50
        (("eng_Latn", "fra_Latn"), "eng_Latn $A </s>", (4,), (1,)),  # NLLB
        (("__en__", "__fr__"), "$A </s>", (4,), (1,)),  # M2M, with a plain template
    ],
)
def test_a_source_holds_its_own_language_and_an_answer_begins_with_the_target(
    tmp_path: Path,
    codes: tuple[str, str],
    template: str,
    before: tuple[int, ...],
    behind: tuple[int, ...],
) -> None:
    languages = languages_of(told_by_codes(tmp_path, template, codes))
    assert languages.needs_source
    french = languages.source("fr")
    route = languages.route(french, languages.target("en"))
    assert (route.before, route.behind) == (before, behind)
    assert languages.forced(languages.target("en")) == 3


def test_t5_is_told_in_words(tmp_path: Path) -> None:
    tasks = {
        "translation_en_to_de": {"prefix": "translate English to German: "},
        "translation_en_to_fr": {"prefix": "translate English to French: "},
        "summarization": {"prefix": "summarize: "},
    }
    bundle = tiny_translator(tmp_path, config={"task_specific_params": tasks, "model_type": "t5"})
    languages = languages_of(bundle)
    assert (languages.sources, languages.targets) == (("en",), ("de", "fr"))
    assert languages.route(None, languages.target("fra")).prefix == "translate English to French: "
    with pytest.raises(OptionError, match="src_lang is 'fr'"):
        languages.source("fr")


@pytest.mark.parametrize("stated", ["name", "tokenizer"])
def test_one_pair_is_read_from_what_the_model_says(tmp_path: Path, stated: str) -> None:
    if stated == "name":
        languages = languages_of(tiny_translator(tmp_path / "opus-mt-de-en"))
    else:
        named = {"source_lang": "deu", "target_lang": "eng"}
        languages = languages_of(tiny_translator(tmp_path, tokenizer_config=named))
    assert (base(languages.sources[0]), base(languages.targets[0])) == ("de", "en")


def test_groups_of_languages_are_no_language(tmp_path: Path) -> None:
    named = {"source_lang": "ROMANCE", "target_lang": "en"}
    languages = languages_of(tiny_translator(tmp_path, tokenizer_config=named))
    assert languages.sources == ()


def test_a_model_that_says_nothing_takes_no_code(tmp_path: Path) -> None:
    languages = languages_of(tiny_translator(tmp_path))
    assert languages.target(None) is None
    with pytest.raises(OptionError, match="does not say"):
        languages.target("fr")


@pytest.mark.parametrize(
    ("text", "known", "found"),
    [
        ("Ich bin heute sehr müde.", ["eng_Latn", "deu_Latn", "fra_Latn"], "deu_Latn"),
        ("我喜欢你", ["en_XX", "zh_CN"], "zh_CN"),
        ("Where is the station?", ["de", "en", "fr"], "en"),
        ("42!", ["de", "en"], None),
    ],
)
def test_the_language_of_a_text_is_guessed_among_the_known(
    text: str, known: list[str], found: str | None
) -> None:
    assert guess(text, known) == found


def test_codes_of_one_language_are_one() -> None:
    assert {base(code) for code in ("fr", "FR", "fra", "fre", "fr_XX", "fra_Latn", "fr-CA")} == {
        "fr"
    }
    assert base("mul") is None
    assert title("fr") == {"en": "French", "zh": "法语"}
    assert title("zho_Hans") == {"en": "Chinese (zho_Hans)", "zh": "中文 (zho_Hans)"}
    assert title("tlh") == "tlh"


def test_an_unknown_code_lists_what_is_known() -> None:
    languages = Languages("m", ("en",), ("fr", "de"), ((), ()))
    with pytest.raises(OptionError) as error:
        languages.target("klingon")
    assert "'klingon'" in error.value.message
    assert error.value.hint == "It translates to: fr, de."


MARIAN = Languages("m", ("en",), ("fr", "de"), ((), ()), marks={"fr": 3, "de": 4})
PAIR = Languages("p", ("en",), ("fr",), ((), ()))
CODES = Languages("c", ("en", "fr"), ("en", "fr"), ((), ()), codes={"en": 3, "fr": 4})


@pytest.mark.parametrize(
    ("languages", "given", "text", "found"),
    [
        (MARIAN, None, ">>de<< The cat", ("de", "The cat")),
        (MARIAN, "fr", "\ufeff >>deu<<The cat", ("de", "The cat")),
        (MARIAN, "fra", "The cat", ("fr", "The cat")),
        (PAIR, "fr", ">>fr<< The cat", ("fr", "The cat")),
        (CODES, "fr", ">>fra<< The cat", ("fr", "The cat")),
        # Quotations, and what is no language.
        (PAIR, "fr", ">>Es<< is a word", ("fr", ">>Es<< is a word")),
        (PAIR, "fr", ">>ja<<, he said", ("fr", ">>ja<<, he said")),
        (PAIR, None, ">>tbd<< The cat", (None, ">>tbd<< The cat")),
    ],
)
def test_a_text_may_name_its_target(
    languages: Languages, given: str | None, text: str, found: tuple[str | None, str]
) -> None:
    assert languages.marked(text, given) == found


@pytest.mark.parametrize(
    ("languages", "given", "hint"),
    [
        (MARIAN, None, "It translates to: fr, de."),
        (PAIR, "fr", "It translates to: fr."),
        (CODES, "fr", "Set tgt_lang to one of: en, fr."),
        (Languages("n", (), (), ((), ())), None, "Leave >>es<< out."),
    ],
)
def test_a_target_that_the_model_lacks_is_not_translated_as_text(
    languages: Languages, given: str | None, hint: str
) -> None:
    with pytest.raises(OptionError, match=">>es<<; .* does not translate to it") as error:
        languages.marked(">>es<< The cat", given)
    assert error.value.hint == hint


def test_a_mark_is_no_way_to_tell_a_model_that_begins_its_answers_with_the_target() -> None:
    with pytest.raises(OptionError, match="only as tgt_lang"):
        CODES.marked(">>fr<< The cat")


PAIRS = Languages(
    "m",
    ("en", "fr"),
    ("de", "zh", "en"),
    ((), ()),
    marks={"de": 3, "zh": 4, "en": 5},
    pairs=(("en", "de"), ("en", "zh"), ("fr", "en")),
)


def test_the_only_target_of_a_source_need_not_be_named() -> None:
    assert PAIRS.target(None, "fr") == "en"
    assert PAIRS.target("de") == "de"
    with pytest.raises(OptionError, match="several languages"):
        PAIRS.target(None, "en")
    with pytest.raises(OptionError, match="several languages"):
        PAIRS.target(None)


def test_a_target_tells_from_which_languages_it_is_translated() -> None:
    assert PAIRS.sources_of("en") == ["fr"]
    assert PAIRS.sources_of("zh") == ["en"]
    assert PAIRS.sources_of(None) == ("en", "fr")
    assert MARIAN.sources_of("fr") == ("en",)


def test_two_languages_that_do_not_belong_together_are_an_error_that_lists_the_pairs() -> None:
    assert PAIRS.route("fr", "en").before == (5,)
    assert PAIRS.route(None, "de").before == (3,)
    with pytest.raises(OptionError, match="from 'fr' to 'de'") as error:
        PAIRS.route("fr", "de")
    assert error.value.hint == "It translates en to de, en to zh, fr to en."
