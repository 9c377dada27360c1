"""The texts of the workspace pages, in English and in Chinese; the scripts get them as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from nlplug_webui.error_texts import kind_texts
from nlplug_webui.texts import LANGUAGES, say
from nlplug_webui.texts import TEXTS as PAGES
from nlplug_webui.workshop.inside_texts import INSIDE
from nlplug_webui.workshop.more_texts import MORE
from nlplug_webui.workshop.product_texts import PRODUCTS
from nlplug_webui.workshop.report_texts import REPORT

ROOTS = {
    "workspace": "np-workshop",
    "compare": "np-compare",
    "inside": "np-inside",
    "plugins": "np-plugins",
}
"""Page → id of the element that its script fills."""

SHARED = (
    *("copied_partly", "copy_link", "empty_text", "live", "outdated", "sentence_gap"),
    *(key for key in PAGES if key.startswith("col_")),
)
"""Texts that the pages of tasks have too."""

# Key → English, Chinese. {n} and the like are filled in by the scripts.
TEXTS: dict[str, tuple[str, str]] = {
    "off": (
        "This server has no workspace. A workspace is a folder for corrections, data sets, "
        "training runs and models. Start the server with:",
        "此服务器没有工作区。工作区是用于保存更正、数据集、训练和模型的文件夹。启动方式：",
    ),
    "datasets": ("Data sets", "数据集"),
    "runs": ("Training runs and models", "训练与模型"),
    "none": ("Nothing here yet.", "这里还没有内容。"),
    "no_match": ("No row matches.", "没有符合条件的行。"),
    "no_runs": (
        "No training run yet. Open a data set, then click “Train a model”.",
        "还没有训练。请打开一个数据集，然后点击“训练模型”。",
    ),
    "folder": ("Folder of the workspace: {path}", "工作区文件夹：{path}"),
    "no_data": (
        "No data set yet. Correct an answer on the page of a task, or create a data set and "
        "import a file.",
        "还没有数据集。可以在任务页面更正结果，或新建数据集并导入文件。",
    ),
    "no_such_data": (
        "There is no data set {name} in this workspace.",
        "此工作区没有数据集 {name}。",
    ),
    "no_such_run": (
        "There is no training run {name} in this workspace.",
        "此工作区没有训练 {name}。",
    ),
    "new_data": ("New data set", "新建数据集"),
    "name": ("Name", "名称"),
    "task": ("Task", "任务"),
    "create": ("Create", "新建"),
    "rows": ("{n} {n:row|rows}", "{n} 行"),
    "unlabelled": ("{n} to label", "{n} 条待标注"),
    "open": ("Open", "打开"),
    "delete": ("Delete", "删除"),
    "delete_data": (
        "Delete the data set {name} and all its rows?",
        "删除数据集 {name} 及其全部数据？",
    ),
    "delete_run": (
        "Delete the run {name} with its model and report?",
        "删除训练 {name} 及其模型和报告？",
    ),
    "delete_rows": ("Delete {n} selected {n:row|rows}", "删除选中的 {n} 行"),
    "really": ("Click again to delete", "再次点击以删除"),
    "back": ("Workspace", "工作区"),
    "tab_rows": ("Labelled", "已标注"),
    "tab_unlabelled": ("To label", "待标注"),
    "search": ("Search", "搜索"),
    "label": ("Label", "标签"),
    "all_labels": ("All labels", "全部标签"),
    "repeated": ("Only repeated texts ({n})", "仅显示重复文本（{n}）"),
    "balance": ("Balance", "分布"),
    "shown": ("{from} to {to} of {n}", "第 {from}–{to} 条，共 {n} 条"),
    "before": ("Previous", "上一页"),
    "next": ("Next", "下一页"),
    "edit": ("Edit", "编辑"),
    "select": ("Select", "选择"),
    "save": ("Save", "保存"),
    "cancel": ("Cancel", "取消"),
    "import": ("Import a file", "导入文件"),
    "import_info": (
        "CSV, TSV, JSONL, JSON, Parquet, CoNLL, doccano or Label Studio. Rows without an answer "
        "are texts to label.",
        "CSV、TSV、JSONL、JSON、Parquet、CoNLL、doccano 或 Label Studio。"
        "没有答案的行为待标注文本。",
    ),
    "imported": (
        "{rows} {rows:row|rows} and {unlabelled} {unlabelled:text|texts} to label were added.",
        "已添加 {rows} 行和 {unlabelled} 条待标注文本。",
    ),
    "export": ("Export", "导出"),
    "check": ("Check the data", "检查数据"),
    "check_ok": ("The check found nothing wrong.", "检查未发现问题。"),
    "severity_error": ("Error", "错误"),
    "severity_warning": ("Warning", "警告"),
    "severity_note": ("Note", "提示"),
    "uncertain": ("Most uncertain next", "优先标注最不确定的"),
    "uncertain_info": (
        "The model answers the texts to label (at most 500). Those with the least certain answers "
        "come first.",
        "模型先预测待标注文本（最多 500 条），最不确定的排在最前。",
    ),
    "model": ("Model", "模型"),
    "default_model": ("Model of the task", "任务的默认模型"),
    "uncertainty": ("Uncertainty {n}", "不确定度 {n}"),
    "all_done": ("All shown texts are labelled.", "所列文本均已标注。"),
    "train": ("Train a model", "训练模型"),
    "train_on": ("Train on {name}", "用 {name} 训练"),
    "base": ("Base", "基础模型"),
    "base_info": (
        "Folder or Hub id of a pretrained checkpoint, or the name of an installed model. Empty: "
        "the default of the task.",
        "预训练检查点的文件夹或 Hub 模型名，或已安装模型的名称。留空则使用任务的默认值。",
    ),
    "effort": ("Effort", "训练强度"),
    "effort_quick": ("Quick", "快速"),
    "effort_standard": ("Standard", "标准"),
    "effort_thorough": ("Thorough", "充分"),
    "advanced": ("Advanced settings", "高级设置"),
    "epochs": ("Epochs", "训练轮数"),
    "batch_size": ("Batch size", "批大小"),
    "learning_rate": ("Learning rate", "学习率"),
    "max_length": ("Maximum length (tokens)", "最大长度（词元）"),
    "eval_share": ("Share of held-out rows", "留出数据比例"),
    "seed": ("Random seed", "随机种子"),
    "precisions": ("Precisions to export", "导出精度"),
    "empty_chosen": ("Automatic", "自动"),
    "start": ("Start training", "开始训练"),
    "missing": ("Training is not possible in this environment.", "当前环境无法训练。"),
    "state_running": ("running", "进行中"),
    "state_finished": ("finished", "已完成"),
    "state_stopped": ("stopped", "已停止"),
    "state_stopping": ("stopping", "正在停止"),
    "state_failed": ("failed", "失败"),
    "stop": ("Stop", "停止"),
    "stop_info": (
        "A checkpoint is saved, and the run can be continued.",
        "会保存检查点，之后可以继续。",
    ),
    "stop_now": ("Stop at once", "立即停止"),
    "stopping_info": (
        "The run saves a checkpoint and ends. Stopping at once loses the steps since the last "
        "checkpoint.",
        "正在保存检查点，随后结束。立即停止会丢失上一个检查点之后的进度。",
    ),
    "failed_info": (
        "The log says why. Continue begins at the last checkpoint, or from the start if there is "
        "none.",
        "原因见日志。“继续”从上一个检查点开始；没有检查点时从头开始。",
    ),
    "resume": ("Continue", "继续"),
    "loss": ("Loss", "损失"),
    "score": ("Score", "得分"),
    "step": ("step", "步"),
    "log": ("Log", "日志"),
    "command": ("Show me the command", "显示命令"),
    "report": ("Report", "报告"),
    "full_report": ("Full report", "完整报告"),
    "baseline": ("Baseline: {name}", "基线：{name}"),
    "this_model": ("This model", "本模型"),
    "interval": ("95 % interval", "95 % 区间"),
    "measured": ("Measured on {n} {n:row|rows}.", "在 {n} 行数据上测得。"),
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "confusion_info": (
        "Rows: right label. Columns: label of the model. Click a number to see its rows.",
        "行：正确标签。列：模型的标签。点击数字查看对应的数据。",
    ),
    "behind": ("{truth}, answered as {given}", "{truth}，被判为 {given}"),
    "calibration": ("Calibration", "校准"),
    "calibration_info": (
        "Bars: share of right answers at each score. On the line, this share equals the score.",
        "柱形：各得分区间内的正确率。落在线上表示得分等于正确率。",
    ),
    "mistakes": ("Most confident errors", "最自信的错误"),
    "no_mistakes": ("No errors on the measured rows.", "在测量数据上没有错误。"),
    "gate": ("Quality gate", "质量检验"),
    "gate_info": (
        "Each precision is compared with PyTorch on {rows}. The largest accepted loss is "
        "{budget} points.",
        "每种精度都与 PyTorch 比较，数据为 {rows}。可接受的最大损失为 {budget} 个百分点。",
    ),
    "precision": ("Precision", "精度"),
    "form": ("Form", "形式"),
    "size": ("Size", "大小"),
    "lost": ("Points lost", "损失（百分点）"),
    "agreement": ("Agreement", "一致率"),
    "outcome": ("Outcome", "结果"),
    "kept": ("kept", "保留"),
    "refused": ("refused: {why}", "拒绝：{why}"),
    "use": ("Use it here now", "立即在此使用"),
    "wheel": ("Download as wheel", "下载为 wheel"),
    "packing": ("Packing the model…", "正在打包模型……"),
    "use_packaged": (
        "This server opens installed models only. Install the wheel to use it here.",
        "此服务器只打开已安装的模型。安装 wheel 后即可使用。",
    ),
    "correct": ("Confirm or correct", "确认或更正"),
    "correct_label": (
        "Choose the right label: click, or press its number. Enter on the chosen label saves.",
        "选择正确的标签：点击，或按数字键。在选中的标签上按 Enter 保存。",
    ),
    "correct_spans": (
        "Select text (by keyboard: arrow keys, with Shift), then choose its label: click, or press "
        "its number. Click a marked span to remove it.",
        "选中文本（键盘：方向键，按住 Shift），再选择标签：点击，或按数字键。"
        "点击已标记的片段可删除。",
    ),
    "correct_answer": (
        "Select the right answer in the text (by keyboard: arrow keys, with Shift), or choose "
        "“No answer”.",
        "在文本中选中正确答案（键盘：方向键，按住 Shift），或选择“没有答案”。",
    ),
    "correct_text": ("Edit the text.", "编辑文本。"),
    "no_answer": ("No answer", "没有答案"),
    "other_label": ("Other label", "其他标签"),
    "into": ("Data set", "数据集"),
    "stored": ("Stored in {name}, which has {n} {n:row|rows} now.", "已存入 {name}，现有 {n} 行。"),
    "to_data": ("Open the data set", "打开数据集"),
    "logged_out": (
        "You are logged out: the server was restarted, or 12 hours have passed.",
        "登录已失效：服务器已重启，或已超过 12 小时。",
    ),
    "log_in": ("Log in", "登录"),
    "lost_server": ("The server does not answer.", "服务器没有响应。"),
    "lost_server_hint": (
        "What you entered stays on this page. Click Run when the server is there again.",
        "已输入的内容会保留在此页面。服务器恢复后，请点击“运行”。",
    ),
    "lost_again": (
        "Nothing on this page is lost. Try again when the server is there.",
        "此页面上的内容不会丢失。服务器恢复后请重试。",
    ),
    "lost_run": (
        "The training does not need the server. This page goes on when the server is there again.",
        "训练不依赖服务器，会继续进行。服务器恢复后，此页面会自动更新。",
    ),
    "trained_on": ("data: {name}", "数据：{name}"),
    "remove_span": ("Remove {text} ({label})", "删除 {text}（{label}）"),
}


def workshop_texts(*, any_folder: bool, corrects: bool) -> dict[str, Mapping[str, str]]:
    """The roots in which the scripts work, by key and language.

    Args:
        any_folder: Whether pages may open the folders of models.
        corrects: Whether answers can be stored.
    """

    def root(name: str, language: str) -> str:
        place = LANGUAGES.index(language)
        texts = json.dumps(
            {
                key: forms[place]
                for key, forms in (TEXTS | MORE | PRODUCTS | INSIDE | REPORT | kind_texts()).items()
            }
            | {key: say(key, language) for key in SHARED},
            ensure_ascii=True,
        )
        if name == "np-correct":  # stands below the products, which have the texts
            texts = "{}"
        return (
            f'<div id="{name}" class="np-workshop" data-texts="{escape(texts)}" '
            f'data-language="{language}" data-folders="{str(any_folder).lower()}"></div>'
        )

    # Not the empty text, in place of which Gradio shows the key.
    nothing = dict.fromkeys(LANGUAGES, "<!-- no workspace -->")
    correct = {name: root("np-correct", name) for name in LANGUAGES} if corrects else nothing
    return {
        **{
            f"{page}:root": {name: root(element, name) for name in LANGUAGES}
            for page, element in ROOTS.items()
        },
        "workshop:correct": correct,
        "products:root": {name: root("np-products", name) for name in LANGUAGES},
    }
