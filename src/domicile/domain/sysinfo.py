"""What the guest reads about its maker (SMBIOS), and files it finds in QEMU's firmware interface. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import FILLED, enum
from domicile.schema.shape import Element, Variant, element

#: The entries of each table, in the order in which they are written.
BIOS = ("vendor", "version", "date", "release")
SYSTEM = ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")
BOARD = ("manufacturer", "product", "version", "serial", "asset", "location")
CHASSIS = ("manufacturer", "version", "serial", "asset", "sku")


@element("entry", "表项")
class TableEntry(Element):
    """One line of a table."""

    name: str | None = f.attr("Which line.", "表项名称。", FILLED, guest=True)
    value: str | None = f.text("What it says.", "表项内容。", guest=True)


@element("bios", "固件信息")
class BiosTable(Element):
    """What the guest reads about its firmware."""

    entry: list[TableEntry] = f.children("One line.", "一个表项。", TableEntry, guest=True)


@element("system", "整机信息")
class SystemTable(Element):
    """What the guest reads about the machine."""

    entry: list[TableEntry] = f.children("One line.", "一个表项。", TableEntry, guest=True)


@element("baseBoard", "主板信息")
class BoardTable(Element):
    """What the guest reads about a board."""

    entry: list[TableEntry] = f.children("One line.", "一个表项。", TableEntry, guest=True)


@element("chassis", "机箱信息")
class ChassisTable(Element):
    """What the guest reads about the case."""

    entry: list[TableEntry] = f.children("One line.", "一个表项。", TableEntry, guest=True)


@element("oemStrings", "厂商字符串")
class OemStrings(Element):
    """Texts of your own that the guest can read."""

    entry: list[str] = f.leaves("One text.", "一个字符串。", guest=True)


@element("sysinfo", "系统信息", identity=("type",))
class SmbiosInfo(Element):
    """What the guest reads about its maker."""

    type: str | None = f.attr("Where it reads it.", "读取方式。", enum("smbios"), default="smbios", guest=True)
    bios: BiosTable | None = f.child("About the firmware.", "固件。", BiosTable, guest=True)
    system: SystemTable | None = f.child("About the machine.", "整机。", SystemTable, guest=True)
    baseBoard: list[BoardTable] = f.children("About a board.", "主板。", BoardTable, guest=True)
    chassis: ChassisTable | None = f.child("About the case.", "机箱。", ChassisTable, guest=True)
    oemStrings: OemStrings | None = f.child("Texts of your own.", "自定义字符串。", OemStrings, guest=True)

    def tables(self) -> list[tuple[int, tuple[str, ...], list[TableEntry]]]:
        """List the tables that are said: SMBIOS's number, the lines there can be, the lines there are."""
        found: list[tuple[int, tuple[str, ...], list[TableEntry]]] = []
        for number, names, table in ((0, BIOS, self.bios), (1, SYSTEM, self.system)):
            if table is not None:
                found.append((number, names, table.entry))
        found += [(2, BOARD, board.entry) for board in self.baseBoard]
        if self.chassis is not None:
            found.append((3, CHASSIS, self.chassis.entry))
        return found


@element("entry", "固件配置文件")
class FirmwareFile(Element):
    """A file the guest finds in QEMU's firmware interface."""

    name: str | None = f.attr("Its name, below opt/.", "名称，位于 opt/ 之下。", FILLED, guest=True)
    file: str | None = f.attr("The file of the host it is.", "主机上的文件。", FILLED, guest=True)
    value: str | None = f.text(
        "What it says, where it is no file of the host.", "内容（不取自主机文件时）。", guest=True
    )


@element("sysinfo", "固件配置", identity=("type",))
class FirmwareInfo(Element):
    """Files the guest finds in QEMU's firmware interface."""

    type: str | None = f.attr("Where it reads them.", "读取方式。", enum("fwcfg"), default="fwcfg", guest=True)
    entry: list[FirmwareFile] = f.children("One file.", "一个文件。", FirmwareFile, guest=True)


SYSINFO = Variant("type", {"smbios": SmbiosInfo, "fwcfg": FirmwareInfo}, SmbiosInfo)
__all__ = ["SYSINFO", "FirmwareInfo", "SmbiosInfo"]
