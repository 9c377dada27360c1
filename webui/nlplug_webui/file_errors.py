"""Errors about an uploaded file, without what only the command line has."""

from __future__ import annotations

import re
from pathlib import Path

from nlplug.errors import NlplugError

# Pattern in a hint → what the pages say: they have no options of the command line.
_OPTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), told)
    for pattern, told in (
        (r", or name the format by --format\b", ""),
        (r", or give --format jsonl; --format txt takes each line as a text\b", ""),
        (r"\bname yours by --(?:text|label)-column\b", "rename yours"),
        (r", or name it with --text-column\b", ""),
        (r", or name its encoding by --encoding\b", ""),
        (r", or name its encoding, such as --encoding \w+", ""),
        (r"; --delimiter names another one\b", ""),
        (r"\bGive one of them, as in --delimiter (.{1,8})\.$", r"Save it with one, such as \1."),
        (r"\bGive the tags in the order of their ids by --labels, or write", "Write"),
        (r"; --source and --target, .{1,80} name its languages or columns\b", ""),
    )
)


def about_upload(error: NlplugError, path: Path) -> NlplugError:
    """The error, changed: the file has its name alone, and the hint is for a page.

    Args:
        error: The error.
        path: The file on the server.
    """
    error.message = error.message.replace(str(path), path.name)
    hint = error.hint or ""
    for pattern, told in _OPTIONS:
        hint = pattern.sub(told, hint)
    error.hint = hint.replace(str(path), path.name) or None
    return error
