"""Where sentences begin and end, and what of a text never reaches the model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug_translation.invisible import visible
from nlplug_translation.layout import lay_out
from nlplug_translation.protected import spans
from nlplug_translation.sentences import halve, sentences

INVISIBLE = list("\ufeff\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\xad\u061c")
TERMINAL = ["\x1b[31m", "\x1b]8;;https://a.b\x1b\\"]
LETTERS = list("aB. !?…,;:-*>1\"'“”()[]{}<>`\n\t\r\x00\u2028\u3000\xa0é我。？」क।😀\u0301")
SAMPLES = st.lists(st.sampled_from(LETTERS + INVISIBLE + TERMINAL), max_size=40).map("".join)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "marked",
    [
        "It rains.| We stay!| Why?| Because…| So be it.",
        "Dr. Smith met Mrs. J. R. Brown.| She left.",
        "It costs $5 (incl. VAT), excl. Paris.| So what?",
        "He came at 5 p.m.| She left at 6 a.m. sharp.",
        "The U.S. Army paid $3.50.| It was 1,000.5 in 1990.| Then it fell.",
        "See No. 5 and p. 7.| No.| I am not.",
        'He said: "Go away!"| Then he left.',
        '"Stop!" he said.| "Why?" she asked.',
        "(He left.)| She stayed.",
        "Apple Inc. grew, e.g. Paris, i.e. France, vs. Rome.| So what?",
        "Wait... what?| Well… maybe.",
        "我喜欢你。|你呢？|“是的。”|他说。",
        "これは本です。|それは？",
        "नमस्ते।| आप कैसे हैं?",
        "مرحبا.| كيف حالك؟| أنا بخير.",
        "Am 3. Oktober kam er z.B. nach Bonn.| Er blieb.",
        "¿Dónde está?| ¡Aquí!| Bien.",
        "M. Dupont et Mme Durand.| Ils partent.",
        "version 2.0.1 is out.| Get it at example.com.| Now.",
    ],
)
def test_sentences_end_where_a_reader_ends_them(marked: str) -> None:
    assert split(marked.replace("|", "")) == [part.strip() for part in marked.split("|")]


@settings(deadline=None)
@given(text=SAMPLES, whole=st.booleans(), protect=st.booleans())
def test_the_pieces_of_any_text_are_the_text(text: str, whole: bool, protect: bool) -> None:
    pieces = lay_out(text, split=not whole, protect=protect)
    assert "".join(piece.text for piece in pieces) == text
    for piece in pieces:
        if piece.translate:
            assert piece.text == piece.text.strip() != ""
            assert any(map(str.isalpha, piece.text))
            assert not set(piece.text) & set("\n\t\r\x00\u2028\x1b")
            assert not set(piece.text[0] + piece.text[-1]) & set(INVISIBLE)


def test_lines_bullets_and_what_has_no_letters_stay() -> None:
    text = "# A title\r\n\r\n  - one item. Another.\n 12. two\n> > said\tcell\n--- 12:30 ---\n"
    assert [piece.text for piece in lay_out(text) if piece.translate] == [
        "A title",
        "one item.",
        "Another.",
        "two",
        "said",
        "cell",
    ]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("\ufeff# A title\r\n\u200e- one\u200b", ["A title", "one"]),
        ("It rains.\u200b We stay.\u200e\u202c", ["It rains.", "We stay."]),
        ("-\u200b one \xad", ["one"]),
        ("\x1b[1;31mError:\x1b[0m no cat\x1b[K", ["Error:", "no cat"]),
        ("\x1b[31mError\x1b[0m: no cat", ["Error", "no cat"]),
        ("\x1b[32m- a cat", ["a cat"]),
        ("\x1b]8;;https://a.b/c\x1b\\The cat\x1b]8;;\x1b\\", ["The cat"]),
        ("\x1b]0;a title\x07cat", ["cat"]),
    ],
)
def test_what_nobody_sees_stays_around_the_sentences(text: str, sent: list[str]) -> None:
    assert [piece.text for piece in lay_out(text) if piece.translate] == sent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("co\xadop\xaderate", "cooperate"),
        ("a \u202bcat\u202c, \u200e-5", "a cat, -5"),
        ("می\u200cخواهم 👩\u200d💻 क्\u200dष", "می\u200cخواهم 👩\u200d💻 क्\u200dष"),
        ("run `a\u200bb` at\u200b once", "run `a\u200bb` at once"),
    ],
)
def test_the_model_gets_what_can_be_seen_and_what_may_not_change(text: str, shown: str) -> None:
    assert visible(text, spans(text)) == shown


def test_code_and_tags_over_several_lines_stay() -> None:
    text = "Look here:\n```\nThe code. It runs.\n```\nA <a\nhref='x. Y'>link</a>.\n"
    sent = [piece.text for piece in lay_out(text) if piece.translate]
    assert sent == ["Look here:", "A", "link</a>."]


def test_no_sentence_ends_within_something_protected() -> None:
    text = 'Use `go. Then` or <b title="A. B">this</b>. It works.'
    sent = [piece.text for piece in lay_out(text) if piece.translate]
    assert sent == ['Use `go. Then` or <b title="A. B">this</b>.', "It works."]


@settings(deadline=None)
@given(text=SAMPLES.filter(bool))
def test_halves_of_any_text_are_not_empty_and_split_no_character(text: str) -> None:
    place = halve(text)
    assert 0 < place <= len(text)
    assert not text[place:].startswith("\u0301")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "When he came home, he saw the road; then he left for the sea",
            "When he came home, he saw the road;",
        ),
        ("one two three four", "one two"),
        ("他来了，我走了", "他来了，"),
        ("abcdef", "abc"),
    ],
)
def test_a_long_sentence_is_cut_between_clauses_if_it_has_any(text: str, left: str) -> None:
    assert text[: halve(text)].strip() == left


def test_a_line_as_long_as_a_book_is_cut_in_a_moment() -> None:
    text = "The cat sat, as e.g. Mr. Smith saw. " * 20_000
    assert len(sentences(text)) == 20_000


@pytest.mark.parametrize(
    ("line", "lead"),
    [
        ("iii. three", "iii. "),
        ("(iv) four", "(iv) "),
        ("XII. Twelve", "XII. "),
        ("1.2 Methods", "1.2 "),
        ("2.10.1  Results", "2.10.1  "),
        ("[^1]: The note.", "[^1]: "),
        ("[2]: see there", "[2]: "),
        ("1.5 million people", ""),
        ("mix. it well", ""),
    ],
)
def test_numbers_of_lists_headings_and_footnotes_stay_in_their_place(line: str, lead: str) -> None:
    first, *_ = lay_out(line)
    assert ("" if first.translate else first.text) == lead
