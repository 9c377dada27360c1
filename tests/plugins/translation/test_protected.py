"""Addresses, placeholders, tags and numbers come out as they went in, whatever the model says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug.families.seq2seq import Segment, Written
from nlplug_translation.languages import Route
from nlplug_translation.protected import mend, numbers, spans
from nlplug_translation.segments import Writer
from nlplug_translation.vocabulary import Vocabulary

KEPT = [
    *("{name}", "{0:.2f}", "{}", "{{ var }}", "${HOME}", "%s", "%(x)d", "%1$s", "{% if x %}"),
    *("https://a.b/c?d=1&e=2", "http://x.y/z_(w)", "www.example.org/a.b", "example.com"),
    *("bob.smith@mail.example.org", "<b>", "</b>", '<a href="x. Y">', "<br/>", "&amp;"),
    *("3.5", "1,000.50", "10:30", "2024-01-15", "42", "1 000 000", "3/4", "-5", "007"),
    *("`a + b`", "👍🏽", "❤️"),
]
WORDS = ["hello", "the cat", "I", "A4", "1st", "what?", "(so)", "it's", "我有", "and,", "$"]


@pytest.mark.parametrize("text", KEPT)
def test_each_kind_is_known_as_a_whole(text: str) -> None:
    for around in ("{}", "see {} now", "({})", "{}, and", "see {}."):
        found = [span.text for span in spans(around.replace("{}", text))]
        assert found == [text], around


@pytest.mark.parametrize(
    "text",
    ["100%", "a < b and c > d", "50% off", "[x]", "see: this", "a@b", "so {this", "[the link](x)"],
)
def test_words_and_marks_are_not_taken_for_placeholders(text: str) -> None:
    assert [span.text for span in spans(text) if span.kind != "number"] == []


@pytest.mark.parametrize(
    ("said", "wanted", "mended"),
    [
        ("Il pèse 3,5 kilos", ["3.5"], "Il pèse 3.5 kilos"),
        ("1 000 euros et 2 chats", ["2", "1,000"], "1,000 euros et 2 chats"),
        ("trois chats", ["3"], None),
        ("3 et 3", ["3"], None),
        ("4 chats", ["3"], None),
        ("rien", [], "rien"),
    ],
)
def test_numbers_written_another_way_are_mended(
    said: str, wanted: list[str], mended: str | None
) -> None:
    assert mend(said, wanted) == mended


def writer(*, room: int = 40) -> Writer:
    """A token is a character."""
    vocabulary = Vocabulary(lambda texts: [[*map(ord, text)] for text in texts])
    return Writer(vocabulary, Route("", (), (1,)), room=room, limit=room, best=room)


def answer(parts: Sequence[str | Segment], say: Callable[[str], str]) -> str:
    """What becomes of some parts, of a model that says this to each source."""

    def again(segments: Sequence[Segment]) -> list[list[str]]:
        made = []
        for segment in segments:
            said = say("".join(map(chr, segment.ids[:-1])))
            written = Written(said.strip(), said.endswith("~"), [*map(ord, said)])
            made.append(segment.finished([written], again))
        return made

    texts = iter(again([part for part in parts if isinstance(part, Segment)]))
    return "".join(part if isinstance(part, str) else next(texts)[0] for part in parts)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_what_is_protected_comes_out_whatever_the_model_says(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from([*KEPT, *WORDS]), min_size=1, max_size=7))
    text = " ".join(words)
    kept = [span.text for span in spans(text)]
    tale = st.sampled_from(
        ["", "le chat", "dit {name}", "67", "5.", ",5", "<b", "http://q", "七", "~"]
    )
    saying = st.one_of(tale, st.text(max_size=12))

    def say(source: str) -> str:
        kind = data.draw(st.sampled_from(["copies", "drops", "tells"]))
        if kind == "copies":
            return source
        return re.sub(r"\d+|\{.*?\}", "", source) if kind == "drops" else data.draw(saying)

    out = answer(writer(room=data.draw(st.sampled_from([12, 40, 400]))).parts(text), say)
    for span in kept:
        assert out.count(span) >= kept.count(span), (span, out)


@settings(deadline=None)
@given(words=st.lists(st.sampled_from([*KEPT, *WORDS]), min_size=1, max_size=7))
def test_a_model_that_copies_changes_nothing(words: list[str]) -> None:
    text = " ".join(words)
    assert answer(writer(room=1000).parts(text), lambda source: source) == text


def test_numbers_are_not_glued_to_what_the_model_says() -> None:
    out = answer(
        writer().parts("我有3个苹果"), lambda source: "apples" if "3" not in source else "x"
    )
    assert numbers(out) == ["3"]
    assert out == "apples 3 apples"


def test_a_fragment_gets_no_full_stop_and_no_capital() -> None:
    told = {"I have": "J'ai.", "dogs and": "Chiens et.", "cats": "Chats!"}
    out = answer(writer().parts("I have 3 dogs and 15 cats."), lambda source: told.get(source, ""))
    assert out == "J'ai 3 chiens et 15 chats."


def test_an_address_is_written_back_into_the_whole_sentence() -> None:
    sources = []

    def say(source: str) -> str:
        sources.append(source)
        return source.replace("Visit", "Visitez").replace("now", "maintenant")

    assert (
        answer(writer().parts("Visit https://a.b now."), say) == "Visitez https://a.b maintenant."
    )
    assert len(sources) == 1
    assert "https" not in sources[0]


def test_a_number_that_the_model_writes_in_words_is_hidden_behind_another() -> None:
    def say(source: str) -> str:
        return source.replace("I have 3 dogs", "J'ai trois chiens").replace("dogs", "chiens")

    assert answer(writer().parts("I have 3 dogs."), say) == "I have 3 chiens."


def test_what_has_no_room_is_translated_in_halves() -> None:
    seen = []

    def say(source: str) -> str:
        seen.append(source)
        return "~" if len(source) > 20 else source.upper()

    text = "when he came home, he saw the sea"
    assert answer(writer(room=36).parts(text), say) == "WHEN HE CAME HOME, HE SAW THE SEA"
    assert seen[0] == text
