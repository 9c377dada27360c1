"""Settings from a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug.cli._config import read_settings
from nlplug.errors import OptionError
from nlplug.train.config import RunConfig, validated


@pytest.mark.parametrize("text", ["seed = 3\n", "\ufeffseed = 3\n", "seed = 3\r\n"])
def test_a_file_of_any_editor_is_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(text.encode())
    assert read_settings(file) == {"seed": 3}


@pytest.mark.parametrize("values", [{"dta": ["a.csv"], "output": "o"}, {"train": {"data": "a"}}])
def test_a_misspelled_setting_is_named_before_the_one_that_is_missing(
    values: dict[str, object],
) -> None:
    with pytest.raises(OptionError, match=f"There is no setting '{next(iter(values))}'"):
        validated(RunConfig, values, command="nlplug train sentiment")
