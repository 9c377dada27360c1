"""The language identifier of py3langid, with its tables read from a file as far as they are needed.

py3langid decompresses its tables at each start, which takes half a second, and then holds all 75 MB
of them. A text needs a few rows. So the tables are decompressed once, into the cache, and mapped
into memory: the system reads the touched pages, and processes share them.
"""

from __future__ import annotations

import io
import lzma
import shutil
import zipfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.models.atomic import Staged
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PACKAGE = "py3langid"
"""The package that distinguishes languages of one script."""
_TABLES = ("ptc", "pc", "classes", "nextmove", "nextmove_row", "out_feat")
_FAILURES = (
    OSError,
    EOFError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


def load_rank() -> Callable[[str], list[tuple[str, float]]]:
    """The function ``rank`` of py3langid.

    Where the tables cannot be stored, they are held in memory: the package itself would need room
    for a temporary file. Where they have another form in the installed version, it is the function
    of the package. Stored tables that are damaged are removed, so that the next start makes them
    again.

    Raises:
        ImportError: The package is not installed.
    """
    package: Any = import_module(PACKAGE)
    rank: Callable[[str], list[tuple[str, float]]] = package.rank
    try:
        source = Path(package.langid.MODEL_DIR, package.langid.MODEL_FILE)
        state = source.stat()
    except (OSError, AttributeError, TypeError):
        return rank
    name = f"{PACKAGE}-{state.st_size}-{state.st_mtime_ns}"
    tables = load_settings().cache_dir / "languages" / name
    try:
        mapped = _mapped(package.langid, source, tables).rank
    except _FAILURES:
        shutil.rmtree(tables, ignore_errors=True)
        try:
            held: Callable[[str], list[tuple[str, float]]] = _in_memory(package.langid, source).rank
        except _FAILURES:
            return rank
        return held

    def ranked(text: str) -> list[tuple[str, float]]:
        try:
            found: list[tuple[str, float]] = mapped(text)
        except LookupError:  # a number in the tables is no place in them
            shutil.rmtree(tables, ignore_errors=True)
            return rank(text)
        return found

    return ranked


def _mapped(module: Any, source: Path, tables: Path) -> Any:
    """A ``LanguageIdentifier`` whose large tables are mapped files."""
    import numpy as np

    if not tables.is_dir():
        tables.parent.mkdir(parents=True, exist_ok=True)
        with Staged(tables, folder=True) as staged:
            with lzma.open(source) as packed:
                _extract(packed, staged.path)
            staged.commit()
    return _identifier(module, (np.load(tables / f"{n}.npy", mmap_mode="r") for n in _TABLES))


def _in_memory(module: Any, source: Path) -> Any:
    """A ``LanguageIdentifier`` that needs no room on a disk."""
    import numpy as np

    with lzma.open(source) as packed, zipfile.ZipFile(io.BytesIO(packed.read())) as archive:
        arrays = [np.load(io.BytesIO(archive.read(f"{name}.npy"))) for name in _TABLES]
    return _identifier(module, arrays)


def _identifier(module: Any, arrays: Iterable[Any]) -> Any:
    """A ``LanguageIdentifier`` with these tables, in the order of ``_TABLES``."""
    import numpy as np

    ptc, pc, classes, moves, rows, features = arrays
    # Single entries of a memoryview are Python's numbers, which takes a third of the time.
    return module.LanguageIdentifier(
        np.asarray(ptc),
        np.array(pc),
        classes.tolist(),
        memoryview(moves),
        features.tolist(),
        tk_row=memoryview(rows),
    )


def _extract(packed: Any, folder: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
