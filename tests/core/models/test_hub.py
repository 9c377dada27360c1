"""Models of the Hub: the real huggingface_hub client against a local stand-in of the Hub."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
from hub_stand_in import TOKEN, HubStandIn, Repo
from small_disk_kit import small_disk

from nlplug.arguments import read_setup
from nlplug.errors import (
    BundleCorrupt,
    BundleError,
    BundleIncomplete,
    BundleVersionError,
    DiskFull,
    ModelNotFound,
    OfflineError,
    OptionError,
)
from nlplug.models.bundle import Bundle
from nlplug.models.cache import list_cached, models_folder, pull
from nlplug.models.hub import HubRef
from nlplug.models.manifest import PARTIAL_FILE
from nlplug.models.pack import PackConfig, pack_wheel
from nlplug.models.resolve import resolve
from nlplug.settings import load_settings

TINY = HubRef("acme/tiny")


def left_in_cache() -> list[str]:
    """Whatever stands in the cache, hidden folders too."""
    folder = models_folder(load_settings())
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_repository_of_the_hub_becomes_a_bundle_in_the_cache(hub: HubStandIn) -> None:
    bundle = resolve("acme/tiny")
    assert bundle.path == models_folder(load_settings()) / "acme--tiny"
    assert bundle.labels == ["negative", "positive"]
    assert bundle.max_length == 32
    assert bundle.manifest is not None
    assert bundle.manifest.license == "mit"
    assert bundle.manifest.hub_task == "text-classification"
    assert bundle.manifest.source == {
        "hub_id": "acme/tiny",
        "commit": hub.repos["acme/tiny"].branches["main"],
    }
    bundle.verify()


def test_only_what_the_wanted_precision_needs_is_fetched(hub: HubStandIn) -> None:
    resolve("acme/tiny", precision="fp16")
    assert hub.fetched() == [
        "config.json",
        "onnx/model_fp16.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_without_a_wish_the_unquantized_model_is_fetched(hub: HubStandIn) -> None:
    assert list(resolve("acme/tiny").precisions) == ["fp32"]


def test_weights_outside_the_graph_come_with_it(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    data = {"onnx/model.onnx_data": b"0" * 64, "onnx/model.onnx_data_1": b"1" * 64}
    others = {"onnx/model_fp16.onnx_data": b"2" * 64}
    hub.repos["acme/tiny"].push({**repository, **data, **others})
    resolve("acme/tiny", precision="fp32")
    assert set(data) <= set(hub.fetched())
    assert not set(others) & set(hub.fetched())


def test_weights_outside_the_graph_may_have_any_name(
    hub: HubStandIn, repository: dict[str, bytes], hub_layout: Path, tmp_path: Path
) -> None:
    graph = hub_layout / "onnx" / "model.onnx"
    model = onnx.load(str(graph))
    onnx.save(
        model, str(graph), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    added = {f"onnx/{n}": (graph.parent / n).read_bytes() for n in ("model.onnx", "weights.bin")}
    hub.repos["acme/tiny"].push({**repository, **added, "onnx/other.bin": b"not named"})
    bundle = resolve("acme/tiny", precision="fp32")
    assert "onnx/weights.bin" in hub.fetched()
    assert "onnx/other.bin" not in hub.fetched()
    bundle.verify()
    config = PackConfig("tiny", task="sentiment", license="mit", force=True)
    with zipfile.ZipFile(pack_wheel(Bundle.open(hub_layout), tmp_path, config)) as wheel:
        assert [name for name in wheel.namelist() if name.endswith("onnx/weights.bin")]


def test_the_layout_of_optimum_loads(hub: HubStandIn, repository: dict[str, bytes]) -> None:
    flat = {name.removeprefix("onnx/"): content for name, content in repository.items()}
    hub.repos["acme/flat"] = Repo()
    hub.repos["acme/flat"].push(flat)
    bundle = resolve("acme/flat", precision="int8")
    assert bundle.onnx_file("int8") == bundle.path / "model_quantized.onnx"


def test_a_tokenizer_beside_the_graphs_is_fetched(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    moved = {f"onnx/{n}" if n.startswith("tokenizer") else n: f for n, f in repository.items()}
    hub.repos["acme/beside"] = Repo()
    hub.repos["acme/beside"].push(moved)
    bundle = resolve("acme/beside")
    assert hub.fetched() == [
        "config.json",
        "onnx/model.onnx",
        "onnx/tokenizer.json",
        "onnx/tokenizer_config.json",
    ]
    assert bundle.tokenizer_file == bundle.path / "onnx" / "tokenizer.json"
    assert bundle.max_length == 32
    bundle.verify()


def test_a_vocabulary_is_fetched_where_there_is_no_tokenizer(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    hub.repos["acme/old"] = Repo()
    hub.repos["acme/old"].push({n: f for n, f in repository.items() if n != "tokenizer.json"})
    bundle = resolve("acme/old")
    assert bundle.tokenizer_file == bundle.path / "vocab.txt"


def test_a_cached_model_asks_the_hub_nothing(hub: HubStandIn) -> None:
    resolve("acme/tiny")
    asked = len(hub.requests)
    resolve("acme/tiny")
    assert len(hub.requests) == asked


def test_another_precision_is_added_without_fetching_the_rest_again(hub: HubStandIn) -> None:
    resolve("acme/tiny", precision="fp32")
    hub.requests.clear()
    bundle = resolve("acme/tiny", precision="int8")
    assert hub.fetched() == ["onnx/model_quantized.onnx"]
    assert sorted(bundle.precisions) == ["fp32", "int8"]
    bundle.verify()


def test_an_added_precision_is_of_the_commit_that_is_there(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    first = hub.repos["acme/tiny"].branches["main"]
    resolve("acme/tiny", precision="fp32")
    hub.repos["acme/tiny"].push({**repository, "onnx/model.onnx": b"another model"})
    bundle = resolve("acme/tiny", precision="int8")
    assert bundle.manifest is not None
    assert bundle.manifest.source["commit"] == first


def test_an_update_moves_every_precision_to_the_newest_commit(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    resolve("acme/tiny", precision="fp32")
    resolve("acme/tiny", precision="int8")
    newer = {**repository, "onnx/model.onnx": b"newer", "onnx/model_quantized.onnx": b"newer 8"}
    commit = hub.repos["acme/tiny"].push(newer)
    bundle = pull(TINY, load_settings(), update=True)
    assert bundle.manifest is not None
    assert bundle.manifest.source["commit"] == commit
    assert bundle.onnx_file("fp32").read_bytes() == b"newer"
    assert bundle.onnx_file("int8").read_bytes() == b"newer 8"


def test_an_update_of_what_is_new_already_fetches_nothing(hub: HubStandIn) -> None:
    resolve("acme/tiny")
    hub.requests.clear()
    pull(TINY, load_settings(), update=True)
    assert hub.fetched() == []


def test_a_revision_has_a_folder_of_its_own(hub: HubStandIn, repository: dict[str, bytes]) -> None:
    hub.repos["acme/tiny"].push({**repository, "onnx/model.onnx": b"branch"}, branch="v2")
    assert resolve("acme/tiny@v2").onnx_file("fp32").read_bytes() == b"branch"
    assert resolve("acme/tiny", revision="v2").path.name == "acme--tiny@v2"
    assert resolve("acme/tiny").onnx_file("fp32").read_bytes() != b"branch"
    assert [str(cached.ref) for cached in list_cached(load_settings())] == [
        "acme/tiny",
        "acme/tiny@v2",
    ]


def test_a_model_may_be_in_a_subfolder_of_a_repository(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    inner = {f"small/v 1/{name}": content for name, content in repository.items()}
    repo = hub.repos["acme/tiny"]
    repo.push({"config.json": b"of another model", **inner}, branch="v2")
    given = {"subfolder": "small/v 1/"}

    found = read_setup("acme/tiny", "cpu", "auto", given)
    bundle = resolve(found.model, revision="v2", settings=found.settings)

    bundle.verify()
    assert found.model == "acme/tiny//small/v 1"
    assert bundle.name == "acme/tiny@v2//small/v 1"
    assert bundle.manifest is not None
    assert bundle.manifest.source["subfolder"] == "small/v 1"
    assert bundle.onnx_file("fp32") == bundle.path / "onnx" / "model.onnx"
    assert not [path for path in bundle.path.rglob("*") if "small" in path.name]
    [cached] = list_cached(load_settings())
    assert cached.ref == HubRef("acme/tiny", "v2", "small/v 1")
    assert set(hub.fetched()) <= set(inner)
    pull(cached.ref, load_settings(), precisions=["fp16"])
    assert set(resolve("acme/tiny@v2//small/v 1").precisions) == {"fp16", "fp32"}


def test_a_subfolder_without_a_model_is_named(hub: HubStandIn) -> None:
    with pytest.raises(BundleIncomplete, match="The folder onnx of the repository") as caught:
        resolve("acme/tiny//onnx")
    assert str(caught.value.hint).endswith(": acme/tiny")
    assert left_in_cache() == []


def test_a_precision_that_the_repository_lacks_lists_those_it_has(hub: HubStandIn) -> None:
    with pytest.raises(OptionError, match="no precision 'bnb4'") as caught:
        resolve("acme/tiny", precision="bnb4")
    assert caught.value.hint == "It has: fp16, fp32, int8, q4."
    assert left_in_cache() == []


def test_a_repository_without_onnx_says_how_to_export_it(hub: HubStandIn) -> None:
    hub.repos["acme/torch"] = Repo()
    hub.repos["acme/torch"].push({"config.json": b"{}", "model.safetensors": b"0"})
    with pytest.raises(BundleIncomplete, match="no ONNX model") as caught:
        resolve("acme/torch")
    assert "nlplug export acme/torch" in str(caught.value.hint)


def test_a_bundle_that_nlplug_exported_keeps_its_manifest(
    hub: HubStandIn, write_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    hub.repos["acme/bundle"] = Repo()
    hub.repos["acme/bundle"].push(files_of(write_bundle(tmp_path / "exported", name="good")))
    bundle = resolve("acme/bundle")
    assert bundle.manifest is not None
    assert (bundle.name, bundle.manifest.task) == ("good", "sentiment")
    assert list(bundle.precisions) == ["int8"], "measured by the gate, so the small one is taken"
    bundle.verify()


def test_a_file_that_belies_the_repositorys_manifest_is_refused(
    hub: HubStandIn, write_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    files = files_of(write_bundle(tmp_path / "exported"))
    hub.repos["acme/bundle"] = Repo()
    hub.repos["acme/bundle"].push({**files, "onnx/model_int8.onnx": b"swapped"})
    with pytest.raises(BundleCorrupt, match=r"model_int8\.onnx is not the file"):
        resolve("acme/bundle")
    assert left_in_cache() == []


def test_a_repository_of_a_future_format_says_so(
    hub: HubStandIn, repository: dict[str, bytes]
) -> None:
    hub.repos["acme/future"] = Repo()
    hub.repos["acme/future"].push({**repository, "nlplug.json": b'{"format_version": 99}'})
    with pytest.raises(BundleVersionError, match="format version 99"):
        resolve("acme/future")


def test_a_content_other_than_announced_is_refused(hub: HubStandIn) -> None:
    hub.lies.add("onnx/model.onnx")
    with pytest.raises(BundleCorrupt, match=r"onnx/model\.onnx has other content"):
        resolve("acme/tiny")
    assert left_in_cache() == []


def test_a_small_file_is_checked_as_well(hub: HubStandIn) -> None:
    hub.lies.add("tokenizer.json")
    with pytest.raises(BundleCorrupt, match=r"tokenizer\.json has other content"):
        resolve("acme/tiny")


@pytest.mark.parametrize("file", ["onnx/model.onnx", "config.json"])
def test_a_connection_lost_in_the_middle_leaves_nothing(hub: HubStandIn, file: str) -> None:
    hub.cut.add(file)
    with pytest.raises(BundleIncomplete, match="was cut off") as caught:
        resolve("acme/tiny")
    assert file in caught.value.message
    assert left_in_cache() == []
    hub.cut.clear()
    resolve("acme/tiny").verify()


def test_a_connection_lost_while_adding_keeps_what_is_there(hub: HubStandIn) -> None:
    resolve("acme/tiny", precision="fp32")
    hub.cut.add("onnx/model_quantized.onnx")
    with pytest.raises(BundleIncomplete):
        resolve("acme/tiny", precision="int8")
    assert left_in_cache() == ["acme--tiny"]
    resolve("acme/tiny", precision="fp32").verify()


def test_a_file_that_is_listed_and_lost_is_named(hub: HubStandIn) -> None:
    hub.lost.add("tokenizer.json")
    with pytest.raises(ModelNotFound, match=r"lists tokenizer\.json, but does not have it"):
        resolve("acme/tiny")
    assert left_in_cache() == []


def test_no_such_repository(hub: HubStandIn) -> None:
    with pytest.raises(ModelNotFound, match="no repository acme/none") as caught:
        resolve("acme/none")
    assert "private" in caught.value.message


def test_no_such_revision(hub: HubStandIn) -> None:
    with pytest.raises(ModelNotFound, match="no revision 'v9'"):
        resolve("acme/tiny@v9")


@pytest.mark.parametrize("token", [None, "hf_of_somebody_else"])
def test_a_gated_repository_says_where_to_ask(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    hub.repos["acme/tiny"].gated = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ModelNotFound, match="gated") as caught:
        resolve("acme/tiny")
    assert f"{hub.endpoint}/acme/tiny" in str(caught.value.hint)


def test_the_users_token_opens_a_gated_repository_and_is_never_logged(
    hub: HubStandIn,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hub.repos["acme/tiny"].gated = True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with caplog.at_level("DEBUG"):
        resolve("acme/tiny").verify()
    assert f"Bearer {TOKEN}" in hub.tokens
    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


def test_token_and_cache_may_be_arguments_of_a_pipeline(hub: HubStandIn, tmp_path: Path) -> None:
    hub.repos["acme/tiny"].gated = True
    found = read_setup("acme/tiny", "cpu", "auto", {"token": TOKEN, "cache_dir": str(tmp_path)})

    bundle = resolve("acme/tiny", settings=found.settings)

    assert bundle.path.is_relative_to(tmp_path)
    assert f"Bearer {TOKEN}" in hub.tokens
    assert TOKEN not in repr(found)
    away = read_setup("acme/tiny", "cpu", "auto", {"local_files_only": True})
    with pytest.raises(OfflineError):
        resolve("acme/tiny", settings=away.settings)


@pytest.mark.parametrize("variable", ["NLPLUG_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(OfflineError, match="not in the cache") as caught:
        resolve("acme/tiny")
    assert "nlplug models pull acme/tiny" in str(caught.value.hint)
    with pytest.raises(OfflineError):
        pull(TINY, load_settings())
    assert hub.requests == []


def test_offline_what_is_cached_works(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve("acme/tiny", precision="fp32")
    hub.requests.clear()
    monkeypatch.setenv("NLPLUG_OFFLINE", "1")
    assert resolve("acme/tiny").name == "acme/tiny"
    with pytest.raises(OfflineError, match=r"without the precision 'int8' \(it has: fp32\)"):
        resolve("acme/tiny", precision="int8")
    assert hub.requests == []


def test_a_hub_out_of_reach_says_so(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFound, match=r"cannot be reached: \[\w+ \d+\] [^()]+$"):
        resolve("acme/tiny")


@pytest.mark.parametrize("damage", ["file", "manifest", "json"])
def test_a_damaged_cached_model_is_fetched_again(hub: HubStandIn, damage: str) -> None:
    folder = resolve("acme/tiny").path
    if damage == "file":
        (folder / "onnx" / "model.onnx").unlink()
    elif damage == "manifest":
        (folder / "nlplug.json").unlink()
    else:
        (folder / "nlplug.json").write_text("{")
    resolve("acme/tiny").verify()
    assert left_in_cache() == ["acme--tiny"]


def test_a_flipped_byte_is_not_carried_over_when_a_precision_is_added(hub: HubStandIn) -> None:
    file = resolve("acme/tiny", precision="fp32").onnx_file("fp32")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    bundle = resolve("acme/tiny", precision="int8")
    assert bundle.onnx_file("fp32").read_bytes() == whole
    bundle.verify()


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("config.json", "SIGKILL"),
        ("model.onnx", "SIGKILL"),
        (PARTIAL_FILE, "SIGKILL"),
        ("model.onnx", "SIGTERM"),
        ("model.onnx", "SIGINT"),
    ],
)
def test_a_killed_pull_leaves_nothing_that_looks_whole(
    hub: HubStandIn, step: str, number: str
) -> None:
    script = (
        "import os, signal, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith(sys.argv[1]):\n"
        "        os.kill(os.getpid(), getattr(signal, sys.argv[2]))\n"
        "sys.addaudithook(hook)\n"
        "from nlplug.models.resolve import resolve\n"
        "resolve('acme/tiny')\n"
    )
    command = [sys.executable, "-c", script, step, number]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -getattr(signal, number), done.stderr
    assert "acme--tiny" not in left_in_cache()
    assert list_cached(load_settings()) == []
    resolve("acme/tiny").verify()
    assert left_in_cache() == ["acme--tiny"], "what the killed one left is cleaned up"


def test_a_cache_that_cannot_be_written_is_named(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "file"))
    with pytest.raises(BundleError, match="cannot be written") as caught:
        resolve("acme/tiny")
    assert "NLPLUG_CACHE" in str(caught.value.hint)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from nlplug.cli.main import main
import huggingface_hub
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
main(["models", "pull", "acme/tiny"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of a file")
@pytest.mark.parametrize("most", [10, 600])
def test_a_full_disk_is_told_and_leaves_nothing(hub: HubStandIn, most: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(most)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "allows no larger file" in done.stderr
    assert "cut off" not in done.stderr
    assert list_cached(load_settings()) == []
    resolve("acme/tiny").verify()
    assert left_in_cache() == ["acme--tiny"]


def test_a_pull_without_room_keeps_the_model_that_is_there(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        monkeypatch.setenv("NLPLUG_CACHE", str(disk.folder / "cache"))
        resolve("acme/tiny", precision="int8")
        left = failures = 0
        while True:
            disk.leave(left)
            try:
                pull(TINY, load_settings(), precisions=["fp32"])
            except DiskFull:
                assert left_in_cache() == ["acme--tiny"]
                assert sorted(resolve("acme/tiny").precisions) == ["int8"]
                failures += 1
                left += 4096
            else:
                break
        assert failures
        assert sorted(resolve("acme/tiny").precisions) == ["fp32", "int8"]


def test_several_that_pull_at_once_lose_nothing_of_one_another(hub: HubStandIn) -> None:
    with ThreadPoolExecutor(4) as pool:
        pulls = [
            pool.submit(pull, TINY, load_settings(), precisions=[precision])
            for precision in ("fp32", "fp16", "int8", "q4")
        ]
    for done in pulls:
        assert done.result().name == "acme/tiny"
    bundle = resolve("acme/tiny")
    assert sorted(bundle.precisions) == ["fp16", "fp32", "int8", "q4"]
    bundle.verify()
    assert left_in_cache() == ["acme--tiny"]


def test_a_model_of_the_hub_runs_without_torch(hub: HubStandIn) -> None:
    script = (
        "import json, sys\n"
        "from nlplug import Pipeline\n"
        "from nlplug.families.sequence_classification import SequenceClassificationTask\n"
        "from nlplug.models.resolve import resolve\n"
        "class Tone(SequenceClassificationTask):\n"
        "    name = title = description = 'tone'\n"
        "answer = Pipeline(Tone(), resolve('acme/tiny', precision='int8'))('good')\n"
        "heavy = {'torch', 'transformers', 'optimum', 'datasets'} & set(sys.modules)\n"
        "print(json.dumps([answer[0]['label'], sorted(heavy)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == ["positive", []]


def files_of(bundle: Bundle) -> dict[str, bytes]:
    """The files of a bundle, as they would be uploaded."""
    return {
        path.relative_to(bundle.path).as_posix(): path.read_bytes()
        for path in bundle.path.rglob("*")
        if path.is_file()
    }
