"""Downloaded Hub models: one bundle per model in ``<cache>/models``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from nlplug.errors import (
    BundleCorrupt,
    BundleError,
    BundleIncomplete,
    ModelNotFound,
    NlplugError,
    OptionError,
    explained,
)
from nlplug.models import hub
from nlplug.models.atomic import discard_folder, exclusive
from nlplug.models.bundle import Bundle
from nlplug.models.hub import HubRef, HubRepo
from nlplug.models.layout import (
    CONFIG_FILE,
    external_data_of,
    find_graphs,
    locate,
    run_together,
    side_files,
)
from nlplug.models.manifest import MANIFEST_FILE, Manifest, PrecisionRecord
from nlplug.models.repository import Repository
from nlplug.models.signature import weights_outside
from nlplug.models.verify import sha256_of
from nlplug.models.writer import BundleWriter
from nlplug.settings import Settings

_UNMEASURED = ("fp32", "fp16", "int8", "uint8")
"""Precisions to download by default: the loss of others was not measured."""
_MEASURED = ("int8", "fp16", "fp32", "uint8")
"""The same for a bundle that nlplug exported, whose precisions have passed the gate."""


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache; if it is broken, ``bundle`` is None and ``error`` is the reason."""

    ref: HubRef
    path: Path
    bundle: Bundle | None
    error: BundleError | None = None


def models_folder(settings: Settings) -> Path:
    """The folder of downloaded models."""
    return settings.cache_dir / "models"


def folder_of(ref: HubRef, settings: Settings) -> Path:
    """The folder of one model: ``owner--name``, with ``@revision`` and ``#subfolder`` if given."""
    name = ref.repo.replace("/", "--")
    if ref.revision:
        name += f"@{quote(ref.revision, safe='')}"
    if ref.subfolder:
        name += f"#{quote(ref.subfolder, safe='')}"
    return models_folder(settings) / name


def open_cached(ref: HubRef, settings: Settings) -> Bundle | None:
    """The model when it is in the cache.

    Raises:
        BundleError: It is there, and broken.
    """
    folder = folder_of(ref, settings)
    try:
        bundle = Bundle.open(folder)
    except ModelNotFound:
        return None
    if bundle.manifest is None:
        raise BundleIncomplete(
            f"{folder} has no {MANIFEST_FILE}.", hint=f"nlplug models pull {ref}"
        )
    return bundle


def list_cached(settings: Settings) -> list[CachedModel]:
    """Every model in the cache, the broken ones too, by name."""
    found = []
    folder = models_folder(settings)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        rest, _, subfolder = path.name.partition("#")
        name, _, revision = rest.partition("@")
        text = name.replace("--", "/") + (f"//{unquote(subfolder)}" if subfolder else "")
        ref = HubRef.parse(text, unquote(revision) or None)
        if ref is None or not path.is_dir():
            continue
        try:
            found.append(CachedModel(ref, path, open_cached(ref, settings)))
        except BundleError as error:
            found.append(CachedModel(ref, path, None, error))
    return found


def remove_cached(ref: HubRef, settings: Settings) -> Path:
    """Remove a model from the cache.

    Raises:
        ModelNotFound: It is not there.
    """
    folder = folder_of(ref, settings)
    if not folder.is_dir():
        raise ModelNotFound(
            f"{ref} is not in the cache ({models_folder(settings)}).",
            hint="See `nlplug models list`.",
        )
    discard_folder(folder)
    return folder


def pull(
    ref: HubRef,
    settings: Settings,
    *,
    precisions: Collection[str] = (),
    update: bool = False,
) -> Bundle:
    """Download the missing files of a model into the cache.

    Precisions that are there already stay. They are never mixed from two commits: without
    ``update`` the commit that is there decides, with it everything moves on to the newest.

    Args:
        ref: The model.
        settings: Where the cache and the Hub are.
        precisions: Those wanted; empty: the ones there, else the repository's best choice.
        update: Look for a newer commit.

    Raises:
        OfflineError: The network is switched off.
        ModelNotFound: There is no such repository, or no access to it.
        OptionError: The repository lacks a precision; the hint lists those it has.
        BundleError: The repository is not a model that can be run, or fetching it failed.
    """
    # One process at a time, so that two that add a precision do not overwrite each other.
    name = folder_of(ref, settings).name
    try:
        with exclusive(settings.cache_dir / "locks" / f"{name}.lock"):
            return _pull(ref, settings, precisions, update)
    except NlplugError:  # some are OSErrors too
        raise
    except OSError as error:
        raise explained(error) or BundleError(
            f"The cache {settings.cache_dir} cannot be written: {error}.",
            hint="Free disk space, allow writing there, or set NLPLUG_CACHE to another folder.",
        ) from error


def _pull(ref: HubRef, settings: Settings, precisions: Collection[str], update: bool) -> Bundle:
    try:
        held = open_cached(ref, settings)
    except BundleError:
        held = None  # replaced by a whole one
    old = held.manifest if held else None
    there = set(precisions_of(held)) if held else set()
    if held and there >= set(precisions) and not update:
        return held
    pinned = old.source.get("commit") if old and not update else None
    repo = hub.look_up(ref, settings, revision=pinned)
    current = old is not None and old.source.get("commit") == repo.commit
    if held and current and there >= set(precisions):
        return held
    with BundleWriter(folder_of(ref, settings), in_cache=True) as writer:
        reusable = held if current else None
        theirs = _manifest_of_repository(ref, repo, writer.folder, settings)
        graphs = _graphs_of(ref, repo, theirs)
        # Existing precisions are kept if the newest commit still has them.
        offered = {precision for files in graphs.values() for precision in files}
        wanted = sorted({*precisions, *(there & offered)}) or [_best(graphs, theirs)]
        names = _names(ref, repo, graphs, wanted)
        missing = _reuse(reusable, names, writer.folder)
        hub.fetch(ref, repo, missing, writer.folder, settings)
        if theirs:
            _check_against(theirs, names, writer.folder)
        else:
            more = sorted(weights_outside(names, writer.folder) & set(repo.files) - set(names))
            missing = _reuse(reusable, more, writer.folder)
            hub.fetch(ref, repo, missing, writer.folder, settings)
        return writer.commit(_describe(ref, repo, writer.folder, graphs, wanted, theirs))


