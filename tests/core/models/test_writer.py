"""Writing a bundle: it is whole and in place, or not there at all."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlplug.errors import BundleError, BundleIncomplete
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.writer import BundleWriter

WriteBundle = Callable[..., Bundle]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_file_is_recorded_but_the_manifest(write_bundle: WriteBundle, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out" / "b", note="hello")
    assert bundle.manifest is not None
    assert sorted(bundle.manifest.files) == [
        "NOTE",
        "config.json",
        "onnx/model.onnx",
        "onnx/model_int8.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert names(tmp_path / "out") == ["b"]
    bundle.verify()


def test_until_the_commit_the_target_is_not_there(hub_layout: Path, tmp_path: Path) -> None:
    target = tmp_path / "b"
    with BundleWriter(target) as writer:
        assert not target.exists()
        assert writer.folder.parent == target.parent, "beside it, so that a rename suffices"
        with pytest.raises(BundleIncomplete):
            Bundle.open(writer.folder)
    assert not target.exists()


def test_leaving_without_a_commit_leaves_nothing(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "out" / "b") as writer:
        (writer.folder / "config.json").write_text("{}")
    assert names(tmp_path / "out") == []


def test_an_error_keeps_the_bundle_that_was_there(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "out" / "b", note="old")
    with pytest.raises(RuntimeError), BundleWriter(tmp_path / "out" / "b") as writer:
        (writer.folder / "config.json").write_text("{}")
        raise RuntimeError
    assert names(tmp_path / "out") == ["b"]
    Bundle.open(tmp_path / "out" / "b", verify=True)


def test_a_commit_replaces_the_bundle_that_was_there(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "out" / "b", note="old", name="old")
    assert write_bundle(tmp_path / "out" / "b", name="new").name == "new"
    assert not (tmp_path / "out" / "b" / "NOTE").exists()
    assert names(tmp_path / "out") == ["b"]


def test_where_folders_cannot_be_exchanged_it_is_replaced_all_the_same(
    write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_library(*args: object, **kwargs: object) -> None:
        raise OSError("a system without renameat2")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    write_bundle(tmp_path / "out" / "b", name="old")
    assert write_bundle(tmp_path / "out" / "b", name="new").name == "new"
    assert names(tmp_path / "out") == ["b"]


def test_what_was_moved_aside_by_a_killed_writer_is_put_back(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "b", name="old").path.rename(tmp_path / ".b.0123.replaced")
    with BundleWriter(tmp_path / "b"):
        assert Bundle.open(tmp_path / "b", verify=True).name == "old"


def test_a_precision_whose_file_was_not_written_is_refused(
    hub_layout: Path, tmp_path: Path
) -> None:
    record = PrecisionRecord(file="onnx/model_fp16.onnx")
    with BundleWriter(tmp_path / "b") as writer:
        (writer.folder / "config.json").write_text("{}")
        with pytest.raises(BundleIncomplete, match="was not written"):
            writer.commit(Manifest(name="x", precisions={"fp16": record}))
    assert not (tmp_path / "b").exists()


def test_a_bundle_needs_a_config(tmp_path: Path) -> None:
    with (
        BundleWriter(tmp_path / "b") as writer,
        pytest.raises(BundleIncomplete, match=r"no config\.json"),
    ):
        writer.commit(Manifest(name="x"))


def test_overwriting_can_be_forbidden(write_bundle: WriteBundle, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match="exists already"):
        BundleWriter(tmp_path / "b", overwrite=False)


@pytest.mark.parametrize("strange", ["thesis.docx", "onnx/notes.txt"])
def test_files_that_are_no_part_of_the_bundle_are_not_lost(
    write_bundle: WriteBundle, tmp_path: Path, strange: str
) -> None:
    write_bundle(tmp_path / "b")
    (tmp_path / "b" / strange).write_text("ten years of work")
    with pytest.raises(BundleError, match="not part of a bundle") as caught:
        BundleWriter(tmp_path / "b")
    assert strange in caught.value.message
    assert (tmp_path / "b" / strange).exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.docx").write_text("ten years of work")
    with pytest.raises(BundleError, match=r"thesis\.docx"):
        BundleWriter(tmp_path / "home")


def test_an_empty_folder_may_be_the_target(write_bundle: WriteBundle, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_bundle(tmp_path / "b").verify()


def test_a_damaged_bundle_can_be_replaced(write_bundle: WriteBundle, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b")
    (tmp_path / "b" / "nlplug.json").write_text('{"format_version": 9, "files": {')
    write_bundle(tmp_path / "b", name="new").verify()


def test_a_writer_at_work_is_left_alone_by_another(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    with BundleWriter(tmp_path / "out" / "b") as first:
        (first.folder / "config.json").write_text("{}")
        write_bundle(tmp_path / "out" / "b", name="second")
        assert (first.folder / "config.json").exists()
    assert Bundle.open(tmp_path / "out" / "b").name == "second"
    assert names(tmp_path / "out") == ["b"]


KILLED_EVERYWHERE = """
import json, os, shutil, signal, sys
from pathlib import Path
from nlplug.errors import NlplugError
from nlplug.models.bundle import Bundle
from nlplug.models.writer import BundleWriter
from nlplug.models.manifest import Manifest, PrecisionRecord

source, work, replacing = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "replacing"

def write(target, name):
    with BundleWriter(target) as writer:
        shutil.copytree(source, writer.folder, dirs_exist_ok=True)
        record = PrecisionRecord(file="onnx/model.onnx")
        writer.commit(Manifest(name=name, precisions={"fp32": record}))

EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "ctypes.dlsym"}

def changes(event, arguments):
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    return event in EVENTS or (event == "open" and arguments[2] & writes)

def killed_at(number, target):
    child = os.fork()
    if child == 0:
        seen = 0
        def hook(event, arguments):
            nonlocal seen
            if changes(event, arguments):
                seen += 1
                if seen > number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        write(target, "new")
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

write(work / "warm-up", "imports all that is imported on the way")
found = []
for number in range(10_000):
    folder = work / str(number)
    if replacing:
        write(folder / "b", "old")
    else:
        folder.mkdir()
    killed = killed_at(number, folder / "b")
    try:
        state = Bundle.open(folder / "b", verify=True).name
    except NlplugError as error:
        state = type(error).__name__
    write(folder / "b", "again")
    found.append({"killed": killed, "state": state,
        "after": sorted(os.listdir(folder)), "again": Bundle.open(folder / "b", verify=True).name})
    if not killed:
        break
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("before", "states"), [("nothing", {"ModelNotFound", "new"}), ("replacing", {"old", "new"})]
)
def test_wherever_a_writer_is_killed_the_target_is_whole_or_as_before(
    hub_layout: Path, tmp_path: Path, before: str, states: set[str]
) -> None:
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_EVERYWHERE, str(hub_layout), str(tmp_path / "work"), before],
        check=True,
        capture_output=True,
    )
    found = json.loads(done.stdout)
    assert len(found) > 10, "killed before every step that changes the disk"
    assert [one["killed"] for one in found] == [True] * (len(found) - 1) + [False]
    assert {one["state"] for one in found} == states
    assert found[-1]["state"] == "new"
    # A kill after the last step but before the end has put the new one in place already.
    order = [one["state"] for one in found]
    assert order == sorted(order, key=lambda state: state == "new")
    for one in found:
        assert one["again"] == "again", "the next writer works"
        assert one["after"] == ["b"], "and cleans up"
