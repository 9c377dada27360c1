"""Environments of their own, for engines that cannot live in the benchmark's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from decoding import FAILED


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: Its folder, and how contenders name it.
        packages: What pip installs there.
    """

    name: str
    packages: tuple[str, ...]

    def folder(self, work: Path) -> Path:
        return work / "environments" / self.name

    def install(self, work: Path) -> None:
        """Make it, unless it is there; where that fails, a file says why."""
        folder = self.folder(work)
        failed = folder.with_name(f"{self.name}{FAILED}")
        done = folder / "complete"
        if done.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        failed.unlink(missing_ok=True)
        packages = [package.format(onnxruntime=version("onnxruntime")) for package in self.packages]
        pip = [sys.executable, "-m", "pip", "--python", str(interpreter(self.name, work))]
        try:
            _call([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            _call([*pip, "install", "--quiet", *packages])
        except RuntimeError as error:
            failed.write_text(f"its environment cannot be made: {error}\n", encoding="utf-8")
        else:
            done.touch()


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("ctranslate2", ("ctranslate2==4.8.0",)),
        Environment("openvino", ("openvino==2026.4.1", "nncf==3.4.0", "onnx", "tokenizers")),
        # Its builder needs a newer transformers than the export does.
        Environment(
            "genai",
            (
                "onnxruntime-genai==0.18.0",
                "onnxruntime=={onnxruntime}",
                "onnx_ir",
                "transformers>=5,<6",
            ),
        ),
    )
}


def ready(name: str, work: Path) -> bool:
    """Whether an environment is there."""
    return not name or (work / "environments" / name / "complete").exists()


def interpreter(name: str, work: Path) -> Path:
    """The Python of an environment; "" is the benchmark's own."""
    if not name:
        return Path(sys.executable)
    return work / "environments" / name / "bin" / "python"


def packages_of(name: str, work: Path) -> str:
    """The folder of an environment's packages; "" is the benchmark's own.

    One environment borrows from another what it lacks by appending this to ``sys.path``: the
    converters need PyTorch, which is too large to install three times.
    """
    if not name:
        return sysconfig.get_paths()["purelib"]
    library = work / "environments" / name / "lib"
    return str(next(library.glob("python3*/site-packages"), library))


def _call(command: list[str]) -> None:
    """Run it.

    Raises:
        RuntimeError: It failed; with the last line that it wrote.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
        raise RuntimeError(lines[-1][:300])
