"""A session of a decoder graph whose errors name the file and are ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlplug.errors import BundleError
from nlplug.runtime.session import first_line


class GraphSession:
    """An ``InferenceSession`` of one file, for runs with IO binding.

    Args:
        session: The ``InferenceSession``.
        path: The file.
    """

    def __init__(self, session: Any, path: Path) -> None:
        self._session = session
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def get_inputs(self) -> Any:
        """The declared inputs."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """The declared outputs."""
        return self._session.get_outputs()

    def get_modelmeta(self) -> Any:
        """The metadata of the graph."""
        return self._session.get_modelmeta()

    def io_binding(self) -> Any:
        """A new binding of inputs and outputs."""
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        """Run the graph.

        Raises:
            BundleError: ONNX Runtime cannot run it with these inputs.
        """
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime raises classes of its own without a common base
            raise BundleError(
                f"ONNX Runtime cannot run {self._path}: {first_line(error)}",
                hint="Export the model again with `nlplug export`.",
            ) from error