def precisions_of(bundle: Bundle) -> set[str]:
    """Those that every graph of a bundle has."""
    return _common(bundle.graphs)


def _common(graphs: Mapping[str, Mapping[str, object]]) -> set[str]:
    names = run_together(graphs) or tuple(graphs)
    return set.intersection(*(set(graphs[name]) for name in names))


def _manifest_of_repository(
    ref: HubRef, repo: HubRepo, folder: Path, settings: Settings
) -> Manifest | None:
    if MANIFEST_FILE not in repo.files:
        return None
    hub.fetch(ref, repo, [MANIFEST_FILE], folder, settings)
    try:
        return Manifest.parse(
            (folder / MANIFEST_FILE).read_bytes(), where=f"{MANIFEST_FILE} of {ref}"
        )
    finally:
        (folder / MANIFEST_FILE).unlink()


def _graphs_of(ref: HubRef, repo: HubRepo, theirs: Manifest | None) -> dict[str, dict[str, str]]:
    graphs = find_graphs(repo.files)
    if theirs and theirs.precisions:
        graphs = {}
        for precision, record in theirs.precisions.items():
            for graph, name in record.by_graph.items():
                graphs.setdefault(graph, {})[precision] = name
    run = run_together(graphs)
    graphs = {name: files for name, files in graphs.items() if not run or name in run}
    if locate(CONFIG_FILE, repo.files) is None or not graphs:
        where = f"The folder {ref.subfolder} of the" if ref.subfolder else "The"
        raise BundleIncomplete(
            f"{where} repository {ref.repo} holds no ONNX model "
            "(looked for config.json and onnx/*.onnx or *.onnx).",
            hint=f"Leave the folder out if its root has config.json: {replace(ref, subfolder='')}"
            if ref.subfolder
            else f"Export it: nlplug export {ref.repo} --output FOLDER",
        )
    return graphs


def _best(graphs: dict[str, dict[str, str]], theirs: Manifest | None) -> str:
    common = _common(graphs)
    for precision in _MEASURED if theirs else _UNMEASURED:
        if precision in common:
            return precision
    return min(common, default="fp32")


def _names(
    ref: HubRef, repo: HubRepo, graphs: dict[str, dict[str, str]], wanted: Iterable[str]
) -> list[str]:
    names = side_files(repo.files)
    for precision in wanted:
        for files in graphs.values():
            if precision not in files:
                raise OptionError(
                    f"{ref} has no precision {precision!r}.",
                    hint=f"It has: {', '.join(sorted(files))}.",
                )
            if files[precision] not in repo.files:
                raise BundleIncomplete(
                    f"The repository {ref.repo} lacks {files[precision]}, which its "
                    f"{MANIFEST_FILE} names.",
                    hint="Its owner has to upload it again.",
                )
            names += [files[precision], *external_data_of(files[precision], repo.files)]
    return names


def _reuse(held: Bundle | None, names: list[str], folder: Path) -> list[str]:
    """Put what an older bundle of the same commit has into ``folder``; what it lacks."""
    missing = []
    for name in names:
        record = held.manifest.files.get(name) if held and held.manifest else None
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if held is None or record is None or not _link(held.path / name, target):
            missing.append(name)
        elif sha256_of(target) != record.sha256:
            target.unlink()
            missing.append(name)
    return missing


def _link(source: Path, target: Path) -> bool:
    for put in (os.link, shutil.copyfile):
        try:
            put(source, target)
            return True
        except OSError:  # another file system, or another process has just replaced the bundle
            continue
    return False


def _check_against(theirs: Manifest, names: list[str], folder: Path) -> None:
    for name in names:
        record = theirs.files.get(name)
        if record is not None and sha256_of(folder / name) != record.sha256:
            raise BundleCorrupt(
                f"{name} is not the file that the repository's {MANIFEST_FILE} describes.",
                hint="Its owner has to upload the bundle again, whole.",
            )


def _describe(
    ref: HubRef,
    repo: HubRepo,
    folder: Path,
    graphs: dict[str, dict[str, str]],
    wanted: list[str],
    theirs: Manifest | None,
) -> Manifest:
    source = {"hub_id": ref.repo, "commit": repo.commit}
    if ref.subfolder:
        source["subfolder"] = ref.subfolder
    if theirs:
        kept = {name: record for name, record in theirs.precisions.items() if name in wanted}
        return theirs.model_copy(update={"precisions": kept, "files": {}, "source": source})
    repository = Repository.read(folder)
    main, *others = run_together(graphs) or ("",)
    records = {
        precision: PrecisionRecord(
            file=file,
            graphs={name: graphs[name][precision] for name in (main, *others) if others},
        )
        for precision, file in graphs.get(main, {}).items()
        if precision in wanted
    }
    return Manifest(
        name=str(ref),
        hub_task=repo.hub_task,
        labels=repository.labels,
        languages=repo.languages,
        max_length=repository.window,
        precisions=records,
        license=repo.license,
        source=source,
    )
