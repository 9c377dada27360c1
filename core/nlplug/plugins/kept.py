"""The files of installed distributions, kept while an installer replaces or removes them.

pip moves the files of the old version to temporary places. If it is killed, they stay there.
"""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO

from nlplug.plugins.metadata import normalize

_PREFIX = ".nlplug-kept-"
_LIST, _LOCK = "files.json", "lock"


@contextmanager
def kept(names: Iterable[str]) -> Iterator[None]:
    """Keep a copy of distributions until the block is left; `restore` uses it if it is killed.

    If the block fails, the distributions are as before, and what an installer had written of a new
    one is removed.

    Args:
        names: Distributions; those that are not installed are left out.
    """
    from nlplug.models.atomic import lock  # not at the top: it imports pydantic

    before = _tops()
    folders: list[Path] = []
    locks: list[IO[str]] = []
    try:
        for name in names:
            if name and (folder := _keep(name)) is not None:
                folders.append(folder)
                locks.append(lock(folder / _LOCK))
        yield
    except BaseException:  # also Ctrl-C
        _remove_unfinished(_tops() - before)
        for folder in folders:
            _restore(folder)
        raise
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for held in locks:
            held.close()


def restore() -> list[str]:
    """Restore distributions whose installer was killed; returns each as name and version.

    A copy that a running command holds is left alone. So is each copy on Windows, where files have
    no locks of this kind.
    """
    begun = [*_site().glob(f".{_PREFIX}*.new")]  # killed while it was copied
    folders = sorted(_site().glob(f"{_PREFIX}*"))
    if not begun and not folders:
        return []
    from nlplug.models.atomic import clean_up_after_killed, try_lock

    restored = []
    for copy in begun:
        clean_up_after_killed(copy.with_name(copy.name[1:].rsplit(".", 2)[0]))
    for folder in folders:
        held = try_lock(folder / _LOCK)
        if held is None:
            continue
        with held:
            name = _restore(folder)
            shutil.rmtree(folder, ignore_errors=True)
        if name is not None:
            restored.append(name)
    return restored


def _tops() -> set[str]:
    """The names in the folder of packages, without those that pip and we move aside."""
    return {name for name in os.listdir(_site()) if not name.startswith(("~", "."))}


def _remove_unfinished(names: set[str]) -> None:
    """Remove those that belong to no whole distribution."""
    site = _site()
    whole = [site / name for name in names if name.endswith(".dist-info")]
    whole = [record for record in whole if _is_whole(record)]
    owned = {record.name for record in whole}
    for record in whole:
        owned |= {Path(file).parts[0] for file in metadata.Distribution.at(record).files or ()}
    for name in names - owned:
        if (site / name).is_dir():
            shutil.rmtree(site / name, ignore_errors=True)
        else:
            (site / name).unlink(missing_ok=True)


def _site() -> Path:
    return Path(sysconfig.get_path("purelib"))


def _keep(name: str) -> Path | None:
    """The folder of a copy; None where the distribution is not installed in this environment."""
    from nlplug.models.atomic import Staged

    site = _site()
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    files = [Path(str(found.locate_file(file))) for file in found.files or ()]
    files = [file for file in files if file.is_file() and file.suffix != ".pyc"]
    if not any(file.parent.parent == site and file.name == "RECORD" for file in files):
        return None
    target = site / f"{_PREFIX}{normalize(name)}"
    with Staged(target, folder=True) as staged:
        for number, file in enumerate(files):
            shutil.copy2(file, staged.path / str(number))
        places = [os.path.relpath(file, site) for file in files]
        listed = {"name": name, "version": found.version, "files": places}
        (staged.path / _LIST).write_text(json.dumps(listed), "utf-8")
        (staged.path / _LOCK).touch()
        staged.commit()
    return target


def _restore(folder: Path) -> str | None:
    """Put the files of a copy back where the distribution is not whole."""
    listed = json.loads((folder / _LIST).read_text("utf-8"))
    site, places = folder.parent, listed["files"]
    for top in {Path(place).parts[0] for place in places} - {os.pardir}:
        shutil.rmtree(site / f"~{top[1:]}", ignore_errors=True)  # where pip had moved it to
    records = [
        record
        for record in site.glob("*.dist-info")
        if normalize(record.name.split("-")[0]) == normalize(listed["name"])
    ]
    if any(map(_is_whole, records)):
        return None
    for record in records:
        shutil.rmtree(record)
    for number, place in enumerate(places):
        target = site / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / str(number), target)
    return f"{listed['name']} {listed['version']}"


def _is_whole(record: Path) -> bool:
    """Whether all files of a distribution are there, by its folder of metadata."""
    found = metadata.Distribution.at(record)
    # pip writes this file after all others of a new version.
    if not (record / "INSTALLER").exists() or not found.files:
        return False
    return all(
        Path(str(found.locate_file(file))).exists()
        for file in found.files
        if not str(file).endswith(".pyc")
    )
