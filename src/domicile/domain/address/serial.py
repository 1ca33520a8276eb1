"""Ports of virtio-serial controllers. Called by domain/complete."""

from __future__ import annotations

from domicile.devices import BY_TAG
from domicile.devices.controller import Controller
from domicile.devices.parts.device import Device, VirtioSerialAddress
from domicile.domain.domain import DeviceLists
from domicile.domain.rules.controllers import join
from domicile.plan.facts import Completion
from domicile.plan.place import WantVirtioSerial

MAX_PORTS = 31


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every virtio console and channel a port, adding controllers where there are none left."""
    used: dict[int, set[int]] = {}
    wanting: list[tuple[Device, bool]] = []
    for tag in ("console", "channel"):
        for device in getattr(devices, tag, ()):
            want = BY_TAG[tag].place(device, c)
            if not isinstance(want, WantVirtioSerial):
                continue
            address = device.address
            if isinstance(address, VirtioSerialAddress) and _is_given(address, want, used):
                taken = used.setdefault(address.controller, set())
                if address.port in taken:
                    c.problem(
                        address,
                        f"virtio-serial port '{address.port}' of controller '{address.controller}' is used twice",
                        "a free port",
                        "@port",
                    )
                taken.add(address.port or 0)
            elif address is None or isinstance(address, VirtioSerialAddress):
                wanting.append((device, want.console))
    for device, console in wanting:
        _give(device, console, used, devices, c)


def _is_given(address: VirtioSerialAddress, want: WantVirtioSerial, used: dict[int, set[int]]) -> bool:
    """Say whether an address names a port; 0 names one only for the first console of a controller."""
    if address.port == 0:
        return want.console and 0 not in used.get(address.controller, ())
    return address.port is not None


def _give(device: Device, console: bool, used: dict[int, set[int]], devices: DeviceLists, c: Completion) -> None:
    controllers = {k.index or 0: k for k in devices.of(Controller) if k.type == "virtio-serial"}
    fixed = device.address.controller if isinstance(device.address, VirtioSerialAddress) else None
    numbers = [fixed] if fixed is not None else sorted(controllers)
    for number in numbers:
        controller = controllers.get(number)
        count = controller.ports if controller is not None and controller.ports else MAX_PORTS
        taken = used.setdefault(number, set())
        for port in range(0 if console else 1, count):
            if port not in taken:
                taken.add(port)
                place = VirtioSerialAddress(controller=number, port=port)
                c.allocate(device, "address", place, "the first free port", "第一个空闲端口")
                return
    if fixed is None:
        number = max(controllers, default=-1) + 1
        controller = Controller(type="virtio-serial", index=number)
        join(devices.of(Controller), controller, c)
        c.add(controller, "consoles and channels need its ports", "控制台与通道需要其端口")
        _give(device, console, used, devices, c)
        return
    c.problem(
        device, f"virtio-serial controller '{fixed}' has no free port", "another controller", "address/@controller"
    )
