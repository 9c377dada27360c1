"""The texts of the scripts: each key stands once, and each key that a script names is there."""

from __future__ import annotations

import re

import pytest

from nlplug import PluginHost
from nlplug.families.family import load
from nlplug_webui.error_texts import kind_texts
from nlplug_webui.look_and_feel import STATIC
from nlplug_webui.workshop.inside_texts import INSIDE
from nlplug_webui.workshop.more_texts import MORE
from nlplug_webui.workshop.product_texts import PRODUCTS
from nlplug_webui.workshop.report_texts import REPORT
from nlplug_webui.workshop.texts import SHARED, TEXTS

SHARED_TEXTS = dict.fromkeys(SHARED, ("", ""))
TABLES = (TEXTS, MORE, PRODUCTS, INSIDE, REPORT, kind_texts(), SHARED_TEXTS)


def test_no_table_hides_a_text_of_another() -> None:
    keys = [key for table in TABLES for key in table]
    assert sorted(keys) == sorted(set(keys))


def test_every_key_that_a_script_names_has_a_text() -> None:
    known = {key for table in TABLES for key in table}
    for script in (STATIC / "workshop").glob("*.js"):
        named = set(re.findall(r'\bsay\("([a-z_]+)"', script.read_text("utf-8")))
        assert named <= known, script.name


def test_no_field_has_a_pattern() -> None:
    # A browser's message on one does not say what is allowed; the error of the route does.
    for script in STATIC.rglob("*.js"):
        assert not re.search(r"\bpattern:", script.read_text("utf-8")), script.name


@pytest.mark.train
def test_every_metric_that_training_reports_has_a_name() -> None:
    tasks = PluginHost.discover().tasks()
    families = {task.family for task in tasks if task.family.training}
    metrics = {
        # Most recipes have the metric of the scoring of their family.
        metric
        if isinstance(metric := load(family.training).metric, str)
        else load(family.scoring).metric
        for family in families
    }
    assert {f"metric_{metric}" for metric in metrics} <= set(REPORT)
