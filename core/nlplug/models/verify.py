"""Checks the files of a bundle against its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from nlplug.errors import BundleCorrupt, BundleError, BundleIncomplete
from nlplug.models.files import AGAIN, changed_hint
from nlplug.models.manifest import FileRecord, Manifest, is_listed


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_of(path: Path) -> FileRecord:
    """Digest and size of a file."""
    return FileRecord(sha256=sha256_of(path), size=path.stat().st_size)


def files_of(folder: Path) -> Iterator[Path]:
    """Every file under ``folder``, links included, in a fixed order; links are not followed."""
    for root, folders, files in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in sorted(files + linked):
            yield Path(root) / name


def check_links(folder: Path) -> None:
    """Refuse links that leave the folder.

    Raises:
        BundleError: One does; the message names it.
    """
    inside = folder.resolve()
    for path in files_of(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise BundleError(
                f"{path} is a link to {path.resolve()}, outside the bundle.",
                hint="Replace it by a copy of the file: cp -rL FOLDER COPY",
            )


def verify_folder(folder: Path, manifest: Manifest | None) -> None:
    """Check links, external weights and, where there is a manifest, every file's sha256.

    Raises:
        BundleIncomplete: A file is missing.
        BundleCorrupt: A file differs from what the manifest says.
        BundleError: A link or an external-data path leaves the folder.
    """
    check_links(folder)
    for name, record in (manifest.files if manifest else {}).items():
        path = folder / name
        if not path.is_file():
            raise BundleIncomplete(f"{folder} is incomplete: {name} is missing.", hint=AGAIN)
        if path.stat().st_size != record.size or sha256_of(path) != record.sha256:
            raise BundleCorrupt(
                f"{path} is not the file that the manifest describes: its sha256 differs.",
                hint=changed_hint(folder),
            )


def check_unlisted(folder: Path, manifest: Manifest) -> None:
    """Refuse files that the manifest does not list.

    Raises:
        BundleCorrupt: There are some; the message names them.
    """
    names = (path.relative_to(folder).as_posix() for path in files_of(folder))
    strange = [name for name in names if is_listed(name) and name not in manifest.files]
    if strange:
        raise BundleCorrupt(
            f"{folder} holds files that its manifest does not list: {', '.join(strange[:5])}"
            f"{', …' if len(strange) > 5 else ''}.",
            hint=f"Remove them. If they belong to the model: nlplug models seal {folder}",
        )
