"""Language codes: that ``fr``, ``fra``, ``fr_XX`` and ``fra_Latn`` are one language."""

from __future__ import annotations

import re

# ISO 639-1, then the codes of ISO 639-3 that stand for the same language, or for the variety of
# it that models mean.
_TABLE = """
af afr|am amh|an arg|ar ara arb|as asm|ast|az aze azj|be bel|bg bul|bn ben|br bre|bs bos|ca cat|
ceb|cs ces cze|cy cym wel|da dan|de deu ger|dz dzo|el ell gre|en eng|eo epo|es spa|et est ekk|
eu eus baq|fa fas pes per|ff ful fuv|fi fin|fo fao|fr fra fre|fy fry|ga gle|gd gla|gl glg|gu guj|
ha hau|he heb iw|hi hin|hr hrv|ht hat|hu hun|hy hye arm|id ind|ig ibo|ilo|is isl ice|it ita|
ja jpn jap|jv jav jw|ka kat geo|kk kaz|km khm|kn kan|ko kor|ku kur kmr ckb|ky kir|la lat|lb ltz|
lg lug|ln lin|lo lao|lt lit|lv lav lvs|mg mlg plt|mi mri mao|mk mkd mac|ml mal|mn mon khk|mr mar|
ms msa zsm may|mt mlt|my mya bur|nb nob|ne nep npi|nl nld dut|nn nno|no nor|ns nso|ny nya|oc oci|
or ori ory|pa pan|pl pol|ps pus pbt|pt por pb|qu que quy|ro ron rum|ru rus|rw kin|sd snd|se sme|
si sin|sk slk slo|sl slv|sn sna|so som|sq sqi als alb|sr srp|ss ssw|su sun|sv swe|sw swa swh|
ta tam|te tel|th tha|ti tir|tl tgl fil|tn tsn|tr tur|tt tat|ug uig|uk ukr|ur urd|uz uzb uzn|
vi vie|vo vol|wa wln|wo wol|xh xho|yi yid ydd|yo yor|zh zho cmn chi zhs yue|zu zul
"""
_BASE = {
    code: names.split()[0]
    for names in _TABLE.replace("\n", "").split("|")
    for code in names.split()
}

_NAMES = """
ar Arabic 阿拉伯语|bg Bulgarian 保加利亚语|bn Bengali 孟加拉语|ca Catalan 加泰罗尼亚语|
cs Czech 捷克语|da Danish 丹麦语|de German 德语|el Greek 希腊语|en English 英语|
es Spanish 西班牙语|et Estonian 爱沙尼亚语|fa Persian 波斯语|fi Finnish 芬兰语|fr French 法语|
he Hebrew 希伯来语|hi Hindi 印地语|hr Croatian 克罗地亚语|hu Hungarian 匈牙利语|
id Indonesian 印尼语|it Italian 意大利语|ja Japanese 日语|ko Korean 韩语|lt Lithuanian 立陶宛语|
lv Latvian 拉脱维亚语|ms Malay 马来语|nl Dutch 荷兰语|no Norwegian 挪威语|pl Polish 波兰语|
pt Portuguese 葡萄牙语|ro Romanian 罗马尼亚语|ru Russian 俄语|sk Slovak 斯洛伐克语|
sl Slovenian 斯洛文尼亚语|sr Serbian 塞尔维亚语|sv Swedish 瑞典语|sw Swahili 斯瓦希里语|
ta Tamil 泰米尔语|th Thai 泰语|tr Turkish 土耳其语|uk Ukrainian 乌克兰语|ur Urdu 乌尔都语|
vi Vietnamese 越南语|zh Chinese 中文
"""
_TITLES = {
    code: {"en": english, "zh": chinese}
    for code, english, chinese in (entry.split() for entry in _NAMES.replace("\n", "").split("|"))
}

_OTHER_NAMES = {
    "Arabic": "阿拉伯字母",
    "Cyrillic": "西里尔字母",
    "Devanagari": "天城文",
    "Bengali": "孟加拉文",
    "Ethiopic": "吉兹字母",
    "Hebrew": "希伯来字母",
    "Tibetan": "藏文",
    "unknown characters": "模型词表之外的文字",
    "another language": "其他语言",
}

SPACELESS = frozenset({"ja", "km", "lo", "my", "th", "zh"})
"""Languages that are written without spaces between sentences or words."""


def base(code: str) -> str | None:
    """The short code of a language, however it is written; None if it is not known."""
    return _BASE.get(re.split(r"[_-]", code)[0].lower())


def title(code: str) -> str | dict[str, str]:
    """What a language is called; of rare ones the code."""
    found = _TITLES.get(base(code) or "")
    if found is None:
        return code
    plain = re.fullmatch(r"[a-z]{2,3}", code)
    return found if plain else {name: f"{text} ({code})" for name, text in found.items()}


def name_of(code: str, language: str = "en") -> str:
    """The name of a language, or of a script, in English or Chinese; of rare ones the code."""
    names = title(code)
    if isinstance(names, dict):
        return names[language]
    return _OTHER_NAMES.get(code, code) if language == "zh" else code
