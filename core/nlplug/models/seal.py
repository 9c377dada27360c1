"""Records the files of a bundle again, after they were changed on purpose."""

from __future__ import annotations

import os
from pathlib import Path

from nlplug.errors import BundleCorrupt, BundleIncomplete
from nlplug.models.atomic import write_text
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIG_FILE, SENTENCE_CONFIG_FILE, TOKENIZER_CONFIG_FILE
from nlplug.models.manifest import (
    MANIFEST_FILE,
    PARTIAL_FILE,
    FileRecord,
    Manifest,
    is_listed,
)
from nlplug.models.repository import Repository
from nlplug.models.verify import check_links, files_of, record_of

_STATE_THE_WINDOW = frozenset({CONFIG_FILE, TOKENIZER_CONFIG_FILE, SENTENCE_CONFIG_FILE})


def seal(folder: Path) -> tuple[Bundle, list[str]]:
    """Write the manifest of a bundle again, from its current files.

    Labels and window follow ``config.json`` and ``tokenizer_config.json`` where these changed. The
    metrics of a precision whose graph changed are dropped, as nobody measured the new one.

    Args:
        folder: The bundle.

    Returns:
        The bundle, and the names of the files that were changed, added or removed.

    Raises:
        BundleIncomplete: The folder has no manifest, or lacks a graph that the manifest names.
        BundleCorrupt: The manifest or a changed JSON file is broken.
        BundleError: A link leaves the folder.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise BundleIncomplete(
            f"{folder} has no {MANIFEST_FILE}, so there is nothing to seal.",
            hint="A folder in the Hub's layout works without one.",
        )
    old = Manifest.read(path)
    check_links(folder)
    found = {file.relative_to(folder).as_posix(): file for file in files_of(folder)}
    records = {name: record_of(file) for name, file in found.items() if is_listed(name)}
    changed = sorted(
        name
        for name in records.keys() | old.files.keys()
        if records.get(name) != old.files.get(name)
    )
    if not _has_its_digest(path):
        changed.append(MANIFEST_FILE)
    if changed:
        new = _updated(old, records, changed, Repository.read(folder))
        write_text(folder / PARTIAL_FILE, new.to_json())
        os.replace(folder / PARTIAL_FILE, path)
    return Bundle.open(folder), changed


def _has_its_digest(path: Path) -> bool:
    try:
        Manifest.read_verified(path)
    except BundleCorrupt:
        return False
    return True


def _updated(
    old: Manifest, records: dict[str, FileRecord], changed: list[str], repository: Repository
) -> Manifest:
    precisions = dict(old.precisions)
    for precision, record in old.precisions.items():
        graphs = {record.file, *record.graphs.values()}
        lost = sorted(graphs - records.keys())
        if lost:
            raise BundleIncomplete(
                f"{repository.folder} is incomplete: {lost[0]} is missing.",
                hint="Put the file back, or export the model again.",
            )
        weights = {name for name in changed if any(name.startswith(graph) for graph in graphs)}
        if weights:
            precisions[precision] = record.model_copy(update={"metrics": {}, "parity": {}})
    update: dict[str, object] = {"files": records, "precisions": precisions}
    if CONFIG_FILE in changed and old.labels:
        update["labels"] = repository.labels
    if _STATE_THE_WINDOW & set(changed):
        update["max_length"] = repository.window
    return Manifest.model_validate({**dict(old), **update})
