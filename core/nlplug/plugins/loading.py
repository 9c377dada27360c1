"""Loading one plugin by the rules: import, contract version, hooks, tasks, models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

from nlplug import hookspecs
from nlplug.extras import uncollected
from nlplug.plugins.failures import Broken, hook_failure, import_failure, nearest
from nlplug.plugins.isolation import run_isolated, stdout_to_stderr
from nlplug.plugins.metadata import TASK, Dist, Entry
from nlplug.plugins.records import Plugin, State

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.task import Task

_TARGET = re.compile(r"\A(?P<module>\w+(?:\.\w+)*)(?::(?P<attribute>\w+(?:\.\w+)*))?(?:\s*\[.*\])?")


@dataclass
class Unit:
    """All entries of one distribution that name the same module: they load and fail as one.

    Attributes:
        entries: The entries, in the order of their names.
        state: As in ``PluginRecord``.
        failure: Why it failed, else None.
        error: The exception behind the failure, if there is one.
        plugin: What it registered, once loaded.
    """

    entries: list[Entry]
    state: State = "available"
    failure: Broken | None = None
    error: BaseException | None = None
    plugin: Plugin | None = None
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.names = tuple(entry.name for entry in self.entries)

    @property
    def dist(self) -> Dist:
        return self.entries[0].dist

    @property
    def target(self) -> str:
        return self.entries[0].target

    @property
    def key(self) -> str:
        """The name that is registered in pluggy."""
        return f"{self.dist.name}/{self.target}"

    @property
    def kinds(self) -> dict[str, str]:
        return {entry.name: entry.kind for entry in self.entries}


def group(entries: Sequence[Entry]) -> list[Unit]:
    """The units of a sequence of entries, in the order of their first entries."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.dist.name, entry.target), []).append(entry)
    return [Unit(found) for found in groups.values()]


