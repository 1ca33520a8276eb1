"""Networks over devices of the host: which of them are lent, as sysfs tells. Used by the driver when one starts."""

from __future__ import annotations

from pathlib import Path

from domicile.base.errors import INTERNAL_ERROR, HostFailure, Unsupported
from domicile.networks.document import FROM_NETWORK
from domicile.networks.model import ForwardAddress, ForwardInterface, Network
from domicile.networks.port import pci_name


def lendable(network: Network, sysfs: Path = Path("/sys")) -> None:
    """Fill in, for an active network, the virtual functions of the device that it lends. Raises: HostFailure, Unsupported."""
    forward = network.forward
    if forward is None:
        return
    for function in forward.pf:
        whole = sysfs / "class/net" / (function.dev or "") / "device"
        found = sorted(whole.glob("virtfn*"), key=lambda path: int(path.name.removeprefix("virtfn")))
        if not found:
            raise HostFailure(f"No usable Vf's present on SRIOV PF {function.dev}", code=INTERNAL_ERROR)
        if network.mode == "hostdev":
            forward.address += [pci_address(path.resolve().name) for path in found]
        else:
            names = [sorted(one.name for one in (path / "net").iterdir()) for path in found if (path / "net").is_dir()]
            forward.interface += [ForwardInterface(dev=each[0]) for each in names if each]
    if network.mode != "hostdev":
        return
    for device in forward.interface:
        place = sysfs / "class/net" / (device.dev or "") / "device"
        if not place.exists():
            raise HostFailure(f"device '{device.dev}' of network '{network.name}' is no PCI device of this host")
        forward.address.append(pci_address(place.resolve().name))
    for address in forward.address:
        place = sysfs / "bus/pci/devices" / pci_name(address)
        if not (place / "physfn").exists():
            what = f"device '{place}' in network '{network.name}' is not an SR-IOV Virtual Function"
            raise Unsupported(what, domain=FROM_NETWORK)


def pci_address(name: str) -> ForwardAddress:
    """Read a PCI device's place as the kernel writes it: 0000:06:12.5."""
    domain, bus, rest = name.split(":")
    slot, _, function = rest.partition(".")
    return ForwardAddress(
        type="pci", domain=int(domain, 16), bus=int(bus, 16), slot=int(slot, 16), function=int(function, 16)
    )
