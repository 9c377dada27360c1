"""The plugin host: the installed plugins of one environment, loaded when they are asked for.

A plugin that cannot be imported or breaks the contract is left out whole and named with its
distribution, version, cause and a hint. All others run.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from nlplug.errors import PluginError, UnknownTask
from nlplug.plugins.failures import Broken, nearest, unexpected
from nlplug.plugins.loading import Loader, Unit, group
from nlplug.plugins.metadata import TASK, Entry, Inventory, scan
from nlplug.plugins.records import Plugin, PluginRecord
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.task import Task

SERVER_PLUGIN_TIMEOUT = 60.0
"""Seconds that a server waits for a plugin by default, so that one that hangs does not stop it."""

_log = logging.getLogger("nlplug.plugins")


class PluginHost:
    """The plugins of one environment; ``PluginHost.discover()`` makes it.

    Finding plugins reads metadata and imports nothing. A plugin is imported when it is first asked
    for; what it prints then, and in its hooks, goes to stderr. Hosts share nothing, and one host
    may be used from several threads.

    Args:
        inventory: What the metadata says.
        only: Names of the plugins to see, all others are disabled; None for all.
        strict: Whether a plugin that fails is fatal.
        timeout: Seconds that importing a plugin, or one of its hooks, may take; None or 0 for no
            limit.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        only: Collection[str] | None = None,
        strict: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._strict = strict
        self._aliases = inventory.aliases
        self._lock = RLock()
        self._loader = Loader(timeout or None)
        self._units = group(inventory.entries)
        self._by_name: dict[str, Unit] = {}
        self._assign_names()
        wanted = {only} if isinstance(only, str) else only
        for unit in self._units:
            if wanted is not None and unit.failure is None and not set(unit.names) & set(wanted):
                unit.state = "disabled"

    @classmethod
    def discover(
        cls,
        *,
        only: Collection[str] | None = None,
        strict: bool | None = None,
        path: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> PluginHost:
        """The host of the installed plugins; none is imported.

        Args:
            only: Names of the plugins to see, all others are disabled; None: as NLPLUG_PLUGINS.
            strict: Whether a plugin that fails is fatal; None: as NLPLUG_STRICT.
            path: Folders that hold the metadata of distributions; None for ``sys.path``. Modules
                are imported from ``sys.path`` in either case.
            timeout: Seconds that importing a plugin, or one of its hooks, may take unless
                NLPLUG_PLUGIN_TIMEOUT is set; None or 0 for no limit.

        Raises:
            OptionError: A setting in the environment is invalid.
        """
        settings = load_settings()
        return cls(
            scan(path),
            only=settings.plugins if only is None else only,
            strict=settings.strict if strict is None else strict,
            timeout=timeout if settings.plugin_timeout is None else settings.plugin_timeout,
        )

    def records(self) -> list[PluginRecord]:
        """Every installed plugin with its state, sorted by name."""
        pairs = [(entry, unit) for unit in self._units for entry in unit.entries]
        pairs.sort(key=lambda pair: (pair[0].name, pair[1] is not self._by_name.get(pair[0].name)))
        return [self._record(entry, unit) for entry, unit in pairs]

    def load(self, name: str) -> Plugin:
        """Import one plugin; one that is imported already is returned.

        Raises:
            PluginError: There is no such plugin, it is disabled, or it is broken.
        """
        unit = self._by_name.get(name)
        if unit is None:
            known = sorted(self._by_name)
            raise PluginError(
                f"No plugin named {name!r} is installed.",
                hint=f"{nearest(name, known)}Installed: {', '.join(known) or 'none'}.",
            )
        if unit.state == "disabled":
            raise PluginError(
                f"The plugin {name!r} is disabled.",
                hint=f"Add it to NLPLUG_PLUGINS, or unset that: NLPLUG_PLUGINS=…,{name}",
            )
        with self._lock:
            if self._strict:
                self._refuse_failures()
            return self._load(unit)

    def load_all(self) -> None:
        """Import every plugin that is not disabled. A broken one is logged and left out.

        Raises:
            PluginError: A plugin is broken and the host is strict.
        """
        with self._lock:
            for unit in self._units:
                if unit.state == "available":
                    try:
                        self._load(unit)
                    except PluginError as error:
                        if self._strict:
                            raise
                        _log.warning("%s", error)
            if self._strict:
                self._refuse_failures()

    def task(self, name: str) -> Task:
        """The task of this name or alias. Imports its plugin and no other.

        Raises:
            UnknownTask: No installed plugin offers it; the hint lists the installed tasks.
            PluginError: The plugin that offers it is broken.
        """
        found = name if name in self._by_name else self._aliases.get(name, name)
        unit = self._by_name.get(found)
        if unit is None or unit.state == "disabled" or unit.kinds[found] != TASK:
            raise self._unknown_task(name, found)
        for task in self.load(found).tasks:
            if task.name == found:
                return task
        raise self._unknown_task(name, found)

    def task_names(self) -> list[str]:
        """Names of the tasks, from the metadata. Imports nothing."""
        return sorted(
            name
            for name, unit in self._by_name.items()
            if unit.state in ("available", "loaded")
            and unit.kinds[name] == TASK
            and (unit.plugin is None or any(task.name == name for task in unit.plugin.tasks))
        )

    def aliases(self) -> dict[str, str]:
        """Alias → task name, for the tasks of ``task_names``. Imports nothing."""
        names = set(self.task_names())
        return {
            alias: name
            for alias, name in sorted(self._aliases.items())
            if name in names and alias not in self._by_name
        }

    def tasks(self) -> list[Task]:
        """Every task of every plugin that can be loaded, sorted by name. Imports all plugins."""
        self.load_all()
        found = [task for plugin in self._loaded() for task in plugin.tasks]
        return sorted(found, key=lambda task: task.name)

    def models(self, task: str | None = None) -> list[ModelSpec]:
        """Every registered model, or those of one task. Imports all plugins.

        Args:
            task: Name or alias of a task.
        """
        self.load_all()
        wanted = task if task is None or task in self._by_name else self._aliases.get(task, task)
        found = [spec for plugin in self._loaded() for spec in plugin.models]
        return sorted(
            (spec for spec in found if wanted is None or spec.task == wanted),
            key=lambda spec: (spec.task, spec.name),
        )

    def find_model(self, name: str) -> ModelSpec | None:
        """The registered model of this name, or None. Imports further plugins only if necessary."""
        for complete in (False, True):
            if complete:
                self.load_all()
            for plugin in self._loaded():
                for spec in plugin.models:
                    if spec.name == name:
                        return spec
        return None

    def add_hookspecs(self, module: Any) -> None:
        """Add the hooks of another package, such as those of the web UI.

        Loaded plugins are checked against them, and left out if they fail.
        """
        with self._lock:
            before = [(unit, unit.plugin.module) for unit in self._units if unit.plugin]
            for unit, _ in before:
                self._loader.unregister(unit.key)
            self._loader.add_hookspecs(module)
            for unit, plugin in before:
                try:
                    self._loader.register(unit.key, plugin)
                except Broken as broken:
                    self._drop(unit, broken)

    def call(
        self, hook: str, /, *, plugin: str | None = None, **arguments: Any
    ) -> list[tuple[str, Any]]:
        """Call a hook of every loaded plugin that implements it.

        A plugin whose hook raises is left out whole; the others are still called.

        Args:
            hook: Name of the hook.
            plugin: Call the hook of this plugin only; None for all.
            **arguments: The arguments of the hook.

        Returns:
            The name of each plugin with what its hook returned.

        Raises:
            PluginError: A hook raised and the host is strict.
        """
        answers: list[tuple[str, Any]] = []
        with self._lock:
            for unit in self._units:
                loaded = unit.plugin
                if loaded is None or (plugin is not None and plugin not in unit.names):
                    continue
                if not self._loader.implements(loaded.module, hook):
                    continue
                try:
                    answer = self._loader.call(loaded.module, loaded.dist, hook, arguments)
                except Broken as broken:
                    self._drop(unit, broken)
                else:
                    answers.append((loaded.name, answer))
        return answers

    def reject(self, name: str, cause: str, hint: str) -> PluginError:
        """Leave out a loaded plugin because of what one of its hooks returned.

        Args:
            name: Name of the plugin.
            cause: What is wrong.
            hint: What to do about it.

        Returns:
            An error that names the plugin, for callers that want to raise it.

        Raises:
            PluginError: The host is strict.
        """
        with self._lock:
            return self._drop(self._by_name[name], Broken(cause, hint))

    def _loaded(self) -> Iterator[Plugin]:
        return (unit.plugin for unit in self._units if unit.plugin is not None)

    def _assign_names(self) -> None:
        for unit in self._units:
            for entry in unit.entries:
                owner = self._by_name.setdefault(entry.name, unit)
                if owner is not unit and unit.failure is None:
                    unit.state = "failed"
                    unit.failure = Broken(
                        f"the name {entry.name!r} is taken by {owner.dist} ({owner.target})",
                        f"Uninstall one of them: nlplug plugins uninstall {unit.dist.name}",
                    )

    def _load(self, unit: Unit) -> Plugin:
        if unit.plugin is not None:
            return unit.plugin
        if unit.failure is not None:
            raise self._error(unit) from unit.error
        try:
            plugin = self._loader.load(unit)
            self._refuse_taken_models(plugin.models)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # any error of its code is a failure of the plugin
            self._fail(unit, error if isinstance(error, Broken) else unexpected(error, unit.dist))
            raise self._error(unit) from unit.error
        unit.plugin = plugin
        unit.state = "loaded"
        return plugin

    def _refuse_taken_models(self, models: Sequence[ModelSpec]) -> None:
        taken = {spec.name: plugin for plugin in self._loaded() for spec in plugin.models}
        for spec in models:
            if owner := taken.get(spec.name):
                raise Broken(
                    f"the model name {spec.name!r} is taken by {owner.dist} {owner.version}",
                    f"Uninstall {owner.dist}, or ask the authors for another name.",
                )

    def _fail(self, unit: Unit, broken: Broken) -> None:
        self._loader.unregister(unit.key)
        unit.plugin = None
        unit.state = "failed"
        unit.failure = broken
        unit.error = broken.__cause__

    def _drop(self, unit: Unit, broken: Broken) -> PluginError:
        self._fail(unit, broken)
        error = self._error(unit)
        if self._strict:
            raise error from unit.error
        _log.warning("%s", error)
        return error

    def _refuse_failures(self) -> None:
        for unit in self._units:
            if unit.failure is not None:
                raise self._error(unit) from unit.error

    def _error(self, unit: Unit) -> PluginError:
        broken = unit.failure or Broken("it is broken", "")
        return PluginError(
            f"The plugin {unit.names[0]!r} of {unit.dist} was left out: {broken.cause}.",
            hint=broken.hint,
        )

    def _unknown_task(self, name: str, found: str) -> UnknownTask:
        unit = self._by_name.get(found)
        if unit is not None and unit.state == "disabled":
            return UnknownTask(
                f"The task {name!r} is disabled.",
                hint=f"Add it to NLPLUG_PLUGINS, or unset that: NLPLUG_PLUGINS=…,{found}",
            )
        # Where a choice of plugins leaves out all of them, they are installed all the same.
        known = self.task_names() or [one.name for one in self.records() if one.kind == TASK]
        guess = nearest(name, [*known, *self.aliases()])
        if not known:
            listing = "No task is installed. Install one: nlplug plugins install sentiment"
        else:
            listing = f"Installed: {', '.join(known)}. More: nlplug plugins install NAME"
        return UnknownTask(f"No installed plugin offers the task {name!r}.", hint=guess + listing)

    def _record(self, entry: Entry, unit: Unit) -> PluginRecord:
        if unit.plugin is not None:
            tasks = tuple(task.name for task in unit.plugin.tasks if task.name == entry.name)
        else:
            tasks = (entry.name,) if entry.kind == TASK and unit.failure is None else ()
        return PluginRecord(
            name=entry.name,
            dist=entry.dist.name,
            version=entry.dist.version,
            module=entry.target,
            state=unit.state,
            cause=unit.failure.cause if unit.failure else None,
            hint=unit.failure.hint if unit.failure else None,
            tasks=tasks,
            kind=entry.kind,
            aliases=tuple(alias for alias, name in self.aliases().items() if name == entry.name)
            if tasks
            else (),
            summary=entry.dist.summary,
        )
