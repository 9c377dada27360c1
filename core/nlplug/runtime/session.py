"""ONNX Runtime sessions: built once, shared by all threads, honest about where they run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import BundleError, DeviceFallbackWarning, OptionError, warn
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.device import Device, cuda_built_in, onnxruntime, parse_device

if TYPE_CHECKING:
    import numpy as np

# Measured on MiniLM-L6 with two cores, in fp32 and int8 alike: from 256 to 512 tokens a batch the
# rate differs by 3 %; larger batches leave the cache and pay for padding, and in a stream, where
# a thousand texts at a time are sorted, padding is what decides. A GPU wants its cores filled.
_CPU_BUDGET = 384
_CUDA_BUDGET = 16_384


@dataclass(frozen=True)
class _Signature:
    """What the graph declares; ``int32`` names the inputs that are not int64 as in most graphs."""

    inputs: frozenset[str]
    outputs: tuple[str, ...]
    int32: frozenset[str]


class OnnxExecutor:
    """Runs a graph on ONNX Runtime.

    On the CPU two kinds of session serve two kinds of work. Many batches: one session with a
    single thread, on which as many callers run at once as there are threads; a session's ``run``
    may be called from several threads, so all share one copy of the weights. One batch alone: a
    session over all threads. Each is built when it is first needed, so most processes have one.

    Args:
        path: The ``.onnx`` file.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: Threads to use on the CPU; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is no graph that ONNX Runtime can load.
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
        if threads is not None and threads < 1:
            raise OptionError(f"threads is {threads}.", hint="Give a whole number from 1 up.")
        self.path = path
        self.threads = threads or usable_cpus()
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}
        self._signature: _Signature | None = None
        self._device = parse_device(device)
        if self._device.kind == "cuda":
            self._open_on_cuda(asked=device)

    def _open_on_cuda(self, *, asked: str) -> None:
        """Open on the GPU, or fall back to the CPU and say so."""
        reason = "this ONNX Runtime is built without CUDA"
        if cuda_built_in():
            ort = onnxruntime()
            if hasattr(ort, "preload_dlls"):  # CUDA and cuDNN from their pip wheels
                ort.preload_dlls()
            session = self._build(self._device, threads=self.threads)
            # The wish list proves nothing: only the session says what it really runs on.
            if self._device.provider in session.get_providers():
                self._sessions["cuda"] = session
                return
            reason = "ONNX Runtime could not start its CUDA provider (driver, CUDA or cuDNN)"
        if asked != "auto":
            warn(
                f"Asked for {asked!r}, running on the CPU: {reason}. "
                "Install the GPU build with: pip install 'nlplug[gpu]'",
                DeviceFallbackWarning,
            )
        self._device = Device("cpu")

    @property
    def device(self) -> str:
        """Where the graph really runs: ``cpu`` or ``cuda:N``."""
        return str(self._device)

    @property
    def workers(self) -> int:
        """Batches to run at once: one a thread on the CPU, one on a GPU."""
        return 1 if self._device.kind == "cuda" else self.threads

    @property
    def token_budget(self) -> int:
        """Tokens a batch should hold at most."""
        return _CUDA_BUDGET if self._device.kind == "cuda" else _CPU_BUDGET

    @property
    def input_names(self) -> frozenset[str]:
        """The graph's inputs; opens a session if none is."""
        return self._graph().inputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """The graph's outputs, in its order; opens a session if none is."""
        return self._graph().outputs

    def open(self, *, alone: bool = False) -> None:
        """Build the session that ``run`` with the same ``alone`` uses, if it is not there yet."""
        self._session(alone)

    def run(self, feeds: dict[str, np.ndarray], *, alone: bool = False) -> dict[str, np.ndarray]:
        """Run one batch; see `Executor.run`. Safe to call from several threads."""
        session = self._session(alone)
        signature = self._graph()
        names = signature.outputs
        if signature.int32:
            feeds = {
                name: array.astype("int32") if name in signature.int32 else array
                for name, array in feeds.items()
            }
        values = (
            self._run_bound(session, feeds, names)
            if self._device.kind == "cuda"
            else session.run(None, feeds)
        )
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """Free the sessions; a later ``run`` builds them again."""
        with self._lock:
            self._sessions.clear()

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
        if self._device.kind == "cuda":
            return self._get("cuda", self.threads)
        if alone and self.threads > 1:
            return self._get("alone", self.threads)
        return self._get("shared", 1)

    def _graph(self) -> _Signature:
        if self._signature is None:
            self._session(alone=True)
        if self._signature is None:  # for the type checker: building a session sets it
            raise BundleError(f"{self.path} has no signature.")
        return self._signature

    def _get(self, key: str, threads: int) -> Any:
        session = self._sessions.get(key)
        if session is None:
            with self._lock:
                session = self._sessions.get(key)
                if session is None:
                    session = self._build(self._device, threads=threads)
                    self._sessions[key] = session
        return session

    def _build(self, device: Device, *, threads: int) -> Any:
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4 if device.kind == "cuda" else 3
        # A thread that waits for its next part of a graph spins, for waking it costs more than the
        # part. By default it goes on for some 25 milliseconds, which robs the other session of
        # a core; a millisecond bridges the gaps within a run and between calls in a row.
        options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
        if device.kind == "cpu" and threads == 1:
            # The session that several threads run at once. From its arena each would be handed
            # blocks that another core wrote last: a tenth of the rate in int8. malloc keeps what
            # a thread frees for that thread. Patterns are remembered by shape, and in a stream
            # there is no end of shapes.
            options.enable_cpu_mem_arena = False
            options.enable_mem_pattern = False
        try:
            session = ort.InferenceSession(str(self.path), options, providers=device.providers)
        except Exception as error:
            raise BundleError(
                f"ONNX Runtime cannot load {self.path}: {_first_line(error)}",
                hint="Check the bundle with `nlplug models verify`, or export the model again.",
            ) from error
        inputs = session.get_inputs()
        self._signature = _Signature(
            inputs=frozenset(item.name for item in inputs),
            outputs=tuple(item.name for item in session.get_outputs()),
            int32=frozenset(item.name for item in inputs if item.type == "tensor(int32)"),
        )
        return session


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
