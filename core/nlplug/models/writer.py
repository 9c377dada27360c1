"""Writes a bundle atomically: it is either complete and in place, or absent."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nlplug.errors import BundleError, BundleIncomplete
from nlplug.json_text import parse_json
from nlplug.models.atomic import (
    flush_folder,
    lock,
    replace_folder,
    restore_replaced,
    try_lock,
    write_text,
)
from nlplug.models.bundle import Bundle
from nlplug.models.files import read_object
from nlplug.models.layout import CONFIG_FILE, CONFIG_MARK
from nlplug.models.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    NOT_LISTED,
    PARTIAL_FILE,
    Manifest,
)
from nlplug.models.verify import check_links, files_of, record_of


class BundleWriter:
    """A temporary folder next to ``target`` that ``commit`` renames into place.

    >>> with BundleWriter(Path("out/my-model")) as writer:
    ...     (writer.folder / "config.json").write_text("{}")
    ...     bundle = writer.commit(Manifest(name="my-model", task="sentiment"))

    Leaving the block without a commit removes the temporary folder; a bundle that is already
    there stays until the new one is whole. What a killed process left is removed by the next
    writer of the same target.

    Args:
        target: The folder to write; its parents are made.
        overwrite: Whether a bundle that is there may be replaced.
        in_cache: ``target`` is a folder of the cache: whatever is there may be replaced, and the
            files stay as they were fetched.

    Raises:
        BundleError: ``target`` exists and may not be replaced, or is something else than a bundle.
    """

    def __init__(self, target: Path, *, overwrite: bool = True, in_cache: bool = False) -> None:
        self.target = Path(os.path.abspath(target))
        self._in_cache = in_cache
        self._overwrite = overwrite
        self.target.parent.mkdir(parents=True, exist_ok=True)
        _clean_up_after_killed(self.target)
        self._check_target()
        self.folder, locked = _new_folder(self.target)
        self._lock: IO[str] | None = locked

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def commit(self, manifest: Manifest) -> Bundle:
        """Record every file, write the manifest last and rename the folder into place.

        Args:
            manifest: Its ``files`` are filled in from the folder.

        Returns:
            The bundle at ``target``.

        Raises:
            BundleError: A file that the manifest names is missing, a link leaves the folder, or
                something that is no bundle came to stand at ``target``.
        """
        if self._lock is None:
            raise BundleError(f"The writer of {self.target} is closed already.")
        check_links(self.folder)
        if not self._in_cache:
            _mark_config(self.folder / CONFIG_FILE)
        files = {path.relative_to(self.folder).as_posix(): path for path in files_of(self.folder)}
        records = {name: record_of(path) for name, path in files.items() if name not in NOT_LISTED}
        for precision, record in manifest.precisions.items():
            for name in (record.file, *record.graphs.values()):
                if name not in records:
                    raise BundleIncomplete(
                        f"The precision {precision!r} names {name}, which was not written.",
                        hint=f"Written were: {', '.join(records) or 'no files'}.",
                    )
        filled = Manifest.model_validate({**dict(manifest), "files": records})
        flush_folder(self.folder)
        write_text(self.folder / PARTIAL_FILE, filled.to_json())
        if sys.platform == "win32":  # an open file cannot be renamed there
            self._lock.close()
        os.replace(self.folder / PARTIAL_FILE, self.folder / MANIFEST_FILE)
        Bundle.open(self.folder)
        self._check_target()
        replace_folder(self.folder, self.target)
        self._lock.close()
        self._lock = None
        return Bundle.open(self.target)

    def _check_target(self) -> None:
        target = self.target
        if not (target.exists() or target.is_symlink()):
            return
        if not self._overwrite:
            raise BundleError(f"{target} exists already.", hint="Name another folder.")
        if target.is_symlink() or not target.is_dir():
            raise BundleError(
                f"{target} is a {'link' if target.is_symlink() else 'file'}, not a folder.",
                hint="Remove it or name another folder.",
            )
        strangers = [] if self._in_cache else _strangers(target)
        if strangers:
            raise BundleError(
                f"{target} holds files that are no part of a bundle: {', '.join(strangers[:5])}"
                f"{', …' if len(strangers) > 5 else ''}.",
                hint="Replacing the bundle would delete them; name another folder.",
            )


def discard_folder(folder: Path) -> None:
    """Remove a bundle: out of the way in one step, then file by file."""
    aside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.partial"
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _new_folder(target: Path) -> tuple[Path, IO[str]]:
    """A new folder next to ``target``, and the lock on its marker.

    The lock is held while writing and released by the system when the process dies: so the next
    writer can distinguish leftover folders from those in use.
    """
    while True:
        folder = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
        folder.mkdir()
        # Another writer that is cleaning up may take the folder for left over while it is empty.
        with contextlib.suppress(FileNotFoundError):
            return folder, lock(folder / PARTIAL_FILE)


def _strangers(target: Path) -> list[str]:
    """Files under ``target`` that replacing a bundle there would lose."""
    names = [path.relative_to(target).as_posix() for path in files_of(target)]
    if (target / MANIFEST_FILE).is_file():
        # Only names are read, so that a damaged bundle or one of another version can be replaced.
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            known = parse_json((target / MANIFEST_FILE).read_bytes())["files"].keys()
            return [name for name in names if name not in NOT_LISTED and name not in known]
        return []
    return [] if (target / PARTIAL_FILE).is_file() else names


def _mark_config(path: Path) -> None:
    if not path.is_file():
        raise BundleIncomplete(
            f"The bundle has no {path.name}.", hint="Write it before the commit."
        )
    config = read_object(path)
    config[CONFIG_MARK] = FORMAT_VERSION
    write_text(path, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def _clean_up_after_killed(target: Path) -> None:
    """Remove temporary folders that killed writers of ``target`` left; put back what they moved."""
    restore_replaced(target)
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        held = try_lock(left / PARTIAL_FILE, left / MANIFEST_FILE)
        if held is not None:
            shutil.rmtree(left, ignore_errors=True)
            held.close()
        else:
            _remove_left_over(left)


def _remove_left_over(folder: Path) -> None:
    """Remove a folder that holds neither marker nor manifest; no writer is at work in such a one.

    It was killed at its very start, or while it was removing the bundle that it had replaced.
    """
    with contextlib.suppress(OSError):  # someone else is removing it too
        if not os.listdir(folder):
            folder.rmdir()
        elif not any((folder / name).exists() for name in (PARTIAL_FILE, MANIFEST_FILE)):
            shutil.rmtree(folder)
