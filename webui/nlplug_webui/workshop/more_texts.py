"""The texts of the pages *Compare* and *Plugins* and of the list of shortcuts."""

from __future__ import annotations

# Key → English, Chinese. {n} and the like are filled in by the scripts.
MORE: dict[str, tuple[str, str]] = {
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "first": ("First", "第一个"),
    "second": ("Second", "第二个"),
    "model_or_folder": (
        "A name from the list, a folder or a Hub id.",
        "列表中的名称、文件夹或 Hub 模型名。",
    ),
    "no_such_task": (
        "There is no task {name} on this page. Choose one above.",
        "此页面没有任务 {name}。请在上方选择。",
    ),
    "options": ("Options of the task", "任务选项"),
    "options_info": (
        "These options apply to both models. If you do not change an option, each model uses its "
        "own default.",
        "选项对两个模型都生效。未更改的选项使用各模型自己的默认值。",
    ),
    "alike": (
        "Both sides are the same model in the same precision, so the answers will not differ. No "
        "other model is installed on this server.",
        "两侧是同一模型的同一精度，结果不会有差异。此服务器上没有安装其他可比较的模型。",
    ),
    "alike_any": (
        "Both sides are the same model in the same precision, so the answers will not differ. "
        "Enter another model on one side: a name from the list, a folder (such as one that you "
        "exported with other precisions), or a Hub id.",
        "两侧是同一模型的同一精度，结果不会有差异。请在其中一侧填写另一个模型：列表中的名称、"
        "文件夹（例如以其他精度导出的模型）或 Hub 模型名。",
    ),
    "on_text": ("On one text", "比较一段文本"),
    "on_file": ("On a file", "比较一个文件"),
    "on_file_info": (
        "With the right answers: a file in any format that nlplug compare reads. Without them: a "
        "file of inputs, as on the tab Batch; then only the agreement and the different answers "
        "are shown. The speed is measured on this machine.",
        "带有正确答案：可用 nlplug compare 支持的任何格式。没有正确答案：与“批量”相同的输入文件，"
        "此时只显示一致率和不同的结果。速度在本机测得。",
    ),
    "no_scores": (
        "A file of inputs, as on the tab Batch. Answers of this task have no scoring, so only the "
        "agreement and the different answers are shown.",
        "与“批量”相同的输入文件。此任务的结果没有评分方法，因此只显示一致率和不同的结果。",
    ),
    "labelled": ("The file has the right answers", "文件带有正确答案"),
    "file": ("File", "文件"),
    "limit": ("Maximum number of rows", "最大行数"),
    "compare": ("Compare", "比较"),
    "working": ("Comparing…", "正在比较……"),
    "same_answer": (
        "Same answer. Only the scores may differ.",
        "结果相同，只有得分可能不同。",
    ),
    "other_answer": (
        "The answers differ. Differences are underlined.",
        "结果不同。差异处带下划线。",
    ),
    "nothing_found": ("No result.", "没有结果。"),
    "speed": ("Rows per second", "每秒行数"),
    "cpu": ("CPU time per row", "每行 CPU 时间"),
    "agree": (
        "Same answer on {share} of {n} {n:row|rows}; different on {m}.",
        "{n} 行中有 {share} 结果相同，{m} 行不同。",
    ),
    "gain": (
        "{metric} of the second minus the first: {mean} (95 % interval {low} to {high}).",
        "第二个减第一个的 {metric}：{mean}（95 % 区间 {low} 至 {high}）。",
    ),
    "disagreements": (
        "Different answers ({n} of {m}, most confident first)",
        "不同的结果（{m} 条中的 {n} 条，按置信度从高到低）",
    ),
    "place": ("Row", "行"),
    "text": ("Text", "文本"),
    "truth": ("Right answer", "正确答案"),
    "download_report": ("Download report (HTML)", "下载报告（HTML）"),
    "download_json": ("Download result (JSON)", "下载结果（JSON）"),
    "gate_of": ("Quality gate of {name}", "{name} 的质量检验"),
    "gate_about": (
        "Each precision was compared with PyTorch on {rows}.",
        "每种精度都与 PyTorch 比较，数据为 {rows}。",
    ),
    "gate_budget": (
        "The largest accepted loss is {budget} points.",
        "可接受的最大损失为 {budget} 个百分点。",
    ),
    "gate_none": ("The model has no record of a quality gate.", "该模型没有质量检验的记录。"),
    "installed": ("Manage installed packages", "管理已安装的包"),
    "brings": ("Plugins: {names}", "插件：{names}"),
    "others": ("More plugins", "更多插件"),
    "all_installed": (
        "All plugins of the catalogue are installed.",
        "目录中的插件均已安装。",
    ),
    "install": ("Install", "安装"),
    "uninstall": ("Uninstall", "卸载"),
    "sure_install": ("Click again to install", "再次点击以安装"),
    "sure_uninstall": ("Click again to uninstall", "再次点击以卸载"),
    "changing": (
        "Running the command. This can take minutes.",
        "正在运行命令，可能需要几分钟。",
    ),
    "changed": (
        "Done. Restart the server to use the change.",
        "已完成。重新启动服务器后生效。",
    ),
    "change_failed": ("The command failed.", "命令失败。"),
    "no_loopback": (
        "The buttons are disabled because other machines can reach this server. Use the commands.",
        "其他机器可以访问此服务器，因此按钮不可用。请使用命令。",
    ),
    "no_login": (
        "The buttons are disabled because this server requires no login. Set NLPLUG_API_KEY and "
        "restart the server, or use the commands.",
        "此服务器无需登录，因此按钮不可用。请设置 NLPLUG_API_KEY 并重新启动，或使用命令。",
    ),
    "shortcuts": ("Keyboard shortcuts", "键盘快捷键"),
    "close": ("Close", "关闭"),
    "key_help": ("Show this list", "显示此列表"),
    "key_input": ("Go to the first text field", "转到第一个文本框"),
    "key_run": (
        "Run from a single-line text field, send a chat message, or save a correction",
        "在单行文本框中运行，发送对话消息，或保存更正",
    ),
    "key_run_long": (
        "Run from a multi-line text field; new line in a chat message",
        "在多行文本框中运行；在对话消息中换行",
    ),
    "key_run_any": (
        "Run from any text field of a form",
        "在表单的任意文本框中运行",
    ),
    "key_label": ("Choose a label while correcting", "更正时选择标签"),
    "key_select": ("Select text while correcting", "更正时选择文本"),
    "key_span": ("Remove the focused entity", "删除选中的实体"),
    "key_alternatives": (
        "Next or previous alternative of a translation",
        "下一个或上一个译文备选",
    ),
    "key_escape": (
        "Close the editor, the alternatives, the menu or this list; stop an answer of a chat",
        "关闭编辑器、备选译文、菜单或此列表；停止对话的回答",
    ),
}


def shortcut_texts(language: str) -> dict[str, str]:
    """The texts of the list of shortcuts, which each page has."""
    place = 1 if language == "zh" else 0
    names = [name for name in MORE if name.startswith("key_")]
    return {name: MORE[name][place] for name in ("shortcuts", "close", *names)}
