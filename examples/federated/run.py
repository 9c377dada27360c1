"""Federated training on this machine: a server and clients on loopback, then the export gate.

    python run.py --data reviews.csv --gate dev.csv --base CHECKPOINT --output my-model

The rows are split into one part per client. Each client is a process that reads its own part only.
The averaged checkpoint is exported behind the gate, as any other.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nlplug.data import read_rows

APP = Path(__file__).parent
_WAIT = 60


def split(data: Path, clients: int, folder: Path) -> list[Path]:
    """Deal the rows of a file out to one file per client."""
    rows = [row.values for row in read_rows(data)]
    files = []
    for number in range(clients):
        files.append(folder / f"client-{number + 1}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows[number::clients])
    return files


def free_ports(count: int) -> list[int]:
    """Ports that no process listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a process listens on a port."""
    end = time.monotonic() + _WAIT
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    sys.exit(f"{log.name} did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


def train(files: Sequence[Path], work: Path, settings: dict[str, str | int | float]) -> None:
    """Start server and clients, run all rounds, and stop them."""
    port, *own = free_ports(1 + len(files))
    home = work / "flwr"
    home.mkdir(parents=True, exist_ok=True)
    connection = (
        f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\n'
        "insecure = true\n"
    )
    (home / "config.toml").write_text(connection, encoding="utf-8")
    tools = Path(sys.executable).parent
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    environment = {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "OMP_NUM_THREADS": "1",  # the clients run side by side
        "PATH": path,
    }
    with ExitStack() as stack:

        def start(name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
            log = work / f"{name}.log"
            output = stack.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [str(tools / arguments[0]), *arguments[1:]],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process, log

        server = start(
            "server",
            *("flower-superlink", "--insecure", "--disable-runtime-dependency-installation"),
            *("--host", "127.0.0.1", "--port", str(port)),
        )
        wait_for(port, *server)
        for number, (file, local) in enumerate(zip(files, own, strict=True), 1):
            start(
                f"client-{number}",
                *("flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}"),
                *("--host", "127.0.0.1", "--port", str(local)),
                *("--node-config", f"data={json.dumps(str(file.resolve()))}"),
            )
        values = " ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
        subprocess.run(
            [str(tools / "flwr"), "run", str(APP), "here", "--stream", "--run-config", values],
            env=environment,
            check=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Rows to train on.")
    parser.add_argument("--gate", type=Path, required=True, help="Rows for the export gate.")
    parser.add_argument("--base", required=True, help="Folder or Hub id of an encoder.")
    parser.add_argument("--output", type=Path, required=True, help="Folder of the new model.")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--labels", default="negative,positive", help="Labels, agreed on by all.")
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="Passes of a client per round.")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    given = parser.parse_args()
    work = given.output.with_name(given.output.name + ".federated")
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = (work / "checkpoint").resolve()
    base = Path(given.base)
    settings: dict[str, str | int | float] = {
        "task": given.task,
        "base": str(base.resolve()) if base.exists() else given.base,
        "labels": given.labels,
        "output": str(checkpoint),
        "rounds": given.rounds,
        "clients": given.clients,
        "epochs": given.epochs,
        "learning-rate": given.learning_rate,
    }
    train(split(given.data, given.clients, work), work, settings)
    if not (checkpoint / "config.json").is_file():
        sys.exit(f"No checkpoint was saved; see the logs in {work}.")
    export = ["export", str(checkpoint), "--task", given.task, "--data", str(given.gate)]
    command = [sys.executable, "-m", "nlplug", *export, "--output", str(given.output)]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
