"""The names that common labels of entities stand for: CoNLL-2003, OntoNotes 5 and their like."""

from __future__ import annotations

from collections.abc import Sequence

# Label → English, Chinese.
_NAMES: dict[str, tuple[str, str]] = {
    "PER": ("Person", "人物"),
    "PERSON": ("Person", "人物"),
    "LOC": ("Place", "地点"),
    "LOCATION": ("Place", "地点"),
    "ORG": ("Organization", "组织"),
    "ORGANIZATION": ("Organization", "组织"),
    "MISC": ("Other name", "其他名称"),
    "GPE": ("Country, city or state", "国家、城市或地区"),
    "NORP": ("Nationality, religious or political group", "民族、宗教或政治团体"),
    "FAC": ("Building or facility", "建筑或设施"),
    "PRODUCT": ("Product", "产品"),
    "EVENT": ("Event", "事件"),
    "WORK_OF_ART": ("Work of art", "作品"),
    "LAW": ("Law", "法律文件"),
    "LANGUAGE": ("Language", "语言"),
    "DATE": ("Date", "日期"),
    "TIME": ("Time", "时间"),
    "PERCENT": ("Percentage", "百分比"),
    "MONEY": ("Amount of money", "金额"),
    "QUANTITY": ("Quantity", "数量"),
    "ORDINAL": ("Ordinal number", "序数"),
    "CARDINAL": ("Number", "数字"),
}
_PREFIXES = ("B-", "I-", "E-", "S-", "L-", "U-")


def label_name(label: str, language: str) -> str:
    """The name of a label, with or without the prefix of its tagging scheme; empty if unknown.

    Args:
        label: Such as ``PER`` or ``B-PER``.
        language: ``en`` or ``zh``.
    """
    forms = _NAMES.get(bare(label).upper())
    return forms[language == "zh"] if forms else ""


def named(label: str, language: str) -> str:
    """A label with the name that it stands for, such as ``Person (PER)``; else the label."""
    name = label_name(label, language)
    return f"{name} ({label})" if name else label


def answers_of(labels: Sequence[str], language: str) -> list[str]:
    """What a model can answer: of tags (there is ``O``) the named types, else the labels."""
    if "O" not in labels:
        return list(labels)
    types = dict.fromkeys(bare(label) for label in labels if label != "O")
    return [named(label, language) for label in types]


def bare(label: str) -> str:
    """A label without the prefix of its tagging scheme: ``B-PER`` and ``I-PER`` are ``PER``."""
    return label[2:] if label.startswith(_PREFIXES) else label
