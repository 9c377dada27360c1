"""All texts of the interface, in English and in Chinese.

Static texts are sent as keys of ``gr.I18n``, and the browser inserts the translation. Texts that an
event produces are chosen by the request's ``Accept-Language``. Both follow the browser's language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nlplug_webui.batch_texts import BATCH

LANGUAGES = ("en", "zh")
PREFIX = "nlplug:"
"""Prefix of our keys, which keeps them apart from Gradio's own."""
_PLURAL = re.compile(r"\{(\w+):([^|}]*)\|([^}]*)\}")
"""``{n:row|rows}``: the form for one, and the form for any other number."""

TEXTS: dict[str, dict[str, str]] = {
    "tagline": {"en": "Language tasks on this machine", "zh": "在本机运行的语言任务"},
    "skip": {"en": "Skip to content", "zh": "跳到正文"},
    "home": {"en": "Overview", "zh": "概览"},
    "home_title": {"en": "What would you like to do?", "zh": "你想做什么？"},
    "home_lead": {
        "en": "All tasks run on the machine of this server. What you type is not sent elsewhere.",
        "zh": "所有任务都在运行此服务器的机器上执行，输入的内容不会发送到别处。",
    },
    "home_more": {"en": "For all tasks", "zh": "适用于所有任务"},
    "home_none": {"en": "No task is installed yet", "zh": "还没有安装任何任务"},
    "home_none_hint": {
        "en": "Install one, for example: pip install nlplug-sentiment",
        "zh": "请安装一个，例如：pip install nlplug-sentiment",
    },
    "plugins": {"en": "Plugins", "zh": "插件"},
    "plugins_lead": {
        "en": "Installed plugins and their state.",
        "zh": "已安装的插件及其状态。",
    },
    "workspace": {"en": "Workspace", "zh": "工作区"},
    "workspace_lead": {
        "en": "Correct answers, train a model on them, and use it.",
        "zh": "更正结果，用它们训练模型，然后使用模型。",
    },
    "compare": {"en": "Compare", "zh": "比较"},
    "compare_lead": {
        "en": "Two models, or two precisions of one model, on one text or on a file.",
        "zh": "在一段文本或一个文件上比较两个模型，或同一模型的两种精度。",
    },
    "inside": {"en": "Inside", "zh": "内部"},
    "inside_lead": {
        "en": "Attention, probabilities of generated tokens and similar words inside a model.",
        "zh": "模型内部的注意力、生成词元的概率和相似的词。",
    },
    "plugins_none": {"en": "No plugin is installed", "zh": "没有安装插件"},
    "toggle_type": {"en": "Show or hide this type", "zh": "显示或隐藏此类型"},
    "token_probability": {"en": "Probability: {share}", "zh": "概率：{share}"},
    "alternatives": {"en": "Show alternatives", "zh": "显示其他译法"},
    "kept": {"en": "Unchanged from the input", "zh": "与输入相同，保持不变"},
    "kept_count": {
        "en": "{n} {n:part|parts} kept unchanged",
        "zh": "{n} 处保持不变",
    },
    "copy_link": {"en": "Copy link", "zh": "复制链接"},
    "copied_partly": {
        "en": "Copied without the text, which is too long for a link",
        "zh": "已复制，但文本过长，链接中不含文本",
    },
    "copy_link_hint": {
        "en": "A link with the text, the options and the model of this page",
        "zh": "包含此页的文本、选项和模型的链接",
    },
    "tuned": {"en": "fastest here", "zh": "本机最快"},
    "tuned_as": {
        "en": "{settings}: {rate} rows per second, {ratio} times the usual speed",
        "zh": "{settings}：每秒 {rate} 行，为通常速度的 {ratio} 倍",
    },
    "task_pages": {"en": "Tasks", "zh": "任务"},
    "pages": {"en": "Other pages", "zh": "其他页面"},
    "menu": {"en": "All pages", "zh": "全部页面"},
    "api": {"en": "HTTP API", "zh": "HTTP 接口"},
    "theme": {"en": "Switch between light and dark", "zh": "切换浅色和深色"},
    "try": {"en": "Try it", "zh": "试一试"},
    "batch": {"en": "Batch", "zh": "批量"},
    "code": {"en": "In code", "zh": "用代码调用"},
    "python": {"en": "Python", "zh": "Python"},
    "terminal": {"en": "Command line", "zh": "命令行"},
    "curl": {"en": "curl", "zh": "curl"},
    "javascript": {"en": "JavaScript", "zh": "JavaScript"},
    "code_not_served": {
        "en": "This server does not serve the model over HTTP. Start `nlplug serve NAME={model}`.",
        "zh": "本服务器不通过 HTTP 提供该模型。请运行 `nlplug serve NAME={model}`。",
    },
    "code_precision": {
        "en": "Over HTTP the server chooses the precision.",
        "zh": "通过 HTTP 调用时由服务器选择精度。",
    },
    "streaming": {"en": "Streaming", "zh": "流式输出"},
    "examples": {"en": "Examples", "zh": "示例"},
    "run": {"en": "Run", "zh": "运行"},
    "clear": {"en": "Clear", "zh": "清空"},
    "result": {"en": "Result", "zh": "结果"},
    "result_empty": {"en": "The result appears here", "zh": "结果会显示在这里"},
    "result_empty_hint": {
        "en": "Enter a text and click Run, or choose an example.",
        "zh": "输入文本后点击“运行”，或选择一个示例。",
    },
    "model_first": {"en": "Choose a model first", "zh": "请先选择模型"},
    "model_first_none": {
        "en": "This task has no model of its own.",
        "zh": "这个任务没有自带的模型。",
    },
    "model_first_hint": {
        "en": "Choose one of these, or name another one under Model. A model is downloaded from "
        "the Hub once.",
        "zh": "请选择下列模型之一，或在“模型”中填写其他模型。模型只需从 Hub 下载一次。",
    },
    "model_first_installed": {
        "en": "This server opens installed models only. Install the package of a model for this "
        "task.",
        "zh": "此服务器只打开已安装的模型。请安装适用于此任务的模型包。",
    },
    "use_model": {"en": "Use {name}", "zh": "使用 {name}"},
    "outdated": {
        "en": "Outdated: input or options have changed",
        "zh": "已过时：输入或选项已更改",
    },
    "live": {"en": "Answer while typing", "zh": "输入时即时显示结果"},
    "missing_title": {"en": "Page not found", "zh": "找不到页面"},
    "missing": {
        "en": "There is no page at the address {address}.",
        "zh": "地址 {address} 没有对应的页面。",
    },
    "missing_home": {"en": "Go to the overview", "zh": "前往概览"},
    "no_label": {"en": "No label fits", "zh": "没有合适的标签"},
    "no_label_hint": {
        "en": "No score reaches the threshold. Lower the threshold to see more labels.",
        "zh": "没有标签的得分达到阈值。降低阈值可显示更多标签。",
    },
    "abstains": {"en": "The model abstains", "zh": "模型选择弃权"},
    "abstains_hint": {
        "en": "No other label has a high enough score, so the model returns the abstain label.",
        "zh": "没有其他标签的得分足够高，因此模型返回弃权标签。",
    },
    "found": {"en": "{n} found", "zh": "找到 {n} 处"},
    "no_answer": {"en": "No answer in this text", "zh": "文中没有答案"},
    "no_answer_short": {"en": "no answer", "zh": "没有答案"},
    "no_answer_hint": {
        "en": "According to the model, the text does not answer the question.",
        "zh": "模型认为这段文本没有回答该问题。",
    },
    "part_shown": {
        "en": "Characters {start} to {end} of {total} are shown.",
        "zh": "仅显示第 {start} 到第 {end} 个字符，共 {total} 个。",
    },
    "parts_shown": {
        "en": "{n} parts of the text are shown: {shown} of {total} characters.",
        "zh": "显示文本的 {n} 个部分：共 {total} 个字符中的 {shown} 个。",
    },
    "rows_of": {
        "en": "The first {n} of {total} rows are shown.",
        "zh": "仅显示前 {n} 行，共 {total} 行。",
    },
    "as_typed": {"en": "the text entered under “Try it”", "zh": "使用“试一试”中输入的内容"},
    "marked": {"en": "Marked text", "zh": "标注后的文本"},
    "nothing_found": {"en": "Nothing found", "zh": "没有找到任何内容"},
    "options": {"en": "Options", "zh": "选项"},
    "more_options": {"en": "More options", "zh": "更多选项"},
    "more_fields": {"en": "More input", "zh": "更多输入"},
    "model": {"en": "Model", "zh": "模型"},
    "model_info": {
        "en": "Name of an installed model, a folder on this machine, or a Hub id (owner/name)",
        "zh": "已安装的模型、本机文件夹，或 Hub 模型名（owner/name）",
    },
    "model_info_auto": {
        "en": "Name of an installed model, a folder on this machine, or a Hub id (owner/name). "
        "auto: the installed model for the language of the text",
        "zh": "已安装的模型、本机文件夹，或 Hub 模型名（owner/name）。"
        "auto：按文本语言选择已安装的模型",
    },
    "model_info_installed": {"en": "An installed model", "zh": "已安装的模型"},
    "model_info_installed_auto": {
        "en": "An installed model. auto: the one for the language of the text",
        "zh": "已安装的模型。auto：按文本语言选择",
    },
    "precision": {"en": "Precision", "zh": "精度"},
    "precision_info": {"en": "auto: the fastest one", "zh": "auto：最快的精度"},
    "default": {"en": "default", "zh": "默认"},
    "yes": {"en": "yes", "zh": "是"},
    "no": {"en": "no", "zh": "否"},
    "range": {"en": "From {low} to {high}.", "zh": "从 {low} 到 {high}。"},
    "at_least": {"en": "At least {low}.", "zh": "不小于 {low}。"},
    "at_most": {"en": "At most {high}.", "zh": "不大于 {high}。"},
    "list_info": {
        "en": "One per line, separated by commas, or a JSON list.",
        "zh": "每行一个，或用逗号分隔；也可以是 JSON 列表。",
    },
    "json_info": {"en": "As JSON.", "zh": "JSON 格式。"},
    "license": {"en": "licence", "zh": "许可证"},
    "languages": {"en": "languages", "zh": "语言"},
    "window": {"en": "window", "zh": "窗口"},
    "tokens": {"en": "{n} {n:token|tokens}", "zh": "{n} 个词元"},
    "token_rate": {"en": "{rate} tokens per second", "zh": "每秒 {rate} 个词元"},
    "first_token": {"en": "first token after {time}", "zh": "首个词元用时 {time}"},
    "finish_length": {"en": "maximum length reached", "zh": "已达最大长度"},
    "finish_stopped": {"en": "stopped", "zh": "已停止"},
    "growing": {"en": "Generating…", "zh": "正在生成…"},
    "empty_text": {"en": "The result is empty", "zh": "结果为空"},
    "copy": {"en": "Copy", "zh": "复制"},
    "copied": {"en": "Copied", "zh": "已复制"},
    "labels": {"en": "labels", "zh": "标签"},
    "more": {"en": "and {n} more", "zh": "另有 {n} 个"},
    "size": {"en": "size", "zh": "大小"},
    "not_fetched": {
        "en": "Downloaded when first used.",
        "zh": "首次使用时下载。",
    },
    "loaded_in": {"en": "model loaded in {time}", "zh": "模型加载用时 {time}"},
    "shortened": {
        "en": "The first {n} of {total} characters are shown.",
        "zh": "仅显示前 {n} 个字符，共 {total} 个。",
    },
    "foreign_one": {"en": "The text looks like {languages}.", "zh": "文本似乎是{languages}。"},
    "foreign_many": {
        "en": "{n} of {total} texts look like {languages}.",
        "zh": "{total} 条文本中有 {n} 条似乎是{languages}。",
    },
    "foreign_known": {"en": "The model knows {languages}.", "zh": "模型支持的语言：{languages}。"},
    "foreign_answer": {"en": "The answer may be wrong.", "zh": "结果可能有误。"},
    # Chinese has no space between sentences.
    "sentence_gap": {"en": " ", "zh": ""},
    "stop": {"en": "Stop", "zh": "停止"},
    "answer": {"en": "result", "zh": "结果"},
    "error_input": {"en": "The input cannot be processed", "zh": "无法处理这个输入"},
    "error_option": {"en": "An option is not valid", "zh": "选项无效"},
    "error_data": {"en": "The file cannot be read", "zh": "无法读取文件"},
    "error_model": {"en": "The model cannot be used", "zh": "无法使用该模型"},
    "error_offline": {"en": "The network is switched off", "zh": "网络已关闭"},
    "error_other": {"en": "An error occurred", "zh": "出错了"},
    "error_page": {"en": "This page could not be built", "zh": "无法生成此页面"},
    "error_unexpected_hint": {
        "en": "This is a bug in {plugin}; your input is not the cause. The server log has details.",
        "zh": "这是 {plugin} 的错误，与输入无关。详情见服务器日志。",
    },
    "hint": {"en": "What to do", "zh": "怎么办"},
    "state_available": {"en": "installed", "zh": "已安装"},
    "state_loaded": {"en": "working", "zh": "正常"},
    "state_failed": {"en": "failed", "zh": "失败"},
    "state_disabled": {"en": "disabled", "zh": "已停用"},
    "open": {"en": "Open", "zh": "打开"},
    "tasks": {"en": "tasks", "zh": "任务"},
    "module": {"en": "module", "zh": "模块"},
    "foot": {
        "en": "Runs on this machine only, without external fonts, scripts or statistics.",
        "zh": "只在本机运行：不加载外部字体和脚本，不收集统计信息。",
    },
    "why": {"en": "Why", "zh": "原因"},
    "why_ask": {"en": "Why this answer?", "zh": "为什么是这个结果？"},
    "why_of": {"en": "Why: {target}", "zh": "原因：{target}"},
    "why_nothing": {
        "en": "There is nothing to explain in this answer.",
        "zh": "这个结果没有可解释的内容。",
    },
    "why_key": {
        "en": "Solid underline: the word supports the answer. Dashed underline: it opposes the "
        "answer. The stronger the shade, the larger the weight.",
        "zh": "实线：该词支持此结果；虚线：该词不支持此结果。底色越深，权重越大。",
    },
    "why_for": {"en": "for", "zh": "支持"},
    "why_against": {"en": "against", "zh": "反对"},
    "why_facts_log_odds": {
        "en": "Weights are changes of the log odds: {value} with all words, {baseline} without "
        "any. Method: {method}, {passes} passes of the model.",
        "zh": "权重是对数几率的变化：含全部词时为 {value}，不含任何词时为 {baseline}。"
        "方法：{method}，模型计算 {passes} 次。",
    },
    "why_facts_output": {
        "en": "Weights are changes of the model's output: {value} with all words, {baseline} "
        "without any. Method: {method}, {passes} passes of the model.",
        "zh": "权重是模型输出的变化：含全部词时为 {value}，不含任何词时为 {baseline}。"
        "方法：{method}，模型计算 {passes} 次。",
    },
    "col_word": {"en": "word", "zh": "词"},
    "col_weight": {"en": "weight", "zh": "权重"},
    "col_effect": {"en": "effect", "zh": "作用"},
    "col_field": {"en": "field", "zh": "字段"},
    "col_label": {"en": "label", "zh": "标签"},
    "col_score": {"en": "score", "zh": "得分"},
    "col_text": {"en": "text", "zh": "文本"},
    "col_rank": {"en": "#", "zh": "#"},
    "col_answer": {"en": "answer", "zh": "答案"},
    "col_passage": {"en": "passage", "zh": "段落"},
    "col_type": {"en": "type", "zh": "类型"},
    "col_start": {"en": "start", "zh": "起始"},
    "col_end": {"en": "end", "zh": "结束"},
    **BATCH,
}


