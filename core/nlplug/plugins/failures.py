"""Why a plugin was left out, in words for the person who installed it or wrote it."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path

from nlplug.errors import NlplugError


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
    """``Did you mean 'x'? `` for the nearest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def import_failure(error: BaseException, target: str, dist: str) -> Broken:
    """Why importing ``target`` failed."""
    module = target.partition(":")[0]
    report = f"Report it to the authors of {dist}, or remove it: nlplug plugins uninstall {dist}"
    if isinstance(error, NlplugError):
        return Broken(f"importing {module} failed: {error.message}", error.hint or report)
    if isinstance(error, SystemExit):
        return Broken(f"importing {module} called sys.exit({error.code!r}){_place(error)}", report)
    cause = f"importing {module} failed: {describe(error)}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name
        if module == missing or module.startswith(missing + "."):
            return Broken(
                cause,
                f"The entry point names a module that {dist} does not have; reinstall it, or "
                "mend [project.entry-points.nlplug] in its pyproject.toml.",
            )
        return Broken(
            cause,
            f"Install the package that has {missing.split('.')[0]!r}, and add it to the "
            f"dependencies of {dist}.",
        )
    return Broken(cause, report)


def hook_failure(error: BaseException, hook: str, dist: str) -> Broken:
    """Why a call of ``hook`` failed."""
    report = f"Report it to the authors of {dist}, or remove it: nlplug plugins uninstall {dist}"
    if isinstance(error, NlplugError):
        return Broken(f"{hook} raised: {error.message}", error.hint or report)
    return Broken(f"{hook} raised {describe(error)}", report)


def unexpected(error: BaseException, dist: object) -> Broken:
    """A failure of a plugin's own code in a place where none was to be expected."""
    broken = Broken(f"loading it failed: {describe(error)}", f"Report it to the authors of {dist}.")
    broken.__cause__ = error
    return broken


def describe(error: BaseException) -> str:
    """``ValueError: message (file.py, line 3)``, the innermost place of the error."""
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1] + _place(error)


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    if not own or Path(own[-1].filename).is_relative_to(Path(__file__).parent.parent):
        return ""
    file = Path(own[-1].filename)
    return f" ({file.parent.name}/{file.name}, line {own[-1].lineno})"
