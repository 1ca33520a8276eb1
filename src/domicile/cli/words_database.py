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
    "db_owed": ("{count} changes wait to be written down", "{count} 项更改等待写入"),
}
