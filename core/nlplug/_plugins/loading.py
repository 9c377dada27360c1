"""The rules that one plugin has to pass: importing, contract version, hooks, tasks, models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

from nlplug._plugins.failures import Broken, hook_failure, import_failure, nearest
from nlplug._plugins.metadata import TASK, Dist, Entry
from nlplug._plugins.records import Plugin, State
from nlplug.hookspecs import CONTRACT_VERSION

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
        error: The exception behind the failure, where there is one.
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
        """The name under which pluggy knows it."""
        return f"{self.dist.name}/{self.target}"

    @property
    def kinds(self) -> dict[str, str]:
        return {entry.name: entry.kind for entry in self.entries}


def group(entries: Sequence[Entry]) -> list[Unit]:
    """The units that a sequence of entries makes, in the order of their first entries."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.dist.name, entry.target), []).append(entry)
    return [Unit(found) for found in groups.values()]


def import_plugin(target: str, dist: str) -> Any:
    """The module (or its attribute) that an entry point names.

    Raises:
        Broken: It cannot be imported, or was written for another version of the contract.
    """
    match = _TARGET.fullmatch(target)
    if not match:
        raise Broken(
            f"its entry point is {target!r}, which names no module",
            'Write it as name = "package.module" in [project.entry-points.nlplug].',
        )
    try:
        plugin: Any = import_module(match["module"])
        for attribute in (match["attribute"] or "").split("."):
            plugin = getattr(plugin, attribute) if attribute else plugin
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin that calls sys.exit must not end the program
        raise import_failure(error, target, dist) from error
    version = getattr(plugin, "NLPLUG_CONTRACT", CONTRACT_VERSION)
    if version != CONTRACT_VERSION:
        older = isinstance(version, int) and version < CONTRACT_VERSION
        raise Broken(
            f"it was written for contract {version!r} (NLPLUG_CONTRACT); "
            f"this nlplug has contract {CONTRACT_VERSION}",
            f"Upgrade {dist if older else 'nlplug'}: "
            f"nlplug plugins install --upgrade {dist if older else 'nlplug'}",
        )
    return plugin


def register(manager: pluggy.PluginManager, key: str, plugin: Any) -> None:
    """Register the hooks of ``plugin``; on failure the manager is as it was before.

    Raises:
        Broken: A hook does not exist, has a wrong signature or lacks its decorator.
    """
    known = hook_names(manager)
    for name in known:
        function = getattr(plugin, name, None)
        own = inspect.isfunction(function) and function.__module__ == plugin.__name__
        if inspect.ismodule(plugin) and own and not hasattr(function, "nlplug_impl"):
            raise Broken(
                f"the function {name} is not decorated", f"Write @nlplug.hookimpl above {name}."
            )
    try:
        manager.register(plugin, name=key)
    except pluggy.PluginValidationError as error:
        raise _wrong_signature(manager, plugin, known, error) from error
    except ValueError as error:
        manager.unregister(name=key)
        raise Broken(
            f"{key.partition('/')[2]} is registered already by another distribution",
            "Two distributions name the same module in their entry points; uninstall one.",
        ) from error
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        manager.unregister(name=key)
        name = _hook_in(error, known)
        raise Broken(
            f"it implements {name!r}, which is no hook of nlplug",
            f"{nearest(name, known)}The hooks are {', '.join(known)}. A hook of an optional "
            "package is written @hookimpl(optionalhook=True).",
        ) from error
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if any(i.plugin is plugin and (i.wrapper or i.hookwrapper) for i in caller.get_hookimpls()):
            manager.unregister(name=key)
            raise Broken(
                f"{caller.name} is a wrapper of other plugins' hooks, which nlplug does not have",
                "Write @nlplug.hookimpl without wrapper=True.",
            )
    if not callers:
        manager.unregister(name=key)
        raise Broken(
            "it implements no hook",
            "Decorate its functions with @nlplug.hookimpl: " + ", ".join(known) + ".",
        )


