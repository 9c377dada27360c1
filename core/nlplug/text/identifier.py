"""The language identifier of py3langid, with its tables read from a file as far as they are needed.

py3langid decompresses its tables at each start, which takes half a second, and then holds all 75 MB
of them. A text needs a few rows. So the tables are decompressed once, into the cache, and mapped
into memory: the system reads the touched pages, and processes share them.
"""

from __future__ import annotations

import lzma
import zipfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.models.atomic import Staged
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "py3langid"
"""The package that distinguishes languages of one script."""
_TABLES = ("ptc", "pc", "classes", "nextmove", "nextmove_row", "out_feat")


def load_rank() -> Callable[[str], list[tuple[str, float]]]:
    """The function ``rank`` of py3langid.

    Where the tables cannot be stored, or have another form in the installed version, it is the
    function of the package itself.

    Raises:
        ImportError: The package is not installed.
    """
    package: Any = import_module(PACKAGE)
    try:
        rank: Callable[[str], list[tuple[str, float]]] = _mapped(package.langid).rank
    except (OSError, EOFError, AttributeError, KeyError, TypeError, ValueError, lzma.LZMAError):
        rank = package.rank
    return rank


def _mapped(module: Any) -> Any:
    """A ``LanguageIdentifier`` whose large tables are mapped files."""
    import numpy as np

    source = Path(module.MODEL_DIR, module.MODEL_FILE)
    state = source.stat()
    folder = load_settings().cache_dir / "languages"
    tables = folder / f"{PACKAGE}-{state.st_size}-{state.st_mtime_ns}"
    if not tables.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with Staged(tables, folder=True) as staged:
            with lzma.open(source) as packed:
                _extract(packed, staged.path)
            staged.commit()
    ptc, pc, classes, moves, rows, features = (
        np.load(tables / f"{name}.npy", mmap_mode="r") for name in _TABLES
    )
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