class Loader:
    """Imports plugins and calls their hooks.

    Args:
        limit: Seconds that an import or the call of a hook may take; None for no limit.
    """

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def load(self, unit: Unit) -> Plugin:
        """Import a plugin, register its hooks, and collect its tasks and models.

        Raises:
            Broken: It breaks a rule; some of its hooks may be registered.
        """
        with uncollected():
            module = self._import(unit)
        self.register(unit.key, module)
        # Checking a task imports its module and runs code of its own, such as validators.
        with stdout_to_stderr(), uncollected():
            return Plugin(
                name=unit.names[0],
                names=unit.names,
                dist=unit.dist.name,
                version=unit.dist.version,
                module=module,
                tasks=self._tasks(unit, module),
                models=self._models(unit, module),
            )

    def add_hookspecs(self, module: Any) -> None:
        """Add the hooks of another package."""
        self._manager.add_hookspecs(module)

    def unregister(self, key: str) -> None:
        """Remove the hooks of a plugin, if any are registered."""
        if self._manager.has_plugin(key):
            self._manager.unregister(name=key)

    def register(self, key: str, plugin: Any) -> None:
        """Register the hooks of ``plugin``; after a failure none of them is registered.

        Raises:
            Broken: A hook does not exist, has a wrong signature or lacks its decorator.
        """
        known = self._hook_names()
        for name in known:
            function = getattr(plugin, name, None)
            own = inspect.isfunction(function) and function.__module__ == plugin.__name__
            if inspect.ismodule(plugin) and own and not hasattr(function, "nlplug_impl"):
                raise Broken(
                    f"the function {name} is not decorated", f"Write @nlplug.hookimpl above {name}."
                )
        try:
            self._manager.register(plugin, name=key)
        except pluggy.PluginValidationError as error:
            raise self._wrong_signature(plugin, known, error) from error
        except ValueError as error:
            self._manager.unregister(name=key)
            raise Broken(
                f"{key.partition('/')[2]} is registered already by another distribution",
                "Two distributions name the same module in their entry points. Uninstall one.",
            ) from error
        try:
            self._check_registered(plugin, known)
        except Broken:
            self._manager.unregister(name=key)
            raise

    def implements(self, plugin: Any, hook: str) -> bool:
        """Whether the registered ``plugin`` implements ``hook``."""
        caller = getattr(self._manager.hook, hook, None)
        return caller is not None and any(impl.plugin is plugin for impl in caller.get_hookimpls())

    def call(self, plugin: Any, dist: str, hook: str, arguments: Mapping[str, Any]) -> Any:
        """Call one hook of one plugin; None if it does not implement the hook.

        Raises:
            Broken: The hook raised, or did not return in time.
        """
        others = [other for _, other in self._manager.list_name_plugin() if other is not plugin]
        caller = self._manager.subset_hook_caller(hook, others)
        answers = self._run_hook(lambda: caller(**arguments), hook, dist)
        return answers[0] if answers else None

    def _import(self, unit: Unit) -> Any:
        """The module, or its attribute, that an entry point names."""
        target, dist = unit.target, unit.dist.name
        match = _TARGET.fullmatch(target)
        if not match:
            raise Broken(
                f"its entry point is {target!r}, which names no module",
                'Write it as name = "package.module" in [project.entry-points.nlplug].',
            )

        def work() -> Any:
            plugin: Any = import_module(match["module"])
            for attribute in (match["attribute"] or "").split("."):
                plugin = getattr(plugin, attribute) if attribute else plugin
            return plugin

        try:
            plugin = run_isolated(work, self._limit)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin that calls sys.exit must not end the program
            raise import_failure(error, target, dist) from error
        contract = hookspecs.CONTRACT_VERSION
        version = getattr(plugin, "NLPLUG_CONTRACT", contract)
        if version != contract:
            outdated = dist if isinstance(version, int) and version < contract else "nlplug"
            raise Broken(
                f"it was written for contract {version!r} (NLPLUG_CONTRACT); "
                f"this nlplug has contract {contract}",
                f"Upgrade {outdated}: nlplug plugins install --upgrade {outdated}",
            )
        return plugin

    def _check_registered(self, plugin: Any, known: list[str]) -> None:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            name = _hook_in(error, known)
            raise Broken(
                f"it implements {name!r}, which is not a hook of nlplug",
                f"{nearest(name, known)}The hooks are {', '.join(known)}. A hook of an optional "
                "package is written @hookimpl(optionalhook=True).",
            ) from error
        callers = self._manager.get_hookcallers(plugin) or []
        for caller in callers:
            found = [impl for impl in caller.get_hookimpls() if impl.plugin is plugin]
            if any(impl.wrapper or impl.hookwrapper for impl in found):
                raise Broken(
                    f"{caller.name} is a wrapper of other plugins' hooks, which nlplug does not "
                    "have",
                    "Write @nlplug.hookimpl without wrapper=True.",
                )
        if not callers:
            raise Broken(
                "it implements no hook",
                "Decorate its functions with @nlplug.hookimpl: " + ", ".join(known) + ".",
            )

    def _hook_names(self) -> list[str]:
        """Names of the hooks that have a specification, sorted."""
        return sorted(
            name
            for name, caller in vars(self._manager.hook).items()
            if isinstance(caller, pluggy.HookCaller) and caller.has_spec()
        )

    def _tasks(self, unit: Unit, plugin: Any) -> tuple[Task, ...]:
        """The tasks of ``plugin``, checked against the contract and its entry points."""
        # This imports pydantic, which listing plugins does not need.
        from nlplug.plugins.contract import check_task, first_failure

        tasks = self._collect(unit, plugin, "register_tasks")
        for task in tasks:
            first_failure(check_task(task))
        names = [task.name for task in tasks]
        kinds = unit.kinds
        for name in names:
            if name not in unit.names or names.count(name) > 1:
                twice = names.count(name) > 1
                problem = " twice" if twice else ", which has no entry point of its own"
                raise Broken(
                    f"it registers the task {name!r}{problem}",
                    f'Add {name} = "{unit.target}" to [project.entry-points.nlplug] of '
                    f"{unit.dist.name}, and register it once.",
                )
            if kinds[name] != TASK:
                raise Broken(
                    f"it registers the task {name!r}, which its metadata says is of kind "
                    f"{kinds[name]!r}",
                    f"Remove {name} from [project.entry-points.'nlplug.kinds'].",
                )
        # If a module has any task, each of its entries is a task or has another kind.
        absent = [name for name in unit.names if kinds[name] == TASK and name not in names]
        if names and absent:
            raise Broken(
                f"its entry point {absent[0]!r} has no task: it registers {', '.join(names)}",
                "Name the entry point after the task.",
            )
        return tuple(tasks)

    def _models(self, unit: Unit, plugin: Any) -> tuple[ModelSpec, ...]:
        """The models of ``plugin``, checked as far as possible without opening them."""
        from nlplug.plugins.contract import check_model, first_failure

        models = self._collect(unit, plugin, "register_models")
        for spec in models:
            first_failure(check_model(spec))
        return tuple(models)

    def _collect(self, unit: Unit, plugin: Any, hook: str) -> Sequence[Any]:
        if not self.implements(plugin, hook):
            return []
        answer = self.call(plugin, unit.dist.name, hook, {})
        if inspect.iscoroutine(answer):
            answer.close()
            raise Broken(f"{hook} is an async function", f"Write def {hook}(), without async.")
        if not isinstance(answer, Iterable):
            given = "None" if answer is None else f"{answer!r} of type {type(answer).__name__}"
            raise Broken(
                f"{hook} returned {given}, which is not a list", f"Return a list from {hook}."
            )
        # A generator runs only here.
        return self._run_hook(lambda: list(answer), hook, unit.dist.name)

    def _run_hook(self, work: Callable[[], list[Any]], hook: str, dist: str) -> list[Any]:
        try:
            return run_isolated(work, self._limit)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin that calls sys.exit must not end the program
            raise hook_failure(error, hook, dist) from error

    def _wrong_signature(self, plugin: Any, known: list[str], error: Exception) -> Broken:
        name = _hook_in(error, known)
        spec = getattr(getattr(self._manager.hook, name, None), "spec", None)
        if spec is None:
            return Broken(str(error).replace("\n", " "), "Compare it with docs/plugins.md.")
        wanted = f"{name}({', '.join(spec.argnames)})"
        function = getattr(plugin, name, None)
        given = f"{name}{inspect.signature(function)}" if callable(function) else name
        return Broken(
            f"{given} has a wrong signature: the hook is {wanted}",
            f"Write def {wanted}: a hook may leave arguments out, but not add or rename any.",
        )


def _hook_in(error: Exception, known: list[str]) -> str:
    """The hook that an error of pluggy is about, which only its message names."""
    found = re.search(r"hook[: ]+'(\w+)'", str(error)) or re.search(r"hook[: ]+(\w+)", str(error))
    if found:
        return found[1]
    return next((name for name in known if name in str(error)), "?")