def hook_names(manager: pluggy.PluginManager) -> list[str]:
    """Names of the hooks that have a specification, sorted."""
    return sorted(
        name
        for name, caller in vars(manager.hook).items()
        if isinstance(caller, pluggy.HookCaller) and caller.has_spec()
    )


def implements(manager: pluggy.PluginManager, plugin: Any, hook: str) -> bool:
    """Whether the registered ``plugin`` implements ``hook``."""
    caller = getattr(manager.hook, hook, None)
    return caller is not None and any(impl.plugin is plugin for impl in caller.get_hookimpls())


def call_one(
    manager: pluggy.PluginManager, plugin: Any, dist: str, hook: str, arguments: dict[str, Any]
) -> Any:
    """Call one hook of one plugin.

    Raises:
        Broken: The hook raised.
    """
    others = [other for _, other in manager.list_name_plugin() if other is not plugin]
    try:
        answers = manager.subset_hook_caller(hook, others)(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin that calls sys.exit must not end the program
        raise hook_failure(error, hook, dist) from error
    return answers[0] if answers else None


def collect_tasks(manager: pluggy.PluginManager, unit: Unit, plugin: Any) -> tuple[Task, ...]:
    """The tasks that ``plugin`` registers, checked against the contract and its entry points."""
    # Pydantic comes with the contract's checks, so that listing plugins does without it.
    from nlplug._plugins.contract import check_task, first_failure

    tasks = _collect(manager, unit, plugin, "register_tasks")
    for task in tasks:
        first_failure(check_task(task))
    names = [task.name for task in tasks]
    kinds = unit.kinds
    for name in names:
        if name not in unit.names or names.count(name) > 1:
            raise Broken(
                f"it registers the task {name!r}"
                + (" twice" if names.count(name) > 1 else ", which has no entry point of its own"),
                f'Add {name} = "{unit.target}" to [project.entry-points.nlplug] of '
                f"{unit.dist.name}, and register it once.",
            )
        if kinds[name] != TASK:
            raise Broken(
                f"it registers the task {name!r}, which its metadata says is of kind "
                f"{kinds[name]!r}",
                f"Remove {name} from [project.entry-points.'nlplug.kinds'].",
            )
    # Entries of one module: those that are no task say so, as soon as there is any task.
    absent = [name for name in unit.names if kinds[name] == TASK and name not in names]
    if names and absent:
        raise Broken(
            f"its entry point {absent[0]!r} has no task: it registers {', '.join(names)}",
            "Name the entry point after the task.",
        )
    return tuple(tasks)


def collect_models(manager: pluggy.PluginManager, unit: Unit, plugin: Any) -> tuple[ModelSpec, ...]:
    """The models that ``plugin`` registers, checked as far as possible without opening them."""
    from nlplug._plugins.contract import check_model, first_failure

    models = _collect(manager, unit, plugin, "register_models")
    for spec in models:
        first_failure(check_model(spec))
    return tuple(models)


def _collect(manager: pluggy.PluginManager, unit: Unit, plugin: Any, hook: str) -> Sequence[Any]:
    if not implements(manager, plugin, hook):
        return []
    answer = call_one(manager, plugin, unit.dist.name, hook, {})
    if inspect.iscoroutine(answer):
        answer.close()
        raise Broken(f"{hook} is an async function", f"Write def {hook}(), without async.")
    if not isinstance(answer, Iterable):
        given = "None" if answer is None else f"{answer!r} of type {type(answer).__name__}"
        raise Broken(f"{hook} returned {given}, which is no list", f"Return a list from {hook}.")
    try:
        return list(answer)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a generator raises only here
        raise hook_failure(error, hook, unit.dist.name) from error


def _wrong_signature(
    manager: pluggy.PluginManager, plugin: Any, known: list[str], error: Exception
) -> Broken:
    name = _hook_in(error, known)
    spec = getattr(getattr(manager.hook, name, None), "spec", None)
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
    """The hook that pluggy's message is about: it carries the name in its text alone."""
    found = re.search(r"hook[: ]+'(\w+)'", str(error)) or re.search(r"hook[: ]+(\w+)", str(error))
    if found:
        return found[1]
    return next((name for name in known if name in str(error)), "?")
