"""ONNX Runtime sessions: built in one place, once, and shared by all threads."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout, suppress
from functools import cached_property, partial
from io import StringIO
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import BundleError, DeviceFallbackWarning, OptionError, warn
from nlplug.models.encryption import decrypted, is_encrypted
from nlplug.models.float_form import in_float
from nlplug.models.graph import with_mapped_weights
from nlplug.models.layout import external_data_of
from nlplug.models.signature import Signature
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.device import Device, onnxruntime, parse_device
from nlplug.runtime.shared import Lazy
from nlplug.settings import MOST_THREADS

if TYPE_CHECKING:
    import numpy as np

# Measured on MiniLM-L6 with two cores, in fp32 and int8: between 256 and 512 tokens per batch the
# throughput differs by 3 %. Larger batches do not fit the cache and hold more padding. A GPU needs
# large batches to use all of its cores.
_CPU_BUDGET = 384
_GPU_BUDGET = 16_384
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
# By kind of device: the name of its library, the extra that installs it, and what else it needs.
_BUILDS = {
    "cuda": ("CUDA", "gpu", "driver, CUDA or cuDNN"),
    "openvino": ("OpenVINO", "openvino", "its libraries, or the driver of the device"),
}


def thread_count(threads: int | None) -> int:
    """The threads to use; None for the CPUs that the process may use.

    Raises:
        OptionError: ``threads`` is no whole number from 1 to `MOST_THREADS`.
    """
    whole = threads is None or isinstance(threads, Integral)
    if not whole or (threads is not None and not 1 <= threads <= MOST_THREADS):
        raise OptionError(
            f"threads is {threads!r}.",
            hint=f"Give a whole number from 1 to {MOST_THREADS}, such as that of the CPU cores.",
        )
    return threads or usable_cpus()


def session_options(threads: int) -> Any:
    """The ``SessionOptions`` that all sessions start from.

    Args:
        threads: Threads within a node.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
    """
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that waits for its next part of a graph spins, because waking it takes longer than
    # the part. By default it spins for about 25 ms, which takes a core from the other session; 1 ms
    # is enough for the gaps within a run and between consecutive calls.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
    return options


def build_session(
    graph: Path | bytes,
    options: Any,
    device: Device | None = None,
    *,
    weights_of: Path | None = None,
) -> Any:
    """Build an ``InferenceSession``; the only place that does.

    Args:
        graph: The ``.onnx`` file, or its content.
        options: Made by `session_options`.
        device: Where it runs; None for the CPU.
        weights_of: For a content, the ``.onnx`` file that it was made of, whose weights may be in
            other files.

    Raises:
        BundleError: ONNX Runtime cannot load the graph.
        BundleLocked: The file is encrypted, and the key is missing or another one.
    """
    source: str | bytes = graph if isinstance(graph, bytes) else str(graph)
    file = graph if isinstance(graph, Path) else weights_of
    encrypted = file is not None and is_encrypted(file)
    if file is not None and encrypted:
        source = graph if isinstance(graph, bytes) else decrypted(file)
        # ONNX Runtime reads them while the session is built, until the end of this function.
        weights = _weights_in_memory(file, options)  # noqa: F841
    elif weights_of is not None:
        folder = str(weights_of.parent.resolve())
        options.add_session_config_entry(_WEIGHTS_FOLDER, folder)
    device, threads = device or Device("cpu"), options.intra_op_num_threads
    providers = device.providers(threads, may_cache=not encrypted)
    if isinstance(graph, Path) and not encrypted and device.kind == "cpu":
        session = _mapped_session(graph.resolve(), options, providers)
        if session is not None:
            return session
    try:
        return onnxruntime().InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime raises classes of its own without a common base
        name = "the graph" if isinstance(graph, bytes) else graph
        raise BundleError(
            f"ONNX Runtime cannot load {name}: {first_line(error)}",
            hint="Check the bundle with `nlplug models verify`, or export the model again.",
        ) from error


def _mapped_session(graph: Path, options: Any, providers: Any) -> Any:
    """A session that shares int8 weights with the file, and so with other processes.

    None if there are none, and also if ONNX Runtime refuses: then the file itself is loaded, or
    named in the error.
    """
    if sys.platform == "win32":  # where a mapped file cannot be replaced
        return None
    with suppress(Exception):
        content = with_mapped_weights(graph)
        if content is not None:
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(graph.parent))
            return onnxruntime().InferenceSession(content, options, providers=providers)
    return None


def _weights_in_memory(graph: Path, options: Any) -> list[bytes]:
    """Hand ONNX Runtime the encrypted weights outside an encrypted graph, decrypted."""
    names = external_data_of(graph.name, [path.name for path in graph.parent.iterdir()])
    contents = [decrypted(graph.with_name(name)) for name in names]
    if names:
        sizes = [len(content) for content in contents]
        options.add_external_initializers_from_files_in_memory(names, contents, sizes)
    return contents


def _load_libraries() -> str:
    """Load CUDA and cuDNN from their pip wheels; returns the error of the first that is missing.

    ONNX Runtime prints it to where a command prints its answers.
    """
    load = getattr(onnxruntime(), "preload_dlls", None)
    if load is None:
        return ""
    with redirect_stdout(StringIO()) as printed:
        load()
    failed = (line for line in printed.getvalue().splitlines() if line.startswith("Failed"))
    return next(failed, "").partition(": ")[2][:200]


def first_line(error: Exception) -> str:
    """The first line of an error, of bounded length: ONNX Runtime appends stack traces."""
    return str(error).strip().split("\n")[0][:300]


class OnnxExecutor:
    """Runs a graph on ONNX Runtime.

    On the CPU two kinds of session serve two kinds of work. Many batches: one session with a
    single thread, on which as many callers run at once as there are threads; a session's ``run``
    may be called from several threads, so all share one copy of the weights. One batch alone: a
    session over all threads. Each is built when it is first needed, so most processes have one.

    Args:
        path: The ``.onnx`` file.
        device: A name that `parse_device` knows.
        threads: Threads to use on the CPU; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is not a graph that ONNX Runtime can load.
        DeviceError: The device name is unknown.
        OptionError: ``threads`` is below 1.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.path = path
        self.threads = thread_count(threads)
        self._device = parse_device(device)
        self._alone = Lazy(partial(self._build, self.threads))
        if self._device.kind != "cpu":
            self._open_on_device(asked=device)
        several = self._device.on_cpu and self.threads > 1
        self._shared = Lazy(partial(self._build, 1)) if several else self._alone

    def _open_on_device(self, *, asked: str) -> None:
        """Open on the GPU or with OpenVINO, or fall back to the CPU and warn."""
        device = self._device
        name, extra, parts = _BUILDS[device.kind]
        reason = f"this ONNX Runtime is built without {name}"
        advice = f"Install the build with {name}"
        if device.built_in:
            missing = _load_libraries() if device.kind == "cuda" else ""
            # The list of providers proves nothing: only the session says what it really runs on.
            if device.provider in self._alone.get().get_providers():
                return
            self._alone.clear()
            reason = f"ONNX Runtime could not start its {name} provider ({missing or parts})"
            advice = "Install a driver, if the machine has none, and the libraries"
        if asked != "auto":
            warn(
                f"Asked for {asked!r}, running on the CPU: {reason}. "
                f"{advice} with: pip install 'nlplug[{extra}]'",
                DeviceFallbackWarning,
            )
        self._device = Device("cpu")

    @property
    def device(self) -> str:
        """Where the graph really runs: ``cpu``, ``cuda:N`` or ``openvino:cpu`` and the like."""
        return str(self._device)

    @property
    def workers(self) -> int:
        """Number of batches to run at the same time: one per thread on the CPU, one elsewhere."""
        return self.threads if self._device.on_cpu else 1

    @property
    def token_budget(self) -> int:
        """Tokens a batch should hold at most."""
        return _CPU_BUDGET if self._device.on_cpu else _GPU_BUDGET

    @cached_property
    def signature(self) -> Signature:
        """What the graph declares; opens no session.

        Raises:
            BundleError: The file is not an ONNX graph.
        """
        return Signature.read(self.path)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The graph's outputs, in its order."""
        return tuple(self.signature.outputs)

    @property
    def open_sessions(self) -> tuple[str, ...]:
        """The kinds of session that are open: ``shared``, ``alone``."""
        kinds = {"shared": self._shared, "alone": self._alone}
        return tuple(name for name, session in kinds.items() if session.built)

    def open(self, *, alone: bool = False) -> None:
        """Build the session that ``run`` with the same ``alone`` uses, if it is not there yet."""
        self._session(alone)

    def run(self, feeds: dict[str, np.ndarray], *, alone: bool = False) -> dict[str, np.ndarray]:
        """Run one batch; see `Executor.run`. Safe to call from several threads."""
        session = self._session(alone)
        names = self.output_names
        try:
            values = (
                self._run_bound(session, feeds, names)
                if self._device.kind == "cuda"
                else session.run(None, feeds)
            )
        except Exception as error:  # onnxruntime raises classes of its own without a common base
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise BundleError(
                f"ONNX Runtime cannot run {self.path} with the inputs {shapes}: "
                f"{first_line(error)}",
                hint="Export the model again with `nlplug export`.",
            ) from error
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """Free the sessions; a later ``run`` builds them again."""
        self._shared.clear()
        self._alone.clear()

    def _run_bound(
        self, session: Any, feeds: dict[str, np.ndarray], names: tuple[str, ...]
    ) -> list[np.ndarray]:
        """Run with IO binding, so that inputs and outputs cross to the device once."""
        ort = onnxruntime()
        kind, index = self._device.kind, self._device.index
        binding = session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, kind, index))
        for name in names:
            binding.bind_output(name, kind, index)
        session.run_with_iobinding(binding)
        values: list[np.ndarray] = binding.copy_outputs_to_cpu()
        return values

    def _session(self, alone: bool) -> Any:
        return (self._alone if alone else self._shared).get()

    def _build(self, threads: int) -> Any:
        options = session_options(threads)
        if self._device.kind == "cuda":
            options.log_severity_level = 4
            graph = in_float(self.path)
            if graph is not None:
                return build_session(graph, options, self._device, weights_of=self.path)
        elif threads < self.threads:
            # Several threads run this session at once. Its arena would hand them memory that
            # another core wrote last, which costs a tenth of the throughput in int8; malloc keeps
            # memory per thread. Memory patterns are stored per shape, and a stream has any number
            # of shapes.
            options.enable_cpu_mem_arena = False
            options.enable_mem_pattern = False
        return build_session(self.path, options, self._device)
