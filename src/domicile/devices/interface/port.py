"""VLANs and the switch port an interface becomes. Used by the other files of this slice."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import FILLED, UUID, YES_NO, Scalar, enum, integer
from domicile.schema.shape import Element, element

_HIGHEST = 2**32 - 1


def _number(high: int) -> Scalar:
    """A number that may also be written in hexadecimal."""

    def parse(text: str) -> int:
        value = int(text, 0)
        if not 0 <= value <= high:
            raise ValueError
        return value

    return Scalar("number", parse, str, f"0 to {high}")


@element("tag", "VLAN 标签")
class VlanTag(Element):
    """One VLAN."""

    id: int | None = f.attr("Its number, 4095 at most.", "编号，最大 4095。", integer(0, _HIGHEST), required=True)
    nativeMode: str | None = f.attr(
        "Makes it the VLAN of frames that carry no tag.", "使其成为无标签帧所属的 VLAN。", enum("tagged", "untagged")
    )


@element("vlan", "所属 VLAN")
class Vlan(Element):
    """The VLANs an interface is on."""

    trunk: bool | None = f.attr("Whether frames keep their tags.", "帧是否保留标签。", YES_NO)
    tag: list[VlanTag] = f.children("One VLAN.", "一个 VLAN。", VlanTag)


@element("parameters", "端口参数")
class PortParameters(Element):
    """What the switch must know of the port."""

    managerid: int | None = f.attr("The VSI manager.", "VSI 管理器编号。", _number(0xFF))
    typeid: int | None = f.attr("The VSI type.", "VSI 类型。", _number(0xFFFFFF))
    typeidversion: int | None = f.attr("The version of the VSI type.", "VSI 类型的版本。", _number(0xFF))
    instanceid: str | None = f.attr("The VSI instance.", "VSI 实例。", UUID)
    interfaceid: str | None = f.attr("The interface's identity in the switch.", "接口在交换机中的标识。", UUID)
    profileid: str | None = f.attr("The profile of the port.", "端口配置名。", FILLED)


@element("virtualport", "交换机端口")
class VirtualPort(Element):
    """The port of a switch that the interface becomes."""

    type: str | None = f.attr(
        "The kind of switch.", "交换机种类。", enum("none", "802.1Qbg", "802.1Qbh", "openvswitch", "midonet")
    )
    parameters: PortParameters | None = f.child("What it must know.", "端口参数。", PortParameters, keep_empty=False)
