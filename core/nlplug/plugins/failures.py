"""Why a plugin was left out, for the person who installed it or wrote it."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path

from nlplug.errors import NlplugError, causes
from nlplug.plugins.isolation import StillRunning
from nlplug.plugins.metadata import scan

_CORE = Path(__file__).parent.parent


class Broken(Exception):
    """A plugin that cannot be used; the host turns it into a ``PluginError`` that names it.

    Args:
        cause: What is wrong.
        hint: What to do about it.
    """

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint


def nearest(word: str, known: Iterable[str]) -> str:
    """``Did you mean 'x'? `` for the nearest known word; empty if none is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def import_failure(error: BaseException, target: str, dist: str) -> Broken:
    """Why importing ``target`` failed."""
    module = target.partition(":")[0]
    if isinstance(error, SystemExit):
        where = _where(error)
        return Broken(f"importing {module} called sys.exit({error.code!r}){where}", _report(dist))
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name
        cause = f"importing {module} failed: {describe(error)}"
        if module == missing or module.startswith(missing + "."):
            return Broken(
                cause,
                f"The entry point names a module that {dist} does not have. Reinstall it, or "
                "correct [project.entry-points.nlplug] in its pyproject.toml.",
            )
        return Broken(
            cause,
            f"Install the package that has {missing.split('.')[0]!r}, and add it to the "
            f"dependencies of {dist}.",
        )
    return _failure(f"importing {module}", "failed:", error, dist)


def hook_failure(error: BaseException, hook: str, dist: str) -> Broken:
    """Why a call of ``hook`` failed."""
    return _failure(hook, "raised", error, dist)


def unexpected(error: BaseException, dist: object) -> Broken:
    """A failure of a plugin's own code where none was expected."""
    broken = Broken(f"loading it failed: {describe(error)}", f"Report it to the authors of {dist}.")
    broken.__cause__ = error
    return broken


def failed_plugin(error: BaseException) -> str | None:
    """The distribution of the plugin whose code raised an error, or called what raised it.

    None if no code of a plugin was running.
    """
    names = {
        entry.target.partition(":")[0].partition(".")[0]: entry.dist for entry in scan().entries
    }
    for one in causes(error):
        for frame, _ in reversed(list(traceback.walk_tb(one.__traceback__))):
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package in names:
                return names[package].name
    return None


def describe(error: BaseException) -> str:
    """The error and where it was raised: ``ValueError: message (package/file.py, line 3)``."""
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1] + _where(error)


def _failure(what: str, verb: str, error: BaseException, dist: str) -> Broken:
    if isinstance(error, StillRunning):
        own = [frame for frame in error.stack if _is_of_plugin(frame) and not _is_python(frame)]
        where = f" ({_place(own[0])})" if own else ""
        return Broken(
            f"{what} did not finish within {error.limit:g} s{where}",
            f"NLPLUG_PLUGIN_TIMEOUT changes the limit, 0 removes it. {_report(dist)}",
        )
    if isinstance(error, NlplugError):
        return Broken(
            f"{what} {verb.removesuffix(':')}: {error.message}", error.hint or _report(dist)
        )
    return Broken(f"{what} {verb} {describe(error)}", _report(dist))


def _report(dist: str) -> str:
    return f"Report it to the authors of {dist}, or remove it: nlplug plugins uninstall {dist}"


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    return f" ({_place(own[-1])})" if own and _is_of_plugin(own[-1]) else ""


def _is_of_plugin(frame: traceback.FrameSummary) -> bool:
    return "importlib" not in frame.filename and not Path(frame.filename).is_relative_to(_CORE)


def _is_python(frame: traceback.FrameSummary) -> bool:
    """Whether the code is of the standard library, where a plugin may wait."""
    file = Path(frame.filename)
    return (
        file.is_relative_to(Path(traceback.__file__).parent) and "site-packages" not in file.parts
    )


def _place(frame: traceback.FrameSummary) -> str:
    file = Path(frame.filename)
    return f"{file.parent.name}/{file.name}, line {frame.lineno}"
