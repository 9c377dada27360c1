"""Whatever a text is made of and whatever the model says, nothing of the text is lost.

The tests take seconds. `make fuzz` tries 20,000 texts with each model, which takes longer.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlplug import Pipeline
from nlplug.testing import tiny_translator
from nlplug_translation.task import TranslationTask

# What has to be in the translation as it was, and what the vocabularies of both models lack. No
# entry has a blank; those that have are added below.
_KEPT = r"""
    {name} {{var}} {0:.2f} {} ${HOME} #{x} %s %(n)d %1$s %d :name @id %name% [name] [[link]]
    __NAME__ https://a.b/c?d=1&e=2 http://x.y/z_(w) www.example.org/a.b example.com mailto:a@b.org
    bob.smith@mail.example.org x+y@z.org <b> </b> <br/> <i> </i> &amp; &#39; `a+b` \n 😀 👍🏽 ❤️ 👩‍💻
    {n,plural,one{#_item}other{#_items}} C:\new\x ½ → 你好 世界 Привет мир नमस्ते สวัสดี שלום ありがとう
    § N.A.S.A 5'11"
    ::1 fe80::1 std::vector a::b() /usr/local/bin ~/notes ./run.sh README.md max_length getName C++
"""
_DIGITS = """
    3 42 1,000.50 3.5 10:30 2024-01-15 -5 007 1st H2O B12 ABC-1234 v2.3.1 £11million $5 5kg 404 m²
    x₂ 3/4 30 20 +33 1.000.000 2nd, 12345678901234567890 ３ ٣
"""
_WORDS = r"""
    The the cat sees a dog Hello and sleeps I CAT DOG THE very very is HTTP Very Unseen word's co-op
    because which “the ”, … « » * ** _ | ~ \ / - -- . ... ! ? , ; : ( ) [ ] { } < > " ' & % $ # @
"""
KEPT = [
    *_KEPT.split(),
    *("<a href='x. Y'>", "{ n, select, other {a b c} }", "`run it. Now`", "[First Name]"),
]
DIGITS, WORDS = _DIGITS.split(), _WORDS.split()
ATOMS = [*KEPT, *DIGITS, *WORDS, *WORDS]
GAPS = [" ", " ", " ", " ", " ", "", ". ", ", ", "\n", "\t", "  ", "\u200b ", "\xa0", "; "]
# Beside these an atom stays what it is, with no blank between.
BORDERS = '(),;!?"“”«»'

# It drops words, invents numbers, tags and addresses, repeats itself, and mangles digits.
HOSTILE = {
    "the": "le", "cat": "chat", "a": "7", "dog": "", "sees": "voit {x}", "hello": "le le le le le",
    "and": "bebebebebebe", "very": "<b>", "is": "https://q.r", "2": "deux", "3": "4", "0": "",
    "i": "je", "because": "car", "50": "51",
}  # fmt: skip


def joined(pairs: Sequence[tuple[str, str]]) -> str:
    """A text of atoms, each with the gap behind it."""
    text = ""
    for atom, gap in pairs:
        apart = not text or text[-1].isspace() or text[-1] in BORDERS or atom[0] in BORDERS
        text += " " * (not apart) + atom + gap
    return text


def made(chance: random.Random) -> str:
    """A text."""
    count = chance.choice([1, 2, 3, 5, 8, 13, 40])
    atoms = chance.choices(chance.choice([ATOMS, [*WORDS, *DIGITS], [*WORDS, *KEPT]]), k=count)
    return joined([(atom, chance.choice(GAPS)) for atom in atoms])


MANY = int(os.environ.get("NLPLUG_FUZZ_TEXTS", "600"))
SEED = int(os.environ.get("NLPLUG_FUZZ_SEED", "0"))
TEXTS = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(GAPS)), max_size=24).map(joined)


def lost(text: str, answer: str) -> list[str]:
    """What of a text is not in its translation."""
    found = [atom for atom in KEPT if answer.count(atom) < text.count(atom)]
    digits = [Counter(filter(str.isdigit, side)) for side in (text, answer)]
    return found + [f"digits {digits}"] * (digits[0] != digits[1])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    bundle = tiny_translator(tmp_path_factory.mktemp("hostile"), HOSTILE, max_length=48)
    with Pipeline(TranslationTask(), bundle, threads=2) as pipe:
        yield pipe


def check(pipe: Pipeline, texts: Sequence[str], **options: object) -> None:
    for text, answer in zip(texts, pipe(list(texts), **options), strict=True):
        assert lost(text, answer["translation_text"]) == [], (text, answer)


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXTS)
def test_nothing_is_lost_by_a_model_that_loses_all_it_can(hostile: Pipeline, text: str) -> None:
    check(hostile, [text])


@pytest.mark.fuzz
def test_nothing_is_lost_of_many_texts(hostile: Pipeline) -> None:
    chance = random.Random(20 + SEED)
    for _ in range(MANY // 100):
        check(hostile, [made(chance) for _ in range(100)])


@pytest.mark.fuzz
@pytest.mark.parametrize("beams", [1, 4])
def test_nothing_is_lost_by_the_embedded_model(embedded: Pipeline, beams: int) -> None:
    chance = random.Random(beams + SEED)
    count = MANY if beams == 1 and MANY > 600 else 200
    for _ in range(count // 100):
        check(embedded, [made(chance) for _ in range(100)], num_beams=beams)


@settings(deadline=None, max_examples=40)
@given(text=st.text(max_size=200))
def test_any_text_at_all_is_translated(hostile: Pipeline, text: str) -> None:
    hostile(text)


def test_what_is_streamed_is_what_is_answered(hostile: Pipeline) -> None:
    chance = random.Random(3)
    for text in [made(chance) for _ in range(100)]:
        assert "".join(hostile.stream(text)) == hostile(text)[0]["translation_text"]
