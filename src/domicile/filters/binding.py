"""What binds a filter to the host's end of an interface. Read and written by `document`; the service keeps them."""

from __future__ import annotations

from domicile.base.errors import INTERNAL_ERROR
from domicile.devices.interface.filterref import FilterRef
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, MAC, UUID, Scalar, plain
from domicile.schema.shape import Element, element

_NAME_LENGTH = 15


def _device(text: str) -> str:
    if not text or len(text.encode()) > _NAME_LENGTH or "/" in text or not text.isprintable() or " " in text:
        raise ValueError
    return text


DEVICE = Scalar("device", _device, plain, f"the name of a network device, at most {_NAME_LENGTH} characters")


@element("owner", "所有者")
class Owner(Element):
    """The machine whose interface it is."""

    name: str | None = f.leaf("Its name.", "名称。", FILLED, code=INTERNAL_ERROR)
    uuid: str | None = f.leaf("Its UUID.", "其 UUID。", UUID, code=INTERNAL_ERROR)


@element("portdev", "端口设备")
class PortDevice(Element):
    """The host's end."""

    name: str | None = f.attr("Its name.", "设备名。", DEVICE, required=True, code=INTERNAL_ERROR)


@element("linkdev", "链路设备")
class LinkDevice(Element):
    """The device below it."""

    name: str | None = f.attr("Its name.", "设备名。", DEVICE, required=True, code=INTERNAL_ERROR)


@element("mac", "MAC 地址")
class BindingMac(Element):
    """The guest's address."""

    address: str | None = f.attr("The MAC address.", "MAC 地址。", MAC, required=True, code=INTERNAL_ERROR)


@element("filterbinding", "过滤器绑定")
class Binding(Element):
    """A filter on the host's end of an interface."""

    owner: Owner | None = f.child("Whose interface it is.", "接口的所有者。", Owner)
    portdev: PortDevice | None = f.child("The host's end.", "主机侧设备。", PortDevice)
    linkdev: LinkDevice | None = f.child("The device below it.", "下层设备。", LinkDevice)
    mac: BindingMac | None = f.child("The guest's address.", "客户机地址。", BindingMac)
    filterref: FilterRef | None = f.child("The filter.", "过滤器。", FilterRef)

    @property
    def device(self) -> str:
        """The name of the host's end."""
        return (self.portdev.name if self.portdev is not None else None) or ""

    @property
    def address(self) -> str:
        """The guest's MAC address."""
        return (self.mac.address if self.mac is not None else None) or ""

    @property
    def filter(self) -> str:
        """The filter's name."""
        return (self.filterref.filter if self.filterref is not None else None) or ""

    @property
    def uuid(self) -> str:
        """The owner's UUID."""
        return (self.owner.uuid if self.owner is not None else None) or ""
