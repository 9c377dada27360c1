"""A folder is what its manifest says, byte for byte, and no link leaves it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nlplug.errors import BundleCorrupt, BundleError, BundleIncomplete
from nlplug.models.files import AGAIN, changed_hint
from nlplug.models.manifest import FileRecord, Manifest
from nlplug.models.verify import (
    check_links,
    check_unlisted,
    files_of,
    record_of,
    sha256_of,
    verify_folder,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    for name in ("b/two.txt", "b/a/one.txt", "zero.txt", "a/three.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def manifest(folder: Path, *names: str) -> Manifest:
    return Manifest(name="m", files={name: record_of(folder / name) for name in names})


def test_a_record_is_digest_and_size(folder: Path) -> None:
    path = folder / "zero.txt"
    digest = hashlib.sha256(b"zero.txt").hexdigest()
    assert sha256_of(path) == digest
    assert record_of(path) == FileRecord(sha256=digest, size=8)


def test_files_come_in_a_fixed_order_with_links_that_are_not_followed(folder: Path) -> None:
    (folder / "b" / "link").symlink_to(folder / "a")
    assert [str(path.relative_to(folder)) for path in files_of(folder)] == [
        "zero.txt",
        "a/three.txt",
        "b/link",
        "b/two.txt",
        "b/a/one.txt",
    ]


def test_a_link_within_the_folder_is_fine_and_one_out_of_it_is_named(folder: Path) -> None:
    (folder / "b" / "inside").symlink_to(folder / "zero.txt")
    check_links(folder)
    outside = folder.parent / "outside.txt"
    outside.write_text("x")
    link = folder / "b" / "out"
    link.symlink_to(outside)
    with pytest.raises(BundleError) as raised:
        verify_folder(folder, None)
    assert raised.value.message == f"{link} is a link to {outside}, outside the bundle."
    assert raised.value.hint == "Replace it by a copy of the file: cp -rL FOLDER COPY"


def test_a_folder_as_the_manifest_says_passes_and_without_one_only_links_count(
    folder: Path,
) -> None:
    verify_folder(folder, manifest(folder, "zero.txt", "b/a/one.txt"))
    verify_folder(folder, None)


@pytest.mark.parametrize("name", ["zero.txt", "b/a/one.txt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    given = manifest(folder, "a/three.txt", name)
    (folder / name).unlink()
    with pytest.raises(BundleIncomplete) as raised:
        verify_folder(folder, given)
    assert raised.value.message == f"{folder} is incomplete: {name} is missing."
    assert raised.value.hint == AGAIN


@pytest.mark.parametrize("content", [b"ZERO.txt", b"zero.txt and more", b""])
def test_a_file_of_another_content_or_size_is_named(folder: Path, content: bytes) -> None:
    given = manifest(folder, "a/three.txt", "zero.txt")
    (folder / "zero.txt").write_bytes(content)
    with pytest.raises(BundleCorrupt) as raised:
        verify_folder(folder, given)
    expected = f"{folder / 'zero.txt'} is not the file that the manifest describes: its sha256"
    assert raised.value.message.startswith(expected)
    assert raised.value.hint == changed_hint(folder)


def test_a_size_that_differs_is_enough(folder: Path) -> None:
    record = record_of(folder / "zero.txt")
    given = Manifest(name="m", files={"zero.txt": record.model_copy(update={"size": 9})})
    with pytest.raises(BundleCorrupt, match=r"zero\.txt is not the file"):
        verify_folder(folder, given)


def test_files_that_the_manifest_does_not_list_are_named_up_to_five(folder: Path) -> None:
    names = ("b/two.txt", "b/a/one.txt", "zero.txt", "a/three.txt")
    whole = manifest(folder, *names)
    (folder / "nlplug.json").write_text("{}")
    check_unlisted(folder, whole)
    for count, shown in [(1, "n0"), (5, "n0, n1, n2, n3, n4"), (6, "n0, n1, n2, n3, n4, …")]:
        for number in range(count):
            (folder / f"n{number}").write_text("x")
        with pytest.raises(BundleCorrupt) as raised:
            check_unlisted(folder, whole)
        assert raised.value.message == (
            f"{folder} holds files that its manifest does not list: {shown}."
        )
