"""Writes a bundle atomically: it is either complete and in place, or absent."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from nlplug.errors import BundleError, BundleIncomplete
from nlplug.json_text import parse_json
from nlplug.models.atomic import Staged, write_text
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
        self._staged = Staged(self.target, folder=True)
        self.folder = self._staged.path
        self._open = True
        try:
            self._check_target()
        except BundleError:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def commit(self, manifest: Manifest) -> Bundle:
        """Record every file, write the manifest last and rename the folder into place.

        Args:
            manifest: Its ``files`` are filled in from the folder.

        Returns:
            The bundle at ``target``.

        Raises:
            BundleError: A file that the manifest names is missing, a link leaves the folder, or
                something that is not a bundle came to stand at ``target``.
        """
        if not self._open:
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
        write_text(self.folder / PARTIAL_FILE, filled.to_json())
        os.replace(self.folder / PARTIAL_FILE, self.folder / MANIFEST_FILE)
        Bundle.open(self.folder)
        self._check_target()
        self._staged.commit()
        self._close()
        return Bundle.open(self.target)

    def _close(self) -> None:
        self._open = False
        self._staged.discard()

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
                f"{target} holds files that are not part of a bundle: {', '.join(strangers[:5])}"
                f"{', …' if len(strangers) > 5 else ''}.",
                hint="Replacing the bundle would delete them; name another folder.",
            )


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
