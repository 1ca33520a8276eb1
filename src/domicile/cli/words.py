"""Everything the command line says, in English and Chinese, and which of the two the person wants.

All other modules of this room say things by their key here; a test holds both languages to the same keys and fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domicile.cli import words_change, words_database

LANGUAGES = ("en", "zh")
_current = "en"


def use(language: str) -> None:
    """Speak this language from now on."""
    global _current  # noqa: PLW0603   one process speaks one language
    _current = language


def language() -> str:
    """Name the language spoken."""
    return _current


def wanted(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Find the language wanted: --lang wherever it stands, else the locale."""
    for index, word in enumerate(arguments):
        value = word.removeprefix("--lang=") if word.startswith("--lang=") else ""
        if word == "--lang" and index + 1 < len(arguments):
            value = arguments[index + 1]
        if value in LANGUAGES:
            return value
    locale = next((environment[key] for key in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(key)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def say(key: str, /, **fields: Any) -> str:
    """Say something in the language spoken."""
    english, chinese = WORDS[key]
    text = chinese if _current == "zh" else english
    return text.format(**fields) if fields else text


def pick(of: Mapping[str, Any], key: str = "") -> str:
    """Take the words in the language spoken out of an answer that holds both: ``en`` and ``zh``."""
    return str(of.get(f"{key}{_current}") or of.get(f"{key}en") or "")


#: Key, English, Chinese.
WORDS: dict[str, tuple[str, str]] = {
    # Help.
    "usage": ("Usage: ", "用法："),
    "options": ("Options", "选项"),
    "arguments": ("Arguments", "参数"),
    "examples": ("Examples", "示例"),
    "section_look": ("Look", "查看"),
    "section_define": ("Define", "定义"),
    "section_run": ("Run", "运行"),
    "section_past": ("Past versions", "历史版本"),
    "section_help": ("Help", "帮助"),
    "try_help": ("Try '{command} --help'.", "请参阅 '{command} --help'。"),
    "see_help": ("see domicile --help", "参见 domicile --help"),
    "near": ("did you mean: {names}?", "您是否想输入：{names}？"),
    "no_command": ("there is no command '{name}'; {hint}", "没有命令“{name}”；{hint}"),
    # Errors.
    "error": ("error: ", "错误："),
    "cannot_read": ("cannot read {path}: {why}", "无法读取 {path}：{why}"),
    "cannot_write": ("cannot write {path}: {why}", "无法写入 {path}：{why}"),
    "too_large": (
        "{path}: the document is too large; at most {most} MiB would be accepted",
        "{path}：文档过大，最多接受 {most} MiB",
    ),
    "no_daemon": (
        "no daemon answers at {socket}; start one with `domiciled`, or name its --root or --socket",
        "{socket} 处没有守护进程应答；请用 `domiciled` 启动，或用 --root、--socket 指定",
    ),
    "session_failed": ("your session daemon did not start: {why}", "会话守护进程未能启动：{why}"),
    "too_long": ("it took too long", "耗时过长"),
    "no_machine": ("there is no virtual machine '{name}'", "没有虚拟机“{name}”"),
    # States.
    "state_nostate": ("unknown", "未知"),
    "state_running": ("running", "运行中"),
    "state_blocked": ("blocked", "阻塞"),
    "state_paused": ("paused", "已暂停"),
    "state_shutting_down": ("shutting down", "正在关机"),
    "state_off": ("off", "已关机"),
    "state_crashed": ("crashed", "已崩溃"),
    "state_sleeping": ("sleeping", "休眠"),
    # Columns and labels.
    "id": ("ID", "编号"),
    "name": ("NAME", "名称"),
    "state": ("STATE", "状态"),
    "cpus": ("CPUS", "CPU"),
    "memory": ("MEMORY", "内存"),
    "machine": ("MACHINE", "机型"),
    "autostart": ("AUTOSTART", "自启动"),
    "revision": ("REVISION", "版本"),
    "title": ("TITLE", "标题"),
    "kind": ("KIND", "种类"),
    "when": ("WHEN", "时间"),
    "who": ("WHO", "谁"),
    "client": ("CLIENT", "客户端"),
    "changes": ("CHANGES", "变更"),
    "why": ("WHY", "原因"),
    "path": ("PATH", "路径"),
    "value": ("VALUE", "值"),
    "verb": ("ACTION", "操作"),
    "outcome": ("OUTCOME", "结果"),
    "file": ("FILE", "文件"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "none": ("no virtual machines", "没有虚拟机"),
    "nothing_found": ("nothing found", "未找到"),
    "pending": ("changed, at next start", "已修改，下次启动生效"),
    # Info.
    "i_uuid": ("UUID", "UUID"),
    "i_title": ("Title", "标题"),
    "i_description": ("Description", "说明"),
    "i_state": ("State", "状态"),
    "i_since": ("for {span}", "已 {span}"),
    "i_process": ("Process", "进程"),
    "i_process_words": (
        "pid {pid}, {cpu} of CPU time, {memory} resident, QEMU {qemu}",
        "pid {pid}，CPU 时间 {cpu}，驻留内存 {memory}，QEMU {qemu}",
    ),
    "i_machine": ("Machine", "机型"),
    "i_cpu": ("CPUs", "CPU"),
    "i_cpus_of": ("{now} of {most}", "{now}（上限 {most}）"),
    "i_memory": ("Memory", "内存"),
    "i_current": ("{now} of {most}", "{now}（上限 {most}）"),
    "i_boot": ("Boot", "启动"),
    "i_ends": ("On the guest's", "客户机"),
    "i_ends_words": (
        "poweroff: {poweroff}, reboot: {reboot}, crash: {crash}",
        "关机：{poweroff}，重启：{reboot}，崩溃：{crash}",
    ),
    "i_disks": ("Disks", "磁盘"),
    "i_networks": ("Networks", "网络"),
    "i_displays": ("Displays", "显示"),
    "i_consoles": ("Consoles", "控制台"),
    "i_controllers": ("Controllers", "控制器"),
    "i_others": ("Others", "其他"),
    "i_definition": ("Definition", "定义"),
    "i_definition_words": (
        "revision {revision}, {kind} by {user} with {client}, {when}",
        "版本 {revision}，{user} 用 {client} {kind}，{when}",
    ),
    "i_transient": ("none: it is forgotten when it stops", "无：停止后即被遗忘"),
    "i_pending": (
        "revision {running} runs; revision {revision} counts at the next start (domicile diff {name})",
        "正在运行版本 {running}；版本 {revision} 下次启动生效（domicile diff {name}）",
    ),
    "i_autostart": ("Autostart", "自启动"),
    "i_log": ("Log", "日志"),
    "i_empty": ("empty", "空"),
    "i_missing": ("MISSING: {why}", "缺失：{why}"),
    "i_readonly": ("read-only", "只读"),
    "i_size": ("{size}, {used} used", "{size}，已用 {used}"),
    "i_auto": ("a port at start", "启动时分配端口"),
    # Definitions.
    "defined": ("{name} is defined: revision {revision}", "{name} 已定义：版本 {revision}"),
    "redefined": ("{name} is changed: revision {revision}", "{name} 已修改：版本 {revision}"),
    "at_next_start": ("It runs as it was until its next start.", "正在运行的虚拟机在下次启动前保持不变。"),
    "ignored": ("ignored: {path}: {words}", "已忽略：{path}：{words}"),
    "generated_count": (
        "values filled in: {count} (domicile explain {name})",
        "已自动填写 {count} 处（domicile explain {name}）",
    ),
    "undefined": (
        "{name} is undefined; its history stays: domicile undelete {name}",
        "{name} 已取消定义；历史保留：domicile undelete {name}",
    ),
    "undeleted": ("{name} is back: revision {revision}", "{name} 已恢复：版本 {revision}"),
    "rolled_back": (
        "{name} is as revision {from_} was: revision {revision}",
        "{name} 已回到版本 {from_}：新版本 {revision}",
    ),
    "unchanged": ("nothing was changed", "没有改动"),
    "editor_failed": ("the editor '{editor}' ended with status {status}", "编辑器“{editor}”以状态 {status} 结束"),
    "edit_again": ("Edit it again?", "重新编辑？"),
    "kept": ("your text is kept in {path}", "您的文本保存在 {path}"),
    # Life.
    "did_start": ("{name} is running (id {id})", "{name} 正在运行（编号 {id}）"),
    "did_start_paused": ("{name} is started and paused (id {id})", "{name} 已启动并暂停（编号 {id}）"),
    "did_shutdown": ("{name} was asked to power off", "已请求 {name} 关机"),
    "did_shutdown_wait": ("{name} is off", "{name} 已关机"),
    "did_reboot": ("{name} was asked to reboot", "已请求 {name} 重启"),
    "did_reset": ("{name} is reset", "{name} 已复位"),
    "did_destroy": ("{name} is stopped", "{name} 已停止"),
    "host_name": ("Host", "主机"),
    "host_state": ("State", "状态"),
    "host_machines": ("Machines", "虚拟机"),
    "host_free": ("Free memory", "可用内存"),
    "host_ready": ("ready", "就绪"),
    "host_drained": ("drained", "已腾空"),
    "host_silent": ("silent", "无应答"),
    "host_here": ("here", "本机"),
    "host_open": ("this host takes machines again", "本机重新接纳虚拟机"),
    "host_empty": (
        "nothing runs here any more, and nothing starts here until `domicile host undrain`",
        "本机已无虚拟机运行；在 `domicile host undrain` 之前不会启动任何虚拟机",
    ),
    "host_stayed": ("not moved: {names}", "未迁走：{names}"),
    "host_refused": ("{name} cannot go to {host}: {why}", "{name} 无法迁往 {host}：{why}"),
    "host_none": (
        "no other host of this database is there; `domicile host list` shows them",
        "此数据库没有其他可用主机；见 `domicile host list`",
    ),
    "host_unknown": (
        "no host '{name}' that takes machines; `domicile host list` shows them",
        "没有接纳虚拟机的主机“{name}”；见 `domicile host list`",
    ),
    "did_migrate": (
        "{name} runs at {target} now; it took {seconds} s",
        "{name} 现在运行于 {target}；用时 {seconds} 秒",
    ),
    "can_migrate": ("nothing keeps {name} from moving to {target}", "没有什么妨碍 {name} 迁移到 {target}"),
    "would_be_accepted": (" (accepted: {what})", "（可接受：{what}）"),
    "migrate_source": ("here", "本机"),
    "migrate_target": ("there", "目标主机"),
    "migrate_cancelling": ("ending the migration…", "正在取消迁移……"),
    "migrate_progress": ("{share} % of memory and disks, {speed} MiB/s", "内存与磁盘已传 {share} %，{speed} MiB/s"),
    "did_suspend": ("{name} is paused", "{name} 已暂停"),
    "did_resume": ("{name} goes on", "{name} 已继续"),
    "did_autostart_on": ("{name} starts with the daemon", "{name} 将随守护进程启动"),
    "did_autostart_off": ("{name} no longer starts with the daemon", "{name} 不再随守护进程启动"),
    "still_up": ("{name} is still {state} after {seconds} s", "{seconds} 秒后 {name} 仍为“{state}”"),
    "console_open": ("Connected to {name}. Leave with Ctrl+].", "已连接 {name}。按 Ctrl+] 离开。"),
    "console_left": ("Left the console.", "已离开控制台。"),
    "console_over": ("The console was closed by the machine.", "虚拟机关闭了控制台。"),
    # Past.
    "kind_define": ("defined", "定义"),
    "kind_edit": ("edited", "编辑"),
    "kind_import": ("imported", "导入"),
    "kind_rollback": ("rolled back", "回退"),
    "kind_rename": ("renamed", "改名"),
    "kind_undefine": ("undefined", "取消定义"),
    "kind_undelete": ("undeleted", "恢复"),
    "same": ("{name}: revisions {old} and {new} are the same", "{name}：版本 {old} 与 {new} 相同"),
    "between": ("{name}: from revision {old} to {new}", "{name}：从版本 {old} 到 {new}"),
    "between_running": ("{name}: from revision {old}, which runs, to {new}", "{name}：从正在运行的版本 {old} 到 {new}"),
    "moved": ("order: {old} → {new}", "次序：{old} → {new}"),
    "whole": ("the machine", "虚拟机"),
    "no_log": ("nothing was done yet", "尚无操作"),
    # Explain.
    "x_yours": ("Yours.", "您指定。"),
    "x_adjusted": ("Yours; you wrote '{wrote}'.", "您指定；原文为“{wrote}”。"),
    "x_adjusted_why": ("Yours; you wrote '{wrote}': {why}.", "您指定；原文为“{wrote}”：{why}。"),
    "x_generated": ("Generated.", "自动生成。"),
    "x_generated_why": ("Generated: {why}.", "自动生成：{why}。"),
    "x_safe_yes": ("Safe to change", "可以修改"),
    "x_safe_care": ("The guest sees a change", "客户机能察觉改动"),
    "x_safe_no": (
        "Leave it: it is the identity, another value makes another thing",
        "请勿修改：它是标识，换值即成另一事物",
    ),
    "x_when_live": ("; can take effect while it runs.", "；可在运行时生效。"),
    "x_when_start": ("; counts at the next start.", "；下次启动生效。"),
    "x_when_never": (".", "。"),
    "x_legend": ("● yours  ◐ yours, in another form  ○ generated", "● 您指定  ◐ 您指定（换了写法）  ○ 自动生成"),
    "a_running": ("{name} runs as pid {pid} with these arguments:", "{name} 以 pid {pid} 运行，参数如下："),
    "a_would": ("{name} would be started with these arguments:", "{name} 将以下列参数启动："),
    "a_always": ("always", "始终"),
    # Check and adapt.
    "c_good": ("{file}: nothing is wrong", "{file}：没有问题"),
    "c_count": ("{file}: problems: {count}", "{file}：{count} 个问题"),
    "c_accepted": ("accepted: {words}", "可接受：{words}"),
    "c_ignored": ("ignored: ", "已忽略："),
    "ad_none": ("{file} runs here as it is", "{file} 无需修改即可在此运行"),
    "ad_from_to": ("{old} → {new}", "{old} → {new}"),
    "ad_removed": ("{old} is left out", "去除 {old}"),
    "ad_open": ("{old}: left to you", "{old}：待您决定"),
    "ad_why": ("why", "原因"),
    "ad_notice": ("the guest notices", "客户机察觉"),
    "ad_left": ("left to you: {count}", "还有 {count} 处待您决定"),
    "ad_dry": (
        "nothing was written; --write FILE writes the adapted document",
        "未写入任何文件；用 --write FILE 写出结果",
    ),
    "ad_written": ("written to {path}", "已写入 {path}"),
    "bad_map": ("'{value}' is no mapping (accepted: OLD=NEW)", "“{value}”不是映射（可接受：旧=新）"),
    # Create.
    "cr_yours": ("What you chose", "您的选择"),
    "cr_generated": ("What was generated", "自动生成的内容"),
    "cr_disk": ("{path} was made: {size}, {format}", "已创建 {path}：{size}，{format}"),
    "cr_exists": ("{path} exists already", "{path} 已存在"),
    "cr_image_failed": ("qemu-img could not make {path}: {why}", "qemu-img 无法创建 {path}：{why}"),
    "cr_no_qemu_img": ("qemu-img is not installed", "未安装 qemu-img"),
    "cr_bad_disk": (
        "'{key}' is no property of a disk (accepted: format, bus)",
        "“{key}”不是磁盘属性（可接受：format、bus）",
    ),
    # Find, doctor, import.
    "f_many": (
        "this is no question (accepted: VALUE, KIND VALUE, or PATH with = != < > ~ and a value)",
        "无法理解该查询（可接受：值、种类 值，或 路径 加 = != < > ~ 和值）",
    ),
    "d_good": ("good", "正常"),
    "d_note": ("note", "注意"),
    "d_bad": ("bad", "异常"),
    "d_remedy": ("remedy", "办法"),
    "d_daemon": ("daemon", "守护进程"),
    "d_answers": (
        "answers at {socket}, version {version}, {count} virtual machines",
        "在 {socket} 应答，版本 {version}，{count} 台虚拟机",
    ),
    "d_silent": ("none answers: {why}", "没有应答：{why}"),
    "im_done": ("revision {revision}", "版本 {revision}"),
    "im_autostart": (", autostart", "，自启动"),
    "im_skipped": ("skipped: no virtual machine", "跳过：不是虚拟机"),
    "im_count": ("{done} imported, {skipped} skipped, {failed} failed", "导入 {done}，跳过 {skipped}，失败 {failed}"),
    "im_progress": ("Importing", "正在导入"),
    "im_nothing": ("there are no definitions in {path}", "{path} 中没有定义"),
    "im_adapted": (", adapted in {count} places", "，适配 {count} 处"),
    "im_here": ("skipped: it is here already", "跳过：已存在"),
    # Pools, volumes, secrets.
    "section_storage": ("Networks and storage", "网络与存储"),
    "pool": ("POOL", "存储池"),
    "type": ("TYPE", "类型"),
    "capacity": ("CAPACITY", "容量"),
    "allocation": ("TAKEN", "已占用"),
    "available": ("FREE", "可用"),
    "pool_running": ("running", "运行中"),
    "pool_off": ("off", "已停止"),
    "pool_building": ("being built", "正在创建"),
    "pool_degraded": ("degraded", "降级"),
    "pool_inaccessible": ("inaccessible", "不可访问"),
    "bridge": ("BRIDGE", "网桥"),
    "leases": ("LEASES", "租约"),
    "address": ("ADDRESS", "地址"),
    "hostname": ("NAME", "主机名"),
    "until": ("UNTIL", "到期"),
    "mac": ("MAC", "MAC"),
    "no_networks": (
        "there are no networks; domicile network default makes the usual one",
        "没有网络；domicile network default 可创建常用的一个",
    ),
    "no_leases": ("network {name} has given no addresses away", "网络 {name} 尚未分配地址"),
    "did_start_network": ("{name} is running", "{name} 正在运行"),
    "did_stop_network": ("{name} is stopped; nothing of it is left on the host", "{name} 已停止；主机上没有遗留"),
    "no_pools": ("there are no storage pools", "没有存储池"),
    "no_volumes": ("pool {name} has no volumes", "存储池 {name} 中没有卷"),
    "no_secrets": ("there are no secrets", "没有密钥"),
    "no_secret": ("no secret has the UUID or use '{name}'", "没有 UUID 或用途为“{name}”的密钥"),
    "secret_use": ("USE", "用途"),
    "secret_value": ("Value", "值"),
    "name_it": ("{what} is missing", "缺少 {what}"),
    "did_define_object": ("{name} is defined", "{name} 已定义"),
    "did_undefine_object": ("{name} is undefined", "{name} 已取消定义"),
    "did_autostart_object": ("{name} starts with the daemon", "{name} 随守护进程启动"),
    "did_not_autostart_object": ("{name} no longer starts with the daemon", "{name} 不再随守护进程启动"),
    "did_start_pool": ("{name} is running", "{name} 正在运行"),
    "did_stop_pool": ("{name} is stopped; its volumes stay", "{name} 已停止；卷保留"),
    "did_build": ("{name} is built", "{name} 已创建"),
    "did_refresh": ("{name} was looked through", "{name} 已重新扫描"),
    "did_delete": ("{name} is deleted", "{name} 已删除"),
    "did_create_volume": ("volume {name} is made", "卷 {name} 已创建"),
    "did_resize_volume": ("volume {name} has its new size", "卷 {name} 已调整大小"),
    "did_wipe_volume": ("volume {name} is wiped", "卷 {name} 已擦除"),
    "did_upload": ("volume {name} is written", "卷 {name} 已写入"),
    "did_download": ("volume {name} is read", "卷 {name} 已读出"),
    "did_set_secret": ("the value of {name} is kept", "{name} 的值已保存"),
}
WORDS |= words_change.WORDS
WORDS |= words_database.WORDS
