"""The list of models on this machine: those of installed packages and those in the cache."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlplug.errors import BundleError
from nlplug.models.bundle import Bundle
from nlplug.models.cache import list_cached, open_cached
from nlplug.models.hub import HubRef
from nlplug.models.resolve import open_embedded
from nlplug.settings import Settings

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.plugins import PluginHost

Where = Literal["package", "cache", "hub"]


@dataclass(frozen=True)
class ModelEntry:
    """One model that can be named.

    Attributes:
        name: Name for ``model=``.
        task: Task it serves; the Hub's name for it, or empty, where no package says it.
        where: ``package`` (embedded in ``dist``), ``cache``, or ``hub`` (recommended by ``dist``
            and not fetched yet).
        precisions: What can be run; empty while not fetched, or broken.
        size: Bytes; 0 when unknown.
        license: SPDX identifier or a short text.
        description: One line.
        location: Its folder, or its Hub id while not fetched.
        dist: The distribution that registers it; None for one that was fetched by its Hub id.
        error: What is wrong with it, else None.
    """

    name: str
    task: str
    where: Where
    precisions: tuple[str, ...]
    size: int
    license: str
    description: str
    location: str
    dist: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The entry for JSON."""
        return asdict(self) | {"precisions": list(self.precisions)}


def inventory(host: PluginHost, settings: Settings) -> list[ModelEntry]:
    """All packaged models, then all other cached models. Does not use the network."""
    entries: list[ModelEntry] = []
    named: set[Path] = set()
    for dist, spec in _packaged(host):
        entry = _of_spec(dist, spec, settings)
        entries.append(entry)
        named.add(Path(entry.location))
    for cached in list_cached(settings):
        if cached.path not in named:
            entries.append(
                _entry(str(cached.ref), "cache", cached.path, cached.bundle, cached.error)
            )
    return entries


def size_of(bundle: Bundle) -> int:
    """Bytes of a bundle on disk."""
    if bundle.manifest is not None:
        return bundle.manifest.size
    return sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file())


def _packaged(host: PluginHost) -> list[tuple[str, ModelSpec]]:
    host.load_all()
    loaded = (host.load(record.name) for record in host.records() if record.state == "loaded")
    # A plugin with several entry points is recorded once for each.
    pairs = {spec.name: (plugin.dist, spec) for plugin in loaded for spec in plugin.models}
    return [pairs[name] for name in sorted(pairs)]


def _of_spec(dist: str, spec: ModelSpec, settings: Settings) -> ModelEntry:
    bundle: Bundle | None = None
    error: BundleError | None = None
    where: Where = "package"
    location = str(spec.path or spec.hub_id or "")
    try:
        if spec.path is not None:
            bundle = open_embedded(spec.name, spec.path)
        elif spec.hub_id and (ref := HubRef.parse(spec.hub_id)):
            bundle = open_cached(ref, settings)
            where = "cache" if bundle else "hub"
    except BundleError as caught:
        error = caught
    found = _entry(spec.name, where, bundle.path if bundle else Path(location), bundle, error)
    return ModelEntry(
        name=spec.name,
        task=spec.task,
        where=where,
        precisions=found.precisions,
        size=found.size or spec.size,
        license=spec.license or found.license,
        description=spec.description or found.description,
        location=str(bundle.path) if bundle else location,
        dist=dist,
        error=found.error,
    )


def _entry(
    name: str,
    where: Where,
    path: Path,
    bundle: Bundle | None,
    error: BundleError | None,
) -> ModelEntry:
    manifest = bundle.manifest if bundle else None
    return ModelEntry(
        name=name,
        task=(manifest.task or manifest.hub_task) if manifest else "",
        where=where,
        precisions=tuple(sorted({p for files in bundle.graphs.values() for p in files}))
        if bundle
        else (),
        size=size_of(bundle) if bundle else 0,
        license=manifest.license if manifest else "",
        description=manifest.description if manifest else "",
        location=str(path),
        error=error.message if error else None,
    )
