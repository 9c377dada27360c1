"""The check of a data set in Chinese; the messages of the check are English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from nlplug.data.check import DataCheck

# `Finding.kind` → what it means. The message has the numbers and names.
FINDINGS: dict[str, str] = {
    "data": "数据无法用于训练。",
    "row": "有些行无法用于训练。",
    "leak": "评测数据中有与训练数据相同的文本，得分会偏高。",
    "near_leak": "评测数据中有与训练数据几乎相同的文本（仅大小写、空格或标点不同）。",
    "contradiction": "相同的文本有不同的答案。",
    "duplicate": "有重复的行。",
    "label_spelling": "有些标签仅大小写、空格、连字符、“.0”或 Unicode 形式不同。",
    "empty_label": "有些标签看起来是缺失值。",
    "label_list": "有些标签看起来是列表，但无法按列表读取。",
    "label_separator": "有些标签含有“|”，按一个完整的标签处理。",
    "empty_text": "有些文本看起来是缺失值。",
    "imbalance": "各标签的数量相差很大，请查看每个标签的得分。",
    "rare_label": "有些标签的训练数据太少。",
    "missing_label": "有些标签在评测数据中没有出现。",
    "long_text": "有些文本超过了模型的窗口，每轮只用其中一段训练。",
    "encoding": "有些文本以错误的编码读入。",
    "cut_word": "有些标注从单词中间开始或结束。位置按字符（而非字节）从 0 计数，不含结束位置。",
    "language": "有些文本的语言不在基础模型支持的语言之列。",
}
_ESTIMATE = re.compile(r" take (?:(less than a minute)|about (\S+) (min|h)) ")
_UNITS = {"min": "分钟", "h": "小时"}


def check_values(check: DataCheck, language: str, folder: Path) -> dict[str, Any]:
    """The check as JSON values for a page.

    Args:
        check: The check.
        language: ``en`` or ``zh``. In Chinese, a finding also has ``told``, what its kind means.
        folder: The folder of the data set, which the places of rows do not repeat.
    """
    values = check.to_dict()
    for finding in values["findings"]:
        finding["examples"] = [one.removeprefix(f"{folder}/") for one in finding["examples"]]
    if language != "zh":
        return values
    for finding in values["findings"]:
        finding["told"] = FINDINGS.get(finding["kind"])
    if found := _ESTIMATE.search(check.estimate):
        time = "不到 1 分钟" if found[1] else f"约 {found[2]} {_UNITS[found[3]]}"
        values["estimate"] = f"在本机 CPU 上训练预计需要{time}，不含评测。"
    return values
