"""What the command line says of past and coming changes: blame, at, plan, apply. Part of `words.WORDS`."""

from __future__ import annotations

#: Key, English, Chinese.
WORDS: dict[str, tuple[str, str]] = {
    # Blame and at.
    "origin": ("ORIGIN", "来源"),
    "bad_moment": (
        "'{value}' is no moment (accepted: 03:12, 2026-11-30, '2026-11-30 03:12', 2026-11-30T03:12:00+01:00)",
        "“{value}”不是时刻（可接受：03:12、2026-11-30、“2026-11-30 03:12”、2026-11-30T03:12:00+01:00）",
    ),
    "at_moment": ("At {when}:", "{when} 时："),
    "at_nothing": ("nothing was defined, and nothing ran", "没有定义，也没有运行"),
    "at_defined": ("DEFINED", "定义"),
    "ran": ("RAN", "运行"),
    "since": ("SINCE", "起始"),
    "started_by": ("STARTED BY", "启动者"),
    "ran_revision": ("revision {revision}", "版本 {revision}"),
    "ran_transient": ("without definition", "无定义"),
    # Reports.
    "kept_words": ("{words}: {paths}", "{words}：{paths}"),
    "duplicate": ("twice: {path}: {words}", "重复：{path}：{words}"),
    "r_kept": ("kept", "沿用"),
    "r_defaulted": ("default", "默认"),
    "r_allocated": ("allocated", "分配"),
    "r_added": ("added", "添加"),
}
