"""The model of a command that writes it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.plugins import PluginHost
    from nlplug.task import Task


def bundle_to_change(
    host: PluginHost, model: str, task: str | None, output: Path | None
) -> tuple[Bundle, Task]:
    """The bundle of a model, and the task that is given, else that of the model.

    Args:
        host: The plugins.
        model: A folder, the name of an installed model, or a Hub id in the cache.
        task: Name of the task; None: that of the model.
        output: Folder of the new bundle; None: that of the model.

    Raises:
        UnknownTask: The model does not say its task and none is given, or there is no such task.
        OptionError: The model is not in a folder of the user, and there is no ``output``.
        ModelNotFound: There is no such model.
    """
    from nlplug.errors import OptionError, UnknownTask
    from nlplug.models.resolve import is_path, resolve

    bundle = resolve(model, host=host, fetch=False)
    if output is None and not is_path(model):
        raise OptionError(
            f"{model!r} is an installed or cached model, which cannot be changed in place.",
            hint="Give --output, the folder of the new bundle.",
        )
    name = task or (bundle.manifest.task if bundle.manifest else "")
    if not name:
        raise UnknownTask(
            f"The model {bundle.name!r} does not say which task it is for.", hint="Give --task."
        )
    return bundle, host.task(name)
