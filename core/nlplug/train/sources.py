"""Reads training rows from files, or from data sets of the ``datasets`` library."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nlplug.data.formats import FORMATS, DataFile, is_data_name
from nlplug.data.readers import read_rows
from nlplug.data.report import ReadReport
from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.extras import require
from nlplug.text.words import alike

_log = logging.getLogger("nlplug.data")


def read_source(
    source: str,
    *,
    split: str,
    limit: int | None = None,
    file: Callable[[Path], DataFile] = DataFile,
    reports: list[ReadReport] | None = None,
) -> Iterator[DataRow]:
    """Rows of a file, or of a data set by its id or folder.

    What was understood of a file is logged as information by the logger ``nlplug.data``.

    Args:
        source: A data file, or ``id`` or ``id:split`` for ``datasets.load_dataset``.
        split: The split if ``source`` names none.
        limit: Maximum number of rows.
        file: Opens a file, with the settings for reading it.
        reports: Gets what was understood of a file, once it is read; None: it is logged.

    Raises:
        DataError: The source is neither a file nor a data set, or a row cannot be read.
    """
    path = Path(source)
    if path.is_file() or is_data_name(path):
        opened = file(path)
        yield from read_rows(opened, limit=limit)
        if reports is None:
            _log.info("%s", opened.report)
        else:
            reports.append(opened.report)
        return
    yield from _dataset(source, split, limit)


def read_sources(
    sources: Sequence[str],
    *,
    split: str,
    limit: int | None,
    file: Callable[[Path], DataFile] = DataFile,
    reports: list[ReadReport] | None = None,
) -> list[DataRow]:
    """All rows of several sources, at most ``limit`` in total.

    Raises:
        DataError: As in ``read_source``; or there are no rows.
    """
    rows: list[DataRow] = []
    for source in sources:
        left = None if limit is None else limit - len(rows)
        rows += read_source(source, split=split, limit=left, file=file, reports=reports)
    if not rows:
        reasons = [str(report) for report in reports or () if report.skipped]
        raise DataError(
            f"No rows in {', '.join(sources)}.",
            hint=reasons[0] if reasons else "Check the data files.",
        )
    return rows


def hold_out(
    rows: Sequence[DataRow], share: float, key: Callable[[DataRow], str]
) -> tuple[list[DataRow], list[DataRow]]:
    """Split rows into (training, evaluation) by a hash of their text.

    The same text is always on the same side, in any order and in any extended file; so are texts
    that differ only in case, spaces or punctuation.
    """
    kept: list[DataRow] = []
    held: list[DataRow] = []
    for row in rows:
        digest = hashlib.md5(alike(key(row)).encode(), usedforsecurity=False).hexdigest()
        (held if int(digest[:8], 16) < share * 2**32 else kept).append(row)
    return kept, held


def _dataset(source: str, split: str, limit: int | None) -> Iterator[DataRow]:
    datasets = require("datasets", "train", purpose="Reading a data set of the Hub")
    name, _, given = source.partition(":")
    wanted = given or split
    try:
        data = _load(datasets, name, wanted)
    except Exception as error:  # its exceptions depend on how the data set is stored
        raise DataError(
            f"{source!r} is neither a file nor a data set that `datasets` can load "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}).",
            hint=f"Data files end in {', '.join(FORMATS)} (also .gz, .bz2, .xz); a data set "
            "is owner/name or owner/name:split.",
        ) from None
    names = _label_names(data)
    for number, values in enumerate(data, start=1):
        if limit is not None and number > limit:
            return
        for column, labels in names.items():
            values[column] = _named(values[column], labels)
        yield DataRow(values, Path(f"{name}:{wanted}"), number)


def _load(datasets: Any, name: str, split: str) -> Any:
    if (Path(name) / "dataset_dict.json").is_file() or (Path(name) / "state.json").is_file():
        data = datasets.load_from_disk(name)
        return data[split] if isinstance(data, datasets.DatasetDict) else data
    return datasets.load_dataset(name, split=split)


def _label_names(data: Any) -> dict[str, list[str]]:
    """Columns whose numbers have names in the data set."""
    found = {}
    for column, feature in data.features.items():
        names = getattr(feature, "names", None) or getattr(
            getattr(feature, "feature", None), "names", None
        )
        if isinstance(names, list):
            found[column] = names
    return found


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value
