"""Streamed text: whole characters, the text of all tokens together, and stop strings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from nlplug.runtime.decoding.text import TextStream

ALPHABET = pre_tokenizers.ByteLevel.alphabet()


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    """A token a byte: every character outside ASCII is split."""
    vocabulary = {byte: number for number, byte in enumerate(sorted(ALPHABET))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.fixture(scope="module")
def sentence_piece() -> Tokenizer:
    """Words with their space in front, which is dropped at the start of a text."""
    words = ["<unk>", "▁once", "▁upon", "▁a", "▁time", "s", "."]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=30))
def test_pieces_are_whole_characters_and_make_up_the_text(byte_level: Tokenizer, text: str) -> None:
    stream = TextStream(byte_level.decode)
    ids = byte_level.encode(text).ids
    pieces = [stream.push(token) for token in ids]
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + stream.finish() == text


def test_a_character_comes_with_its_last_byte(byte_level: Tokenizer) -> None:
    stream = TextStream(byte_level.decode)
    assert [stream.push(token) for token in byte_level.encode("é€").ids] == ["", "é", "", "", "€"]


def test_half_a_character_at_the_end_is_shown_as_such(byte_level: Tokenizer) -> None:
    stream = TextStream(byte_level.decode)
    assert [stream.push(token) for token in byte_level.encode("a€").ids[:-1]] == ["a", "", ""]
    assert stream.finish() == "\ufffd"


def test_the_space_before_the_first_new_word_is_kept(sentence_piece: Tokenizer) -> None:
    stream = TextStream(sentence_piece.decode, context=[1, 2])
    assert [stream.push(token) for token in (3, 4, 5, 6)] == [" a", " time", "s", "."]
    alone = TextStream(sentence_piece.decode)
    assert [alone.push(token) for token in (3, 4)] == ["a", " time"]


def test_a_stop_string_is_found_across_tokens_and_not_given_out(byte_level: Tokenizer) -> None:
    stream = TextStream(byte_level.decode, stop_strings=["END", "###"])
    made = "".join(stream.push(token) for token in byte_level.encode("a E EN #END more").ids)
    assert made == "a E EN #"
    assert stream.stopped == "END"
    assert stream.finish() == ""


def test_what_only_began_like_a_stop_string_is_given_out(byte_level: Tokenizer) -> None:
    stream = TextStream(byte_level.decode, stop_strings=["aab"])
    pieces = [stream.push(token) for token in byte_level.encode("aaaa").ids]
    assert pieces == ["", "", "a", "a"]
    assert stream.finish() == "aa"
    assert stream.stopped is None


@settings(max_examples=80, deadline=None)
@given(st.text("ab€", max_size=20), st.lists(st.text("ab€", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_string(
    byte_level: Tokenizer, text: str, stops: list[str]
) -> None:
    stream = TextStream(byte_level.decode, stop_strings=stops)
    made = ""
    for token in byte_level.encode(text).ids:
        made += stream.push(token)
        if stream.stopped is not None:
            break
    made += stream.finish()
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    if not ends:
        assert (made, stream.stopped) == (text, None)
    else:
        # Of those that are complete first, the one that begins first.
        begins = [text.find(stop) for stop in stops if stop in text[: min(ends)]]
        assert made == text[: min(begins)]
