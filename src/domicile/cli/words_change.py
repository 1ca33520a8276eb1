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
    # Plan and apply.
    "p_when": ("WHEN", "何时生效"),
    "p_guest": ("GUEST SEES", "客户机可见"),
    "p_blocks": ("BLOCKS", "妨碍"),
    "p_change": ("CHANGE", "变更"),
    "p_when_live": ("now", "立即"),
    "p_when_start": ("next start", "下次启动"),
    "p_when_anew": ("made anew", "需重建"),
    "p_migration": ("migration", "迁移"),
    "p_snapshot": ("snapshots", "快照"),
    "p_why": ("{path}: not now: {why}", "{path}：无法立即生效：{why}"),
    "p_against": ("{path}: blocks {what}: {why}", "{path}：妨碍{what}：{why}"),
    "p_new": ("{name} would be defined; there is none of this name yet", "将定义 {name}；目前没有此名称的虚拟机"),
    "p_same": ("{name}: nothing would change", "{name}：没有变化"),
    "p_head_runs": ("{name} runs; this would change:", "{name} 正在运行；将有以下变更："),
    "p_head_off": ("{name} is off; this would change:", "{name} 已关机；将有以下变更："),
    "p_nothing_waits": (
        "{name}: what is stored and what runs are the same",
        "{name}：存储的定义与运行的一致",
    ),
    "p_waits": (
        "{name}: what is stored and not yet so in the running machine:",
        "{name}：已存储而正在运行的虚拟机尚未采用：",
    ),
    "p_apply": (
        "nothing was done; domicile apply {file} --plan {digest} does it",
        "尚未执行任何操作；执行请用 domicile apply {file} --plan {digest}",
    ),
    "p_done": ("done at once: {count} ({steps})", "已立即生效：{count} 处（{steps}）"),
    "p_rest": ("at the next start: {count}", "下次启动生效：{count} 处"),
    "p_no_digest": ("--plan needs the digest that a plan gave", "--plan 需要计划给出的摘要"),
    "pending_count": ("changed: {count}, at next start", "已修改 {count} 处，下次启动生效"),
    "i_waits": ("{when}: {what}", "{when}：{what}"),
    "i_more": ("and {count} more (domicile plan {name})", "另有 {count} 处（domicile plan {name}）"),
}
