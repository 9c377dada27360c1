"""Facts about a model for the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlplug.models.tuned import tuned_for

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle


def describe(bundle: Bundle) -> dict[str, Any]:
    """Facts about a model: name, precisions, labels, licence, languages, size in bytes.

    ``tuned`` is what ``nlplug models tune`` found to be fastest on this machine, or None.
    """
    manifest = bundle.manifest
    files = {path for graphs in bundle.graphs.values() for path in graphs.values()}
    precisions = sorted({name for graphs in bundle.graphs.values() for name in graphs})
    return {
        "name": bundle.name,
        "description": manifest.description if manifest else "",
        "license": manifest.license if manifest else "",
        "languages": bundle.languages,
        "labels": bundle.labels,
        "max_length": bundle.max_length,
        "precisions": precisions,
        "size": sum(path.stat().st_size for path in files if path.is_file()),
        "path": str(bundle.path),
        "tuned": tuned_for(bundle),
    }
