"""``nlplug.json``: what is written is what is read, and what is wrong is named."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fuzz_kit import bounded
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug.errors import BundleCorrupt, BundleVersionError
from nlplug.models.manifest import (
    FORMAT_VERSION,
    FileRecord,
    Manifest,
    PrecisionRecord,
    is_listed,
    safe_relative,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PART = st.text("abcXYZ019._- é语", min_size=1, max_size=8).filter(lambda p: p not in (".", ".."))
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join).filter(lambda p: p != "nlplug.json")
FIGURES = st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3)
FILES = st.dictionaries(
    PATH,
    st.builds(FileRecord, sha256=st.from_regex(r"\A[0-9a-f]{64}\Z"), size=st.integers(0, 2**40)),
    min_size=1,
    max_size=4,
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    files = draw(FILES)
    records = st.builds(
        PrecisionRecord, file=st.sampled_from(sorted(files)), metrics=FIGURES, parity=FIGURES
    )
    return Manifest(
        name=draw(TEXT),
        task=draw(TEXT),
        hub_task=draw(TEXT),
        labels=draw(st.lists(TEXT, max_size=4)),
        languages=draw(st.lists(TEXT, max_size=2)),
        max_length=draw(st.integers(1, 10**6)),
        files=files,
        precisions=draw(st.dictionaries(TEXT, records, max_size=3)),
        metrics=draw(st.dictionaries(TEXT, FIGURES, max_size=2)),
        license=draw(TEXT),
        data=draw(st.lists(st.dictionaries(TEXT, TEXT, max_size=2), max_size=2)),
        tools=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        description=draw(TEXT),
        source=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
    )


@settings(max_examples=50, deadline=None)
@given(manifests())
def test_what_is_written_is_what_is_read(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.to_json(), where="here") == manifest


@settings(deadline=None)
@given(st.text() | st.binary())
def test_whatever_the_text_the_error_is_one_of_ours(text: str | bytes) -> None:
    with pytest.raises((BundleCorrupt, BundleVersionError)):
        Manifest.parse(text, where="here")


ODD = st.sampled_from(
    [None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../x", "\ud800", "\0",
     [], [[]], {}, {"": None}, {"file": 1}, {"sha256": "0" * 64, "size": 10**30}]
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder and key inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    inside = [(value, key) for key, _ in pairs]
    for holder, key in list(inside):
        if isinstance(holder[key], dict | list):
            inside += places(holder[key])
    return inside


@pytest.mark.fuzz
@bounded(150)
@given(manifest=manifests(), data=st.data())
def test_a_damaged_manifest_is_read_or_the_error_is_one_of_ours(
    manifest: Manifest, data: st.DataObject
) -> None:
    raw = json.loads(manifest.to_json())
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(raw)
        if not found:
            break
        holder, key = found[data.draw(st.integers(0, len(found) - 1))]
        match data.draw(st.sampled_from(["remove", "replace", "add"])):
            case "remove":
                del holder[key]
            case "replace":
                holder[key] = copy.deepcopy(data.draw(ODD))
            case _ if isinstance(holder, dict):
                holder[data.draw(TEXT)] = copy.deepcopy(data.draw(ODD))
    with contextlib.suppress(BundleCorrupt, BundleVersionError):
        read = Manifest.parse(json.dumps(raw), where="here")
        assert Manifest.parse(read.to_json(), where="here").to_json() == read.to_json()


def test_json_that_is_nested_too_deeply_is_no_manifest() -> None:
    for text in ("[" * 100_000, '{"format_version": 1, "name": ' + "[" * 100_000, "1" * 5000):
        with pytest.raises(BundleCorrupt):
            Manifest.parse(text, where="here")


def test_a_manifest_of_the_future_asks_for_an_upgrade() -> None:
    text = json.dumps({"format_version": FORMAT_VERSION + 1, "whatever": "it looks like then"})
    with pytest.raises(BundleVersionError, match=f"reads up to {FORMAT_VERSION}") as caught:
        Manifest.parse(text, where="here")
    assert caught.value.hint == "pip install --upgrade nlplug"


def test_broken_json_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "nlplug.json"
    path.write_text('{"format_version": 1, ')
    with pytest.raises(BundleCorrupt, match="is not valid JSON") as caught:
        Manifest.read(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_version_that_is_no_version_is_refused(version: object) -> None:
    with pytest.raises(BundleCorrupt, match="format_version is"):
        Manifest.parse(json.dumps({"format_version": version, "name": "x"}), where="here")


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(BundleCorrupt, match="max_length"):
        Manifest.parse('{"format_version": 1, "name": "x", "max_length": "long"}', where="here")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "C:/x", "a\\b", "a//b", "./a", "a/", "", "nlplug.json"],
)
def test_a_file_may_not_leave_the_bundle(name: str) -> None:
    record = {"sha256": "0" * 64, "size": 1}
    text = json.dumps({"format_version": 1, "name": "x", "files": {name: record}})
    with pytest.raises(BundleCorrupt, match="files"):
        Manifest.parse(text, where="here")


def test_a_precision_may_not_leave_the_bundle() -> None:
    text = '{"format_version": 1, "name": "x", "precisions": {"fp32": {"file": "../x.onnx"}}}'
    with pytest.raises(BundleCorrupt, match="not a path inside"):
        Manifest.parse(text, where="here")


def test_a_precision_whose_file_is_not_listed_is_refused() -> None:
    record = FileRecord(sha256="0" * 64, size=1)
    precision = PrecisionRecord(file="onnx/model.onnx")
    with pytest.raises(ValueError, match="not in files"):
        Manifest(name="x", files={"config.json": record}, precisions={"fp32": precision})


def test_fields_of_a_later_release_of_the_same_format_are_passed_over() -> None:
    manifest = Manifest.parse('{"format_version": 1, "name": "x", "mood": "fine"}', where="here")
    assert manifest.name == "x"


def test_the_text_is_indented_and_keeps_its_characters() -> None:
    manifest = Manifest(name="语", created="2026-01-01T00:00:00+00:00")
    text = manifest.to_json()
    assert text.startswith('{\n  "format_version": 1,\n  "name": "语",\n')
    assert text.endswith("}\n")
    made = {"made": date(2026, 1, 2)}
    assert '"made": "2026-01-02"' in Manifest(name="m", metrics=made).to_json()


def test_the_time_is_in_utc_to_the_second() -> None:
    created = Manifest(name="m").created
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", created)


@pytest.mark.parametrize("name", ["a\0b", "a\\b", "c:x", "..", ".", "a/../b", "a//b", ""])
def test_a_path_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a path inside the bundle") as raised:
        safe_relative(name)
    assert str(raised.value).startswith(repr(name))


@pytest.mark.parametrize("name", ["a", "a/b.onnx", "...", "a..b", "cc:x", "语/é"])
def test_a_plain_path_is_given_back(name: str) -> None:
    assert safe_relative(name) == name


def test_what_is_wrong_is_named_with_its_place() -> None:
    record = {"sha256": "0" * 64, "size": -1}
    text = json.dumps({"format_version": 1, "name": "x", "files": {"a.txt": record}})
    with pytest.raises(BundleCorrupt) as raised:
        Manifest.parse(text, where="here")
    assert raised.value.message == (
        "here is not a valid manifest: files.a.txt.size: "
        "Input should be greater than or equal to 0."
    )
    precision = {"fp32": {"file": "b.onnx"}}
    whole = {"format_version": 1, "name": "x", "files": {"a": {**record, "size": 1}}}
    with pytest.raises(BundleCorrupt) as raised:
        Manifest.parse(json.dumps({**whole, "precisions": precision}), where="here")
    assert raised.value.message == (
        "here is not a valid manifest: Value error, precision 'fp32' names 'b.onnx', not in files."
    )


def test_the_size_is_that_of_all_files_and_a_single_graph_is_the_model() -> None:
    files = {name: FileRecord(sha256="0" * 64, size=size) for name, size in [("a", 3), ("b", 4)]}
    assert Manifest(name="m", files=files).size == 7
    assert PrecisionRecord(file="a").by_graph == {"model": "a"}
    assert PrecisionRecord(file="a", graphs={"decoder": "a"}).by_graph == {"decoder": "a"}


def test_a_manifest_states_the_digest_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "nlplug.json"
    assert "\ud800" in Manifest(name="m", options={"stop": "\ud800"}).to_json()
    text = Manifest(name="语", options={"stop": "x"}).to_json()
    start, digest = re.fullmatch(r'(.*,\n  "digest": ")([0-9a-f]{64})"\n}\n', text, re.S).groups()  # type: ignore[union-attr]
    empty = f'{start}"\n}}\n'
    assert hashlib.sha256(empty.encode()).hexdigest() == digest
    assert "语" in text

    path.write_text(text, encoding="utf-8")
    assert Manifest.read_verified(path).name == "语"
    changed = [text + "\n", text.replace("语", "言"), text.replace(digest, "0" * 64), empty]
    changed += [text.replace('"name"', '"more": 1, "name"'), text.replace('"x"', '"y"')]
    for other in changed:
        path.write_text(other, encoding="utf-8")
        with pytest.raises(BundleCorrupt, match="was changed") as raised:
            Manifest.read_verified(path)
        assert raised.value.message.startswith(str(path))
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BundleCorrupt, match="not valid JSON") as raised:
        Manifest.read_verified(path)
    assert raised.value.message.startswith(str(path))


def test_a_manifest_without_a_digest_has_known_fields_only(tmp_path: Path) -> None:
    path = tmp_path / "nlplug.json"
    fields = json.loads(Manifest(name="m").to_json())
    del fields["digest"]
    path.write_text(json.dumps(fields))
    assert Manifest.read_verified(path).name == "m"
    path.write_text(json.dumps({"format_version": 1, "name": "m"}))
    assert Manifest.read_verified(path).name == "m"
    path.write_text(json.dumps(fields | {"more": 1}))
    with pytest.raises(BundleCorrupt, match="was changed"):
        Manifest.read_verified(path)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("config.json", True),
        ("nlplug.json", False),
        ("model.sig", False),
        (".gitattributes", False),
        (".cache/huggingface/x", False),
        (".cache/other", True),
        (".gitattributes.txt", True),
    ],
)
def test_what_a_manifest_lists(name: str, listed: bool) -> None:
    assert is_listed(name) is listed
