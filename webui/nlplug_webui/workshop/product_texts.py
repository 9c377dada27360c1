"""The texts of the tools on the pages of tasks: presets, alternatives, downloads, the history."""

from __future__ import annotations

# Key → English, Chinese. {n} and the like are filled in by the scripts.
PRODUCTS: dict[str, tuple[str, str]] = {
    "gpu_used": ("Training uses the GPU: {names}.", "训练使用 GPU：{names}。"),
    "gpu_unused": (
        "This machine has a GPU ({names}), but the installed PyTorch is built for the CPU. "
        "Install its CUDA build to train faster.",
        "本机有 GPU（{names}），但已安装的 PyTorch 是 CPU 版本。安装其 CUDA 版本可以加快训练。",
    ),
    "batches": ("Results on the server", "服务器上的结果"),
    "batches_info": (
        "The server keeps a result, also after a restart, until nobody has opened it for 24 hours. "
        "It keeps at most {n} results of all visitors. Other browsers do not list your results.",
        "结果会保留在服务器上，重新启动后仍然存在；超过 24 小时未打开则删除，"
        "所有访问者的结果合计最多保留 {n} 个。其他浏览器不会列出你的结果。",
    ),
    "batch_going": ("A file that is being processed", "正在处理的文件"),
    "chat": ("Chat", "对话"),
    "prompt": ("Prompt", "提示"),
    "chat_or_prompt": ("Chat or prompt", "对话或提示"),
    "system": ("System message", "系统消息"),
    "system_info": ("Instructions for the whole chat. Empty: none.", "整个对话的指令。留空：无。"),
    "message": ("Message", "消息"),
    "send": ("Send", "发送"),
    "you": ("You", "你"),
    "model_says": ("Model", "模型"),
    "new_chat": ("New chat", "新对话"),
    "edit_message": ("Edit", "编辑"),
    "chat_cut": (
        "The answer may be incomplete: it has the maximum number of new tokens (see Options).",
        "回答可能不完整：已达到“最多新词元数”（见选项）。",
    ),
    "chat_none": (
        "Write a message. Enter sends it, Shift + Enter begins a new line.",
        "请输入消息。Enter 发送，Shift + Enter 换行。",
    ),
    "least_score": ("Minimum score: {score}", "最低得分：{score}"),
    "presets": ("Style", "风格"),
    "preset_focused": ("Focused", "稳定"),
    "preset_balanced": ("Balanced", "均衡"),
    "preset_creative": ("Creative", "多变"),
    "preset_focused_info": (
        "Temperature 0: always the most likely token.",
        "温度 0：总是选最可能的词元。",
    ),
    "preset_balanced_info": ("Temperature 0.7, top-p 0.9.", "温度 0.7，top-p 0.9。"),
    "preset_creative_info": ("Temperature 1.1, top-p 0.95.", "温度 1.1，top-p 0.95。"),
    "again": ("Regenerate", "重新生成"),
    "go_on": ("Continue the text", "继续写"),
    "probabilities": ("Show token probabilities", "显示词元概率"),
    "probabilities_info": (
        "Underlined: wavy below 25 %, dashed below 50 %, dotted below 75 %. Point at a token for "
        "its value.",
        "下划线：波浪线低于 25 %，虚线低于 50 %，点线低于 75 %。指向词元可查看数值。",
    ),
    "alternatives": ("Alternatives", "其他译法"),
    "no_alternatives": ("No other text for this part.", "此部分没有其他译法。"),
    "from_word": ("Change the text from a word on", "从某个词开始修改"),
    "whole_part": ("whole sentence", "整句"),
    "current": ("Shown now", "当前"),
    "edited": (
        "Changed by you. Confirm or correct stores the changed text.",
        "已由你修改。确认或更正时将保存修改后的文本。",
    ),
    "source_language": ("From", "从"),
    "target_language": ("To", "到"),
    "detect": ("Detect language", "自动识别"),
    "detected": ("Detected: {language}", "已识别：{language}"),
    "swap": ("Swap the languages", "互换语言"),
    "swap_model": ("Swap the languages: use {model}", "互换语言：改用 {model}"),
    "no_swap": (
        "Neither this model nor another one on this machine translates in the other direction.",
        "此模型和本机的其他模型都不支持反方向翻译。",
    ),
    "whole_file": ("Translate a text file", "翻译文本文件"),
    "whole_file_info": (
        "Text, Markdown, SubRip, WebVTT or HTML (.txt, .md, .srt, .vtt, .html), in UTF-8, at most "
        "2 MB. Lines, times, placeholders, tags and scripts are kept.",
        "UTF-8 编码的 .txt、.md、.srt、.vtt、.html 文件，最大 2 MB。换行、时间、占位符、标签和脚本"
        "保持不变。",
    ),
    "file_large": ("The file is larger than 2 MB.", "文件超过 2 MB。"),
    "file_not_text": ("The file is not text in UTF-8.", "文件不是 UTF-8 文本。"),
    "file_busy": ("{name}: about {share} done", "{name}：约完成 {share}"),
    "file_done": ("{name} is translated.", "{name} 已翻译。"),
    "file_stopped": (
        "Stopped. The file contains the finished part.",
        "已停止。文件包含已完成的部分。",
    ),
    "save_as": ("Download {name}", "下载 {name}"),
    "to_mark": ("Show in the text", "在文中显示"),
    "download": ("Download:", "下载："),
    "history": ("History", "历史记录"),
    "history_keep": (
        "Keep the last 50 calls in this browser",
        "在此浏览器中保留最近 50 次调用",
    ),
    "history_info": (
        "Texts and options are stored only in this browser. Turning the history off deletes them.",
        "文本和选项只保存在此浏览器中，关闭历史记录后即删除。",
    ),
    "history_off": (
        "This browser stores nothing for this page, as in a private window.",
        "此浏览器不为本页面保存任何内容（例如无痕窗口）。",
    ),
    "history_none": ("No call yet.", "还没有调用。"),
    "history_clear": ("Delete all", "全部删除"),
}
