"""What the commands about the database say, in English and Chinese. Part of `words.WORDS`."""

from __future__ import annotations

#: Key, English, Chinese.
WORDS: dict[str, tuple[str, str]] = {
    "section_database": ("The database", "数据库"),
    "db_silent": (
        "the database has not answered for {span}; definitions are as they were at {moment}",
        "数据库已 {span} 没有应答；定义为 {moment} 时的状态",
    ),
    "db_answers": ("{place} answers", "{place} 有应答"),
    "db_usage_status": ("domicile db status takes nothing more", "domicile db status 不需要其他参数"),
    "db_usage_backup": ("domicile db backup needs the FILE to write", "domicile db backup 需要要写入的文件 FILE"),
    "db_usage_restore": ("domicile db restore needs the FILE to read", "domicile db restore 需要要读取的文件 FILE"),
    "db_usage_migrate": (
        "domicile db migrate needs two databases: from where and to where; postgresql://USER@HOST/NAME or the path of an SQLite file",
        "domicile db migrate 需要两个数据库：来源与目标；postgresql://USER@HOST/NAME 或 SQLite 文件路径",
    ),
    "db_usage_upgrade": ("domicile db upgrade takes one DATABASE at most", "domicile db upgrade 最多接受一个 DATABASE"),
    "db_usage_check": ("domicile db check takes one DATABASE at most", "domicile db check 最多接受一个 DATABASE"),
    "db_table": ("{table}: {rows} rows", "{table}：{rows} 行"),
    "db_backed_up": (
        "{domains} domains with {revisions} revisions are in {place}",
        "{domains} 个域、{revisions} 个版本已备份到 {place}",
    ),
    "db_restored": (
        "{domains} domains with {revisions} revisions are back from {place}",
        "已从 {place} 恢复 {domains} 个域、{revisions} 个版本",
    ),
    "db_migrated": (
        "{domains} domains with {revisions} revisions are in {place}; name it as `database` in the daemon's configuration",
        "{domains} 个域、{revisions} 个版本已在 {place} 中；请在守护进程配置中将其设为 `database`",
    ),
    "db_upgraded": ("the schema was of version {before} and is of version {after}", "结构版本由 {before} 升级到 {after}"),
    "db_newest": ("the schema is of version {after}, the newest", "结构版本为 {after}，已是最新"),
    "db_h_table": ("TABLE", "表"),
    "db_h_rows": ("ROWS", "行数"),
    "db_h_digest": ("DIGEST", "摘要"),
    "db_whole": ("the database is whole", "数据库完好"),
    "q_either": (
        "--revision-at and --all-revisions exclude each other; one of them would be accepted",
        "--revision-at 与 --all-revisions 不能同时使用；请只用其一",
    ),
    "im_none": ("no virtual machine would be hit", "没有虚拟机会受影响"),
    "im_why": ("WHY", "原因"),
    "im_no_device": ("QEMU has no device '{name}'", "QEMU 没有设备“{name}”"),
    "im_no_cpu": ("QEMU has no CPU model '{name}'", "QEMU 没有 CPU 型号“{name}”"),
    "im_no_qemu": (
        "{path} is neither a QEMU nor recorded capabilities of one: {why}",
        "{path} 既不是 QEMU，也不是其能力记录：{why}",
    ),
    "db_owed": ("{count} changes wait to be written down", "{count} 项更改等待写入"),
}
