"""What errors mean and what to do, in Chinese; the messages of errors are English.

The commonest messages are translated as a whole. Of all others the kind is explained, and the
message follows, because it has the names and values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlplug.errors import NlplugError

# ``error_type`` → what it means, what to do.
KINDS: dict[str, tuple[str, str]] = {
    "validation": ("输入、选项或文件有问题。", "请按下面的英文说明修改后重试。"),
    "foreign_text": ("文本的语言不在模型支持的语言之列。", "请换用支持该语言的模型。"),
    "missing_extra": ("缺少一个可选的软件包。", "请按下面的英文说明安装。"),
    "not_found": ("没有找到所指的模型或任务。", "请检查名称，或从列表中选择。"),
    "offline": (
        "这个模型不在本机，需要下载，但网络访问已关闭。",
        "请选择本机上的模型；或取消设置 NLPLUG_OFFLINE 和 HF_HUB_OFFLINE 后重启服务器。",
    ),
    "plugin": ("一个插件出错，与输入无关。", "请查看服务器日志，并向插件作者报告。"),
    "bundle": (
        "模型文件不完整、已损坏，或不适用于此任务。",
        "请重新下载或导出模型，或换用其他模型。",
    ),
    "device": ("无法使用所选的计算设备。", "请选择其他设备，例如 cpu。"),
    "interrupted": ("训练被中断，进度已保存。", "请按下面的英文说明继续训练。"),
    "nothing_learned": ("模型没有学到有用的内容，因此没有导出。", "请检查标签，或提供更多数据。"),
    "overloaded": ("服务器繁忙，请求队列已满。", "请稍后重试。"),
    "too_large": ("请求或文件过大。", "请减小大小，或分成几份。"),
    "unsupported_encoding": ("服务器不支持请求的压缩方式。", "请不压缩，直接发送。"),
    "unknown_host": ("服务器不接受以此名称访问。", "请改用服务器启动时显示的地址。"),
    "disk_full": ("磁盘已满，或超出了大小限制。", "请清理磁盘空间。"),
    "timeout": ("处理时间超过了服务器的限制。", "请缩短文本，或稍后重试。"),
    "unauthorized": ("需要登录，或密钥不正确。", "请使用正确的密钥重新登录。"),
}

# Pattern of the message with its hint → what it means, what to do; {0} and on are the groups.
_SENTENCES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"\nIt is empty: give a text "), "文本为空，或只有空白字符。", "请输入文字。"),
    (
        re.compile(r"^The (?:text|prompt) has (\d+) tokens; .{0,200} (\d+)\.\n"),
        "文本过长：共 {0} 个词元，上限是 {1} 个。",
        "请缩短文本，或打开截断选项。",
    ),
    (
        re.compile(
            r"^Wrong option .{0,80}: (\S{1,80}) is (.{1,80})\.\n.{0,40}"
            r"less than or equal to (\S{1,20})\.$"
        ),
        "选项 {0} 的值是 {1}，过大。",
        "请输入不大于 {2} 的值。",
    ),
    (
        re.compile(
            r"^Wrong option .{0,80}: (\S{1,80}) is (.{1,80})\.\n.{0,40}"
            r"greater than or equal to (\S{1,20})\.$"
        ),
        "选项 {0} 的值是 {1}，过小。",
        "请输入不小于 {2} 的值。",
    ),
    (
        re.compile(
            r"^(.{1,300}): files with such a name cannot be read\.\nUse one of ([^(]{1,200}) \("
        ),
        "无法读取文件 {0}：不支持此扩展名。",
        "请使用 {1}；除 .parquet 和 .xlsx 外，也可以压缩。",
    ),
    (
        re.compile(r"^The task .{1,80} has no default model\."),
        "这个任务没有自带的模型。",
        "请在“模型”中填写文件夹、已安装模型的名称或 Hub 模型名。",
    ),
)


@dataclass(frozen=True)
class ErrorText:
    """An error as a visitor reads it.

    Attributes:
        message: What is wrong.
        hint: What to do, or None.
        original: The English message and hint where ``message`` does not have all of it.
    """

    message: str
    hint: str | None
    original: str | None = None


def error_text(error: NlplugError, language: str) -> ErrorText:
    """The error in a language: ``en`` or ``zh``."""
    message = error.message
    if language != "zh":
        return ErrorText(message, error.hint)
    whole = f"{message}\n{error.hint or ''}"
    for pattern, meaning, advice in _SENTENCES:
        if found := pattern.search(whole):
            return ErrorText(meaning.format(*found.groups()), advice.format(*found.groups()))
    if error.error_type not in KINDS:
        return ErrorText(message, error.hint)
    meaning, advice = KINDS[error.error_type]
    return ErrorText(meaning, advice, whole.replace("\n", " ").strip())


def kind_texts() -> dict[str, tuple[str, str]]:
    """The kinds for the scripts of the pages: key → English (empty: the message), Chinese."""
    return {
        f"{key}_{kind}": ("", forms[place])
        for kind, forms in KINDS.items()
        for place, key in enumerate(("kind", "kind_hint"))
    }
