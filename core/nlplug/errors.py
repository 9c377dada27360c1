"""All errors that nlplug raises.

A message says what is wrong and with which value; ``hint`` says what to do. The same error is
raised in Python, printed as two lines by the command line (which exits with ``exit_code``) and
returned as JSON by the HTTP server (with ``http_status``).
"""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, ClassVar, Self

from nlplug.heard_warnings import hear


class NlplugError(Exception):
    """Base of all errors of this package.

    Args:
        message: What is wrong, with the value.
        hint: What the user can do, or None.
    """

    exit_code: int = 1
    http_status: ClassVar[int] = 500
    error_type: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:  # without calling an __init__ that needs more
        return type(self).__new__, (type(self), *self.args), vars(self)

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, Any]:
        """The JSON body of the HTTP server's response."""
        body = {"error": self.message, "error_type": self.error_type}
        return body | {"hint": self.hint} if self.hint else body


class InputError(NlplugError, ValueError):
    """An input that the task cannot process: of the wrong type, empty, or malformed.

    It is also a ``ValueError``, which the pipelines of transformers raise.

    Args:
        message: What is wrong, with the value.
        hint: What the user can do, or None.
        place: Where the input is, such as ``file:line``; the message begins with it.
    """

    exit_code = 2
    http_status = 422
    error_type = "validation"

    def __init__(self, message: str, *, hint: str | None = None, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self._what = message

    def at(self, place: str) -> Self:
        """The same error with another place, instead of the one that it has."""
        return type(self)(self._what, hint=self.hint, place=place)


class OptionError(InputError):
    """An option that does not exist, or a value that is out of bounds."""


class UnknownOption(OptionError, TypeError):
    """An argument that a task does not have; also a ``TypeError``, as in transformers."""


class MissingAttribute(NlplugError, AttributeError):
    """An attribute that the pipelines of transformers have, and that has no meaning here."""


class ForeignTextError(InputError):
    """A text in a language that the model does not know, if the option on_foreign is error."""

    error_type = "foreign_text"


class DataError(InputError):
    """A data file that cannot be read; the message names the file and the line."""


class MissingExtra(NlplugError, ImportError):
    """An optional dependency is not installed; the hint has the pip command.

    It is also an ``ImportError``, which transformers raises.
    """

    exit_code = 3
    http_status = 501
    error_type = "missing_extra"


class UnknownTask(NlplugError, KeyError, RuntimeError):
    """No installed plugin offers a task of this name, or no task is named.

    It is also a ``KeyError`` and a ``RuntimeError``, which transformers raises in these two cases.
    """

    exit_code = 2
    http_status = 404
    error_type = "not_found"


class PluginError(NlplugError):
    """A plugin cannot be loaded, or does not keep the plugin contract."""

    exit_code = 4
    error_type = "plugin"


class ModelNotFound(NlplugError, OSError):
    """No model has this name: no folder, no packaged model, none in the cache or on the Hub.

    It is also an ``OSError``, which transformers raises.
    """

    exit_code = 5
    http_status = 404
    error_type = "not_found"


class OfflineError(ModelNotFound):
    """A model would have to be downloaded, but network access is turned off."""

    error_type = "offline"


class UploadError(NlplugError):
    """A model cannot be uploaded to the Hub."""


class BundleError(NlplugError):
    """A model bundle that cannot be used."""

    exit_code = 6
    error_type = "bundle"


class BundleIncomplete(BundleError, OSError):
    """A file or the manifest is missing: an export or download was interrupted.

    It is also an ``OSError``, which transformers raises for a folder without a model.
    """


class BundleCorrupt(BundleError):
    """A file does not have the sha256 of the manifest, or cannot be parsed."""


class BundleVersionError(BundleError):
    """The manifest was written by a newer nlplug than this one."""


class BundleUntrusted(BundleError):
    """A model without a valid signature of the required key."""


class BundleLocked(BundleError):
    """An encrypted model, and its key is not given or is another one."""


class DeviceError(NlplugError, RuntimeError, ValueError):
    """A device name that does not exist, or a device that cannot be used.

    It is also a ``RuntimeError`` and a ``ValueError``, which torch and transformers raise.
    """

    exit_code = 2
    http_status = 400
    error_type = "device"


class TrainingError(NlplugError):
    """Training cannot start or continue."""


class TrainingInterrupted(TrainingError):
    """Training was interrupted by a signal; the hint says how to continue.

    Args:
        message: What is saved.
        hint: How to continue.
        signal: Number of the signal; the exit code is 128 plus this number.
    """

    error_type = "interrupted"

    def __init__(self, message: str, *, hint: str | None = None, signal: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal


class NothingLearned(TrainingError):
    """A trained model is not better than an answer that needs no model; it is not exported."""

    exit_code = 8
    error_type = "nothing_learned"


class ExportError(NlplugError):
    """A model cannot be exported to ONNX."""


class GateRefused(ExportError):
    """An exported precision lost more quality than allowed; the message has the numbers."""

    exit_code = 7


class Overloaded(NlplugError):
    """The server's queue is full; ``retry_after`` is the seconds after which to try again."""

    http_status = 429
    error_type = "overloaded"
    retry_after = 1


class QueueTooLong(Overloaded):
    """The requests that wait already would take longer than the server's time limit."""

    http_status = 503


class RequestTooLarge(InputError):
    """The body of a request is larger than the server accepts."""

    http_status = 413
    error_type = "too_large"


class UnsupportedEncoding(InputError):
    """The body of a request is compressed in a way that the server does not know."""

    http_status = 415
    error_type = "unsupported_encoding"


class UnknownHost(InputError):
    """A request names a host that this server is not known by."""

    http_status = 421
    error_type = "unknown_host"


class DiskFull(NlplugError):
    """The disk, or the quota or file size limit of the user, has no room left."""

    http_status = 507
    error_type = "disk_full"


class RequestTimeout(NlplugError):
    """A request was not answered within the server's time limit."""

    http_status = 504
    error_type = "timeout"


class BodyTimeout(RequestTimeout):
    """The body of a request did not arrive within the server's time limit."""

    http_status = 408


class Unauthorized(NlplugError):
    """The server requires an API key; the request has none or a wrong one."""

    http_status = 401
    error_type = "unauthorized"


class ServerError(NlplugError):
    """The server cannot start, for example because its port is in use."""

    exit_code = 2


class DeviceFallbackWarning(RuntimeWarning):
    """The session runs on another device than the requested one."""


class ForeignTextWarning(UserWarning):
    """Texts are in a language that the model does not know, so their answers may be wrong."""


class BatchDependenceWarning(RuntimeWarning):
    """The scores of a text depend on the other texts of its batch."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the caller: the innermost frame outside nlplug and its plugins.

    Args:
        message: What happened, and what to do.
        category: The class of the warning.
    """
    hear(message)
    frame = sys._getframe(1)
    while _is_ours(frame) and frame.f_back is not None:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_ours(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package == "nlplug" or package.startswith("nlplug_")


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Other refusals of the operating system, none of which is a fault of a program, and what to do.
_REFUSALS = {
    errno.EACCES: "Give the user of this process permission, or choose another place.",
    errno.EPERM: "Give the user of this process permission, or choose another place.",
    errno.EROFS: "Choose a place that can be written, for example by TMPDIR or NLPLUG_CACHE.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or close other pipelines.",
    errno.ENFILE: "Close other programs, or raise the limit of open files of the system.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ELOOP: "Remove the symbolic link that leads to itself.",
    errno.EIO: "The disk or the network drive may be damaged or gone; look into the system's log.",
    errno.ESTALE: "The network drive has changed; start again.",
}
# What torch.save raises for any of them, while it writes and when it closes the file.
_TORCH = re.compile(r"PytorchStreamWriter failed writing|enforce fail at inline_container")


def _cause(error: BaseException) -> tuple[int | None, str]:
    """The number of the operating system, and the file as messages show it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno, f" at {error.filename}" if error.filename else ""
    text = str(error)
    if _TORCH.search(text):
        return errno.ENOSPC, ""
    return next((one for one in _NO_SPACE if os.strerror(one) in text), None), ""


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, the one that led to it, and so on; each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen.add(id(current))
        current = current.__cause__ or current.__context__


def explained(error: BaseException) -> NlplugError | None:
    """What an error of the operating system, or a lack of memory, means for a user.

    None where we do not know.

    Libraries that write files themselves (safetensors, torch) raise errors of their own, which only
    tell the cause in their text.
    """
    if isinstance(error, MemoryError):
        return NlplugError(
            "There is not enough memory.",
            hint="Give fewer or shorter inputs, or free some memory: close other programs and "
            "pipelines.",
        )
    number, where = _cause(error)
    if number == errno.EFBIG:
        return DiskFull(
            f"The file system or a limit of the user allows no larger file{where} "
            f"({os.strerror(number)}).",
            hint="Raise the limit (ulimit -f), or set TMPDIR, NLPLUG_CACHE or the output to "
            "another disk.",
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"The disk is full{where} ({os.strerror(number)}).",
            hint="Free some space, or set TMPDIR, NLPLUG_CACHE or the output to another disk.",
        )
    if isinstance(error, OSError) and number in _REFUSALS and not isinstance(error, NlplugError):
        return NlplugError(f"{os.strerror(number)}{where}.", hint=_REFUSALS[number])
    return None
