"""Long texts are covered whole by overlapping windows; what cannot be tokenized is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fuzz_kit import bounded
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import Whitespace

from nlplug.errors import BundleError, InputError, OptionError
from nlplug.models.repository import Repository
from nlplug.runtime.tokenizer import Text, Tokenizer, load_tokenizer
from nlplug.testing import tiny_text_classifier


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(tiny_text_classifier(tmp_path_factory.mktemp("tiny"), max_length=10))


WORDS = ("good", "bad", "dull")


def cut_by_rust(tokenizer: Tokenizer, text: Text, stride: int, strategy: str) -> list[list[int]]:
    """The reference: the windows that the Rust tokenizer cuts when it is told to truncate."""
    rust = RustTokenizer.from_str(tokenizer._plain.to_str())
    rust.enable_truncation(tokenizer.max_length, stride=stride, strategy=strategy)
    encoding = rust.encode(*text) if isinstance(text, tuple) else rust.encode(text)
    return [encoding.ids, *(more.ids for more in encoding.overflowing)]


def words(count: int) -> str:
    return " ".join(WORDS[i % 3] for i in range(count))


def test_a_short_text_is_one_window(tokenizer: Tokenizer) -> None:
    [[window]] = tokenizer.encode(["good bad"])
    assert [tokenizer.token_text(id_) for id_ in window.ids] == ["[CLS]", "good", "bad", "[SEP]"]


@settings(deadline=None)
@given(count=st.integers(0, 100), stride=st.integers(0, 7))
def test_windows_of_a_text_are_those_that_the_rust_tokenizer_cuts(
    tokenizer: Tokenizer, count: int, stride: int
) -> None:
    [windows] = tokenizer.encode([words(count)], stride=stride)
    expected = cut_by_rust(tokenizer, words(count), stride, "longest_first")
    assert [window.ids for window in windows] == expected
    [pieces] = tokenizer.pieces([words(count)])
    assert tokenizer.windows(pieces.ids, stride=stride) == expected


@settings(deadline=None)
@given(
    count=st.integers(0, 40),
    other=st.integers(0, 4),
    stride=st.integers(0, 2),
    strategy=st.sampled_from(["only_first", "only_second"]),
)
def test_windows_of_a_pair_are_those_that_the_rust_tokenizer_cuts(
    tokenizer: Tokenizer, count: int, other: int, stride: int, strategy: str
) -> None:
    pair = (words(count), words(other))
    pair = pair if strategy == "only_first" else pair[::-1]
    [windows] = tokenizer.encode([pair], stride=stride, strategy=strategy)
    assert [window.ids for window in windows] == cut_by_rust(tokenizer, pair, stride, strategy)
    assert all(len(window.ids) == len(window.type_ids or []) for window in windows)


# Combining marks, joiners, right-to-left text, emoji, controls, and what normalizers change.
ODD = "good [SEP] \0\x07\t\n\xa0\u3000\u200b\u200d\u202e\ufeffe\u0301\ufe0f😀👩🏽 🇫🇷ﬁ½Ａשم王ไİß"
TEXTS = st.text(st.sampled_from(ODD) | st.characters(), max_size=40) | st.lists(
    st.sampled_from([*WORDS, "[SEP]", "\ud800", " ", "😀", "\0"]), max_size=60
).map(" ".join)


@pytest.mark.fuzz
@bounded(200)
@given(text=TEXTS, stride=st.integers(0, 7))
def test_each_token_of_any_text_is_in_a_window_and_says_where_it_stands(
    tokenizer: Tokenizer, text: str, stride: int
) -> None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        with pytest.raises(InputError, match="surrogate"):
            tokenizer.encode([text], stride=stride)
        return
    [windows] = tokenizer.encode([text], stride=stride)
    [pieces] = tokenizer.pieces([text])
    before, after = tokenizer.text_frame
    ids: list[int] = []
    for number, window in enumerate(windows):
        assert len(window.ids) <= tokenizer.max_length
        own = window.ids[len(before) : len(window.ids) - len(after)]
        if number:
            assert ids[len(ids) - stride :] == own[:stride]
        ids += own[stride if number else 0 :]
    assert ids == list(pieces.ids)
    for begin, end in pieces.offsets:
        assert 0 <= begin <= end <= len(text)


def test_a_pair_is_one_row_with_two_types(tokenizer: Tokenizer) -> None:
    [[window]] = tokenizer.encode([("good", "bad")])
    assert window.type_ids == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("files", "typed"),
    [
        ({"tokenizer_config": {"model_input_names": ["input_ids", "attention_mask"]}}, False),
        ({"tokenizer_config": {"model_input_names": ["input_ids", "token_type_ids"]}}, True),
        ({"tokenizer_config": {"tokenizer_class": "DistilBertTokenizer"}}, False),
        ({"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}}, True),
        ({"config": {"model_type": "mpnet"}}, False),
        ({"config": {"model_type": "bert"}}, True),
    ],
)
def test_types_of_a_pair_are_those_that_transformers_gives(
    files: dict[str, Any], typed: bool, tmp_path: Path
) -> None:
    bundle = tiny_text_classifier(tmp_path)
    repository = Repository(bundle.path, **files)
    tokenizer = Tokenizer(bundle.path / "tokenizer.json", max_length=10, repository=repository)
    windows = [
        *tokenizer.encode([("good", "bad")])[0],
        *tokenizer.encode([("good " * 40, "bad")])[0],
    ]
    assert len(windows) > 3
    assert all(any(window.type_ids or ()) == typed for window in windows)
    assert any(map(any, tokenizer.pair_frame().types)) == typed


def test_pieces_are_whole_texts_without_special_tokens(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces(["good bad " * 20, "dull", ""])
    assert [len(piece) for piece in pieces] == [40, 1, 0]
    assert pieces[1].tokens == ["dull"]


def test_pieces_name_a_lone_surrogate(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"Text 1 .*surrogate"):
        tokenizer.pieces(["good", "\ud800"])


def test_the_frame_of_a_pair_is_what_stands_around_its_texts(tokenizer: Tokenizer) -> None:
    frame = tokenizer.pair_frame()
    cls, sep = tokenizer.token_id("[CLS]"), tokenizer.token_id("[SEP]")
    assert (frame.before, frame.between, frame.after) == ((cls,), (sep,), (sep,))
    assert frame.types == ((0,), (0,), (0,), (1,), (1,))
    first, second = tokenizer.pieces(["good", "bad dull"])
    [[pair]] = tokenizer.encode([("good", "bad dull")])
    assert [*frame.before, *first.ids, *frame.between, *second.ids, *frame.after] == pair.ids


def test_a_token_that_the_vocabulary_lacks_has_no_id(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_id("nosuchtoken") is tokenizer.token_id(None) is None


def test_a_long_first_text_keeps_the_second_in_every_window(tokenizer: Tokenizer) -> None:
    [windows] = tokenizer.encode([("good " * 30, "bad")])
    assert len(windows) > 1
    assert all(tokenizer.token_id("bad") in window.ids for window in windows)


def test_a_second_text_that_fills_the_window_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="30 tokens"):
        tokenizer.encode([("good", "bad " * 30)])


def test_a_stride_without_room_for_new_tokens_is_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(OptionError, match="stride is 8"):
        tokenizer.encode(["good " * 30], stride=8)


def test_truncation_keeps_the_beginning(tokenizer: Tokenizer) -> None:
    [[window]] = tokenizer.truncate(["good " * 30])
    assert len(window.ids) == 10


@pytest.mark.parametrize("texts", [["\ud800"], ["good", "bad \udfff dull"]])
def test_a_lone_surrogate_is_named_with_its_place(tokenizer: Tokenizer, texts: list[str]) -> None:
    with pytest.raises(InputError, match=f"Text {len(texts) - 1} .*surrogate"):
        tokenizer.encode(texts)


def test_without_offsets_the_windows_are_the_same(tmp_path: Path, tokenizer: Tokenizer) -> None:
    lean = load_tokenizer(tiny_text_classifier(tmp_path, max_length=10), offsets=False)
    texts = ["good bad", ("good " * 30, "bad"), "dull " * 40, ("good", "bad")]
    ids = [[(w.ids, w.type_ids) for w in row] for row in lean.encode(texts, stride=2)]
    assert ids == [[(w.ids, w.type_ids) for w in row] for row in tokenizer.encode(texts, stride=2)]


def test_without_offsets_a_lone_surrogate_is_named_too(tmp_path: Path) -> None:
    lean = load_tokenizer(tiny_text_classifier(tmp_path), offsets=False)
    with pytest.raises(InputError, match=r"Text 1 .*surrogate"):
        lean.encode(["good", "bad \udfff dull"])


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    with pytest.raises(BundleError, match="tokenizer.json"):
        Tokenizer(file, max_length=8)


def read(folder: Path, *, lowercase: bool, max_length: int) -> Tokenizer:
    """A tokenizer whose casing is stated in a file beside its own."""
    folder.mkdir()
    rust = RustTokenizer(WordPiece({"[UNK]": 0, "word": 1, "<fill>": 2, "Word": 3}))
    rust.normalizer = BertNormalizer()
    rust.pre_tokenizer = Whitespace()
    rust.enable_padding(pad_id=2, pad_token="<fill>")
    file = folder / "tokenizer.json"
    rust.save(str(file))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return Tokenizer(file, max_length=max_length, repository=Repository.read(folder))


@pytest.mark.parametrize(
    "model",
    [
        WordPiece({"[UNK]": 0, "good": 1, "bad": 2}, unk_token="[UNK]"),
        BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]),
        Unigram([("<unk>", 0.0), ("good", -1.0), ("bad", -2.0)], 0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("added", [[], ["<new>"], ["good", "a"], ["<new>", "<other>", "bad", "ab"]])
def test_the_size_counts_each_token_once(tmp_path: Path, model: Any, added: list[str]) -> None:
    rust = RustTokenizer(model)
    rust.add_tokens(added)
    rust.add_special_tokens(added[:1])
    rust.save(str(tmp_path / "tokenizer.json"))

    size = Tokenizer(tmp_path / "tokenizer.json", max_length=8).size

    assert size == len(rust.get_vocab(with_added_tokens=True))


def test_models_with_equal_tokenizers_share_one(tmp_path: Path) -> None:
    first = read(tmp_path / "first", lowercase=True, max_length=8)
    second = read(tmp_path / "second", lowercase=True, max_length=9)
    assert first._plain is second._plain
    assert (first.max_length, second.max_length) == (8, 9)
    assert first.pad_token_id == second.pad_token_id == 2
    other = read(tmp_path / "other", lowercase=False, max_length=8)
    assert other._plain is not first._plain
    assert [each.ids("Word") for each in (first, second, other)] == [[1], [1], [3]]