def say(key: str, language: str, **values: object) -> str:
    """The text ``key`` in ``language``, with ``values`` inserted."""
    forms = TEXTS[key]
    text = forms.get(language, forms["en"])
    if not values:
        return text
    return _PLURAL.sub(lambda found: found[2 + (str(values[found[1]]) != "1")], text).format(
        **values
    )


def duration(seconds: float) -> str:
    """A duration in seconds as readable text: ``3.4 ms``, ``1.2 s``, ``2 min 5 s``."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def language_of(request: Any) -> str:
    """The language for a Gradio request: the supported one that the browser prefers most."""
    headers: Mapping[str, str] = getattr(request, "headers", None) or {}
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(str(headers.get("accept-language", "")).split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        wanted.append((-quality, place, tag.lower().split("-")[0]))
    return next((tag for _, _, tag in sorted(wanted) if tag in LANGUAGES), "en")


def visitor_of(request: Any) -> str:
    """The id of the open page that sent a Gradio request."""
    return str(getattr(request, "session_hash", None) or "")


def translations(extra: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The texts of the interface and the ``extra`` ones, by language and key."""
    every: dict[str, Mapping[str, str]] = {**TEXTS, **extra}
    return {
        language: {PREFIX + key: forms.get(language, forms["en"]) for key, forms in every.items()}
        for language in LANGUAGES
    }
