"""``nlplug plugins new``: what it writes, and that it works before it is edited."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import nlplug.scaffold
from nlplug import Pipeline
from nlplug.cli.main import main
from nlplug.errors import OptionError, PluginError
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.scaffold import families, write_package
from nlplug.testing import tiny_text_classifier


class Starter(SequenceClassificationTask):
    """A task of the family, with nothing of its own."""

    name = "starter"
    title = "Starter"
    description = "Starter"


TEMPLATE = Path(nlplug.scaffold.__file__).parent / "sequence-classification"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package("reading-level", tmp_path)


def test_the_package_is_complete(package: Path) -> None:
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}

    assert package.name == "nlplug-reading-level"
    assert files == {
        ".github/workflows/test.yml",
        "README.md",
        "data/train.jsonl",
        "nlplug_reading_level/__init__.py",
        "nlplug_reading_level/model/config.json",
        "nlplug_reading_level/model/nlplug.json",
        "nlplug_reading_level/model/onnx/model.onnx",
        "nlplug_reading_level/model/tokenizer.json",
        "nlplug_reading_level/model/tokenizer_config.json",
        "nlplug_reading_level/plugin.py",
        "nlplug_reading_level/task.py",
        "pyproject.toml",
        "tests/test_nlplug_reading_level.py",
    }


def test_no_field_of_a_template_is_left(package: Path) -> None:
    for path in package.rglob("*"):
        assert "{{" not in path.name
        if path.is_file() and path.suffix != ".onnx":
            # Expressions of GitHub's workflows begin with a dollar sign.
            assert not re.search(r"(?<!\$)\{\{", path.read_text(encoding="utf-8"))


def test_the_entry_point_has_the_name_of_the_task(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["name"] == "nlplug-reading-level"
    assert project["entry-points"]["nlplug"] == {"reading-level": "nlplug_reading_level.plugin"}


def test_its_model_is_a_whole_bundle_of_the_task(package: Path) -> None:
    bundle = Bundle.open(package / "nlplug_reading_level" / "model", verify=True)

    assert bundle.manifest is not None
    assert bundle.manifest.task == "reading-level"
    assert bundle.labels == ["negative", "positive"]


def test_its_model_is_what_the_test_helper_makes(tmp_path: Path) -> None:
    tokenizer = json.loads((TEMPLATE / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    known = [word for word in tokenizer["model"]["vocab"] if not word.startswith("[")]
    good = known[: known.index("bad")]
    words = {word: (-8.0, 8.0) if word in good else (8.0, -8.0) for word in known}
    made = tiny_text_classifier(tmp_path / "made", words, max_length=256)
    texts = [*known, "a good day", "bad but friendly", "good " * 500, "?"]

    answers = []
    for bundle in (made, Bundle.open(TEMPLATE / "model")):
        with Pipeline(Starter(), bundle) as pipe:
            answers.append(pipe(texts, top_k=None))

    assert answers[0] == answers[1]


def test_it_passes_check_where_it_stands(package: Path) -> None:
    done = CliRunner().invoke(main, ["plugins", "check", str(package), "--json"])

    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.stdout)
    assert (report["name"], report["dist"]) == ("reading-level", "nlplug-reading-level")
    checked = {check["name"] for check in report["checks"]}
    assert "ReadingLevelTask answers its examples" in checked
    assert "model 'reading-level-model' opens" in checked


@pytest.mark.parametrize(
    ("file", "old", "new", "failed"),
    [
        ("plugin.py", "def register_tasks", "def register_task", "loads"),
        ("task.py", '"text": "A terrible', '"txt": "A terrible', "loads"),
        ("task.py", 'default_model = "', 'default_model = "x-', "default_model is registered"),
        ("model/tokenizer.json", "good", "goof", "opens"),
        ("model/onnx/model.onnx", None, None, "opens"),
    ],
)
def test_check_finds_what_an_author_breaks(
    package: Path, file: str, old: str | None, new: str | None, failed: str
) -> None:
    path = package / "nlplug_reading_level" / file
    if old is None:
        path.unlink()
    else:
        path.write_text(path.read_text(encoding="utf-8").replace(old, str(new), 1), "utf-8")

    done = CliRunner().invoke(main, ["plugins", "check", str(package), "--json"])

    assert done.exit_code == 4
    (report,) = json.loads(done.stdout)
    assert not report["ok"]
    assert any(check["name"].endswith(failed) for check in report["checks"] if not check["ok"])


@pytest.mark.parametrize("name", ["Mine", "my task", "-x", "a--b", "9", ""])
def test_a_name_that_is_no_task_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="is not a task name"):
        write_package(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_family_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        write_package("mine", tmp_path, family="poetry")

    assert ", ".join(families()) in str(caught.value.hint)


def test_what_is_there_already_is_kept(package: Path) -> None:
    (package / "README.md").write_text("mine")

    with pytest.raises(PluginError, match="exists already"):
        write_package("reading-level", package.parent)

    assert (package / "README.md").read_text() == "mine"
    assert [path.name for path in package.parent.iterdir()] == ["nlplug-reading-level"]


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    done = CliRunner().invoke(main, ["plugins", "new", "mine", "--directory", str(folder)])

    assert done.exit_code == 0
    assert (folder / "nlplug-mine" / "pyproject.toml").is_file()
    assert f"nlplug plugins install -e {folder / 'nlplug-mine'}" in done.stdout


def test_a_folder_that_is_no_plugin_is_not_checked(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["plugins", "check", str(tmp_path)])

    assert done.exit_code == 4
    assert "pyproject.toml cannot be read" in done.stderr


def test_what_a_plugin_prints_stays_out_of_the_json(package: Path) -> None:
    plugin = package / "nlplug_reading_level" / "plugin.py"
    plugin.write_text(plugin.read_text(encoding="utf-8") + "\nprint('hello')\n", "utf-8")

    done = CliRunner().invoke(main, ["plugins", "check", str(package), "--json"])

    assert json.loads(done.stdout)[0]["ok"]
    assert "hello" in done.stderr
