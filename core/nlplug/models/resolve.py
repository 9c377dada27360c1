"""Finds the bundle of a model by path, packaged name, cache or Hub id."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import (
    BundleError,
    BundleIncomplete,
    ModelNotFound,
    OfflineError,
    explained,
)
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIG_FILE
from nlplug.models.manifest import MANIFEST_FILE, PARTIAL_FILE
from nlplug.models.repository import find_file
from nlplug.models.trust import verify_for_use
from nlplug.settings import Settings, load_settings

if TYPE_CHECKING:
    from nlplug.models.hub import HubRef
    from nlplug.models.spec import ModelSpec
    from nlplug.plugins import PluginHost


def resolve(
    model: str | Path | Bundle,
    *,
    host: PluginHost | None = None,
    precision: str | None = None,
    revision: str | None = None,
    fetch: bool = True,
    settings: Settings | None = None,
) -> Bundle:
    """Find a model: a folder, then a packaged one, then the cache, then the Hub.

    Args:
        model: A folder, the name of a packaged model, or ``owner/name[@revision][//subfolder]``
            on the Hub.
        host: Where packaged models are registered; None for the installed plugins.
        precision: Fetched where it is missing in the cache; None for whichever is there, else
            the repository's best choice.
        revision: Branch, tag or commit of a model on the Hub.
        fetch: Whether models that are not on this machine may be downloaded from the Hub.
        settings: Where the cache is, and how the Hub is asked; None: those of the environment.

    Raises:
        ModelNotFound: Nothing of this name anywhere.
        OfflineError: It must be downloaded, but the network is switched off.
        OptionError: The repository lacks the precision.
        BundleError: It is there, and cannot be used, or it is not what ``NLPLUG_VERIFY`` and
            ``NLPLUG_VERIFY_KEY`` ask for.
    """
    settings = settings or load_settings()
    try:
        bundle = _find(model, host, precision, revision, fetch, settings)
    except OSError as error:  # a name that is too long, or a folder without permission
        raise explained(error) or error from None
    verify_for_use(bundle, settings)
    return bundle


def _find(
    model: str | Path | Bundle,
    host: PluginHost | None,
    precision: str | None,
    revision: str | None,
    fetch: bool,
    settings: Settings,
) -> Bundle:
    if isinstance(model, Bundle):
        return model
    if isinstance(model, Path) or is_path(model):
        return Bundle.open(Path(model).expanduser())
    # Only a model of the Hub has a slash in its name, so that no plugin is imported for one.
    spec = None if "/" in model else packaged(model, host)
    if spec is not None and spec.path is not None:
        return open_embedded(spec.name, spec.path)
    ref = _hub_ref(spec.hub_id if spec and spec.hub_id else model, revision)
    if ref is None:
        raise _unknown(model, host)
    return _from_hub(ref, settings, precision=precision, fetch=fetch)


def is_path(model: str) -> bool:
    """Whether a name means a folder: it is written as a path, or is a model folder that exists."""
    written = model.startswith((".", "~")) or os.path.isabs(model) or "\\" in model
    if written or model.endswith("/"):
        return True
    folder = Path(model)
    return find_file(folder, CONFIG_FILE) is not None or any(
        (folder / name).is_file() for name in (MANIFEST_FILE, PARTIAL_FILE)
    )


def packaged(name: str, host: PluginHost | None = None) -> ModelSpec | None:
    """The model that an installed package registers under this name."""
    return _host(host).find_model(name)


def open_embedded(name: str, path: Path) -> Bundle:
    """Open the bundle that a package embeds.

    Raises:
        BundleError: It is damaged, or missing from the package.
    """
    try:
        return Bundle.open(path)
    except ModelNotFound:
        raise BundleIncomplete(
            f"The package of the model {name!r} is incomplete: it has no folder {path}.",
            hint="Install the package again. In a source checkout, train the model: make models.",
        ) from None


def _host(host: PluginHost | None) -> PluginHost:
    if host is not None:
        return host
    from nlplug.plugins import PluginHost

    return PluginHost.discover()


def _hub_ref(model: str, revision: str | None) -> HubRef | None:
    from nlplug.models.hub import HubRef

    return HubRef.parse(model, revision)


def _from_hub(ref: HubRef, settings: Settings, *, precision: str | None, fetch: bool) -> Bundle:
    from nlplug.models.cache import open_cached, precisions_of, pull

    asked = (precision,) if precision else ()
    stays_here = settings.offline or not fetch
    try:
        held = open_cached(ref, settings)
    except BundleError:
        if stays_here:
            raise
        held = None
    has = precisions_of(held) if held is not None else set()
    if held is not None and has.issuperset(asked):
        return held
    if not stays_here:
        return pull(ref, settings, precisions=asked)
    lacking = f"{ref} is not in the cache"
    if held is not None:
        lacking = (
            f"{ref} is in the cache without the precision {precision!r} "
            f"(it has: {', '.join(sorted(has))})"
        )
    command = f"nlplug models pull {ref}" + (f" --precision {precision}" if precision else "")
    if settings.offline:
        raise OfflineError(
            f"{lacking}, and the network is switched off (NLPLUG_OFFLINE or HF_HUB_OFFLINE).",
            hint=f"Unset that and run: {command}",
        )
    raise ModelNotFound(f"{lacking}.", hint=command)


def _unknown(model: str, host: PluginHost | None) -> ModelNotFound:
    if Path(model).is_dir():
        return ModelNotFound(
            f"The folder {model!r} is not a model: it holds no {CONFIG_FILE}, and no package or "
            "Hub id has that name.",
            hint="Name a folder with config.json, tokenizer.json and onnx/model.onnx.",
        )
    if "/" in model:
        return ModelNotFound(
            f"{model!r} is neither a folder nor a Hub id.",
            hint="A Hub id is owner/name, owner/name@revision or owner/name//subfolder.",
        )
    host = _host(host)
    known = sorted(spec.name for spec in host.models())
    if model in {*host.task_names(), *host.aliases()}:
        return ModelNotFound(
            f"There is no model {model!r}; this is the name of a task.",
            hint=f"Its default model: --task {model} without a model, or pipeline({model!r}).",
        )
    from difflib import get_close_matches

    close = get_close_matches(model, known, n=1)
    return ModelNotFound(
        f"There is no model {model!r}: no such folder, and no installed package registers it.",
        hint=(f"Did you mean {close[0]!r}? " if close else "")
        + f"Packaged models: {', '.join(known) or 'none'}. Models of the Hub are named owner/name.",
    )
