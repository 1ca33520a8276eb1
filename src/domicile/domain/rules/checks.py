"""Checks of the domain as a whole: what no single slice can see."""

from __future__ import annotations

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.memory import MemoryDevice
from domicile.devices.parts.device import LOADPARM, Device, DriveAddress, is_loadparm
from domicile.domain.domain import Domain
from domicile.domain.rules import processors
from domicile.plan.facts import Completion

MAX_THREADS = 1024
#: CPUs whose interrupts a PC can tell apart without extended interrupt mode. Observed with libvirt 9.0.
_MOST_WITHOUT_EIM = 255
MAX_ONE = ("memballoon", "vsock", "iommu", "nvram")


def whole(domain: Domain, c: Completion) -> None:
    """Check everything that is not a device, then what devices must not share."""
    _identity(domain, c)
    _memory(domain, c)
    _processors(domain, c)
    _threads(domain, c)
    processors.check(domain, c)
    _boot(domain, c)
    _lifecycle(domain, c)
    _limits(domain, c)
    if domain.devices is not None:
        _unique(domain, c)


def _identity(domain: Domain, c: Completion) -> None:
    name = domain.name
    if name is not None and len(name.encode()) > 255:
        c.problem(domain, f"the name has {len(name.encode())} bytes", "at most 255", "name")
    if domain.title is not None and "\n" in domain.title:
        c.problem(domain, "element 'title' has a line break", "one line", "title", code=XML_ERROR)


def _memory(domain: Domain, c: Completion) -> None:
    memory = domain.memory
    modules = getattr(domain.devices, "memory", [])
    if (memory is None or memory.value is None or memory.value == 0) and not modules:
        if not any(p.path == "memory" or (element is memory and element is not None) for element, _, p in c.found):
            c.problem(
                memory or domain,
                "element 'memory' is missing or 0: no amount in <memory>, and none in the nodes of <numa>",
                "an amount such as <memory unit='MiB'>512</memory>",
                "" if memory else "memory",
                code=XML_ERROR,
            )
        return
    top = domain.maxMemory
    if top is not None and top.slots and not top.value:
        c.problem(
            top,
            "element 'maxMemory' has slots and no amount",
            "<maxMemory slots='16' unit='KiB'>…</maxMemory>",
            code=XML_ERROR,
        )
    modules = domain.devices.of(MemoryDevice) if domain.devices is not None else []
    if (top is None or not top.value) and any(module.model != "sgx-epc" for module in modules):
        c.problem(
            modules[0], "element 'memory' among the devices needs a 'maxMemory'", "<maxMemory slots='…'>…</maxMemory>"
        )
    if (
        top is not None
        and not c.pseries
        and (domain.cpu is None or domain.cpu.numa is None or not domain.cpu.numa.cell)
    ):
        c.problem(top, "element 'maxMemory' needs a guest NUMA node for the modules to come", "<cpu><numa><cell …/>")
    if (
        top is not None
        and top.value is not None
        and memory is not None
        and memory.value is not None
        and top.value < memory.value
    ):
        c.problem(
            top,
            f"element 'maxMemory' has {top.value} KiB, less than the {memory.value} KiB of 'memory'",
            "at least as much",
        )


def _processors(domain: Domain, c: Completion) -> None:
    vcpu = domain.vcpu
    if vcpu is None or vcpu.value is None:
        return
    if vcpu.value == 0:
        c.problem(vcpu, "element 'vcpu' has the value '0'", "1 or more", code=INTERNAL_ERROR)
        return
    if vcpu.current is not None and (vcpu.current > vcpu.value or vcpu.current == 0):
        c.problem(
            vcpu,
            f"attribute 'current' of element 'vcpu' is {vcpu.current} of {vcpu.value} CPUs",
            f"1 to {vcpu.value}",
            "@current",
        )
    machine = c.caps.machine(c.machine, c.accel == "kvm") or c.caps.machine(c.machine)
    if machine is not None and machine.max_cpus and vcpu.value > machine.max_cpus:
        c.problem(
            vcpu,
            f"element 'vcpu' has the value '{vcpu.value}'; machine type '{c.machine}' has at most '{machine.max_cpus}'",
            f"1 to {machine.max_cpus}",
        )
    iommus = [device.driver for device in getattr(domain.devices, "iommu", [])]
    fits = machine is None or vcpu.value <= (machine.max_cpus or vcpu.value)
    if (
        fits
        and c.x86
        and vcpu.value > _MOST_WITHOUT_EIM
        and not any(driver is not None and driver.eim for driver in iommus)
    ):
        what = f"element 'vcpu' has the value '{vcpu.value}', which needs an IOMMU with wider interrupts"
        c.problem(vcpu, what, f"1 to {_MOST_WITHOUT_EIM}, or <iommu model='intel'><driver intremap='on' eim='on'/>")
    topology = domain.cpu.topology if domain.cpu is not None else None
    if topology is not None:
        parts = [topology.sockets, topology.dies, topology.clusters, topology.cores, topology.threads]
        total = 1
        for part in parts:
            total *= part or 1
        if total != vcpu.value:
            shape = "×".join(str(part or 1) for part in parts)
            c.problem(
                topology,
                f"element 'topology' makes {shape} = {total} CPUs, element 'vcpu' says {vcpu.value}",
                "the same number",
            )


def _threads(domain: Domain, c: Completion) -> None:
    named = domain.iothreadids.iothread if domain.iothreadids is not None else []
    seen: set[int] = set()
    for thread in named:
        if thread.id is None:
            c.problem(thread, "element 'iothread' has no attribute 'id'", "a number from 1", "@id")
        elif thread.id in seen:
            c.problem(thread, f"there are two I/O threads with the id '{thread.id}'", "each id once", "@id")
        seen.add(thread.id or 0)
    if max(domain.iothreads or 0, len(named)) > MAX_THREADS:
        count = max(domain.iothreads or 0, len(named))
        c.problem(domain, f"element 'iothreads' has the value '{count}'", f"0 to {MAX_THREADS}", "iothreads")


def _limits(domain: Domain, c: Completion) -> None:
    """Check what libvirt's document knows of limits that QEMU's hosts have not."""
    if domain.memtune is not None and domain.memtune.min_guarantee is not None:
        c.problem(domain.memtune, "QEMU has no 'min_guarantee' of memory", "hard_limit, soft_limit", "min_guarantee")
    paths: set[str | None] = set()
    for device in domain.blkiotune.device if domain.blkiotune is not None else ():
        if device.path is None:
            c.problem(device, "element 'device' of 'blkiotune' has no <path>", "<path>/dev/…</path>", "path")
        elif device.path in paths:
            c.problem(device, f"element 'path' names '{device.path}' a second time", "each device once", "path")
        paths.add(device.path)


def _lifecycle(domain: Domain, c: Completion) -> None:
    for slot in ("on_poweroff", "on_reboot", "on_crash"):
        if getattr(domain, slot) == "rename-restart":
            what = f"element '{slot}' has the value 'rename-restart', which QEMU does not have"
            c.problem(domain, what, "destroy, restart, preserve", slot)
    for slot in ("on_poweroff", "on_reboot"):
        if getattr(domain, slot) == "preserve":
            c.problem(
                domain, f"element '{slot}' has the value 'preserve', which QEMU does not have", "destroy, restart", slot
            )
    if domain.on_reboot == "destroy" and domain.on_poweroff == "restart":
        what = "'on_reboot' is 'destroy' while 'on_poweroff' is 'restart': a guest could never power off"
        c.problem(domain, what, "one of the two", "on_reboot")


def _boot(domain: Domain, c: Completion) -> None:
    if domain.devices is None:
        return
    orders: dict[int, Device] = {}
    for device in domain.devices.every():
        if device.boot is None:
            continue
        load = device.boot.loadparm
        if load is not None and not is_loadparm(load):
            what = f"attribute 'loadparm' of element 'boot' has the value '{load}'"
            c.problem(device.boot, what, LOADPARM.accepted, "@loadparm", code=INTERNAL_ERROR)
        if device.boot.order is None:
            continue
        if device.boot.order in orders:
            c.problem(
                device.boot,
                f"boot order '{device.boot.order}' is used for more than one device",
                "each order once",
                "@order",
            )
        orders[device.boot.order] = device
    if orders and domain.os is not None and domain.os.boot:
        c.problem(domain.os.boot[0], "<boot> of <os> stands beside boot orders of devices", "one of the two")


def _where(disk: Disk) -> str | None:
    source = disk.source
    return (source.file or source.dev or source.dir or source.name) if source is not None else None


def _unique(domain: Domain, c: Completion) -> None:
    devices = domain.devices
    assert devices is not None
    for tag in MAX_ONE:
        several = getattr(devices, tag, [])
        if len(several) > 1:
            c.problem(several[1], f"there are {len(several)} elements '{tag}'", "one at most")
    names: dict[str, Disk] = {}
    places: dict[tuple[object, ...], str] = {}
    for disk in devices.of(Disk):
        dev = disk.target.dev if disk.target is not None else None
        if dev is None or disk.target is None:
            continue
        if dev in names:
            both = " and ".join(f"'{where}'" for where in (_where(names[dev]), _where(disk)) if where)
            message = f"target '{dev}' is used by more than one disk" + (f": {both}" if both else "")
            c.problem(disk, message, "each target once", "target/@dev", code=XML_ERROR)
        names[dev] = disk
        a = disk.address
        if isinstance(a, DriveAddress):
            key = (disk.target.bus, a.controller, a.bus, a.target, a.unit)
            if key in places:
                c.problem(
                    a,
                    f"disks '{dev}' and '{places[key]}' have the same place on bus '{disk.target.bus}'",
                    "a free unit",
                    code=XML_ERROR,
                )
            places[key] = dev
    numbers: set[tuple[object, ...]] = set()
    for controller in devices.of(Controller):
        number = (controller.type, controller.index)
        if controller.master is None and controller.index is not None:
            if number in numbers:
                c.problem(
                    controller,
                    f"there are two controllers of type '{controller.type}' with index '{controller.index}'",
                    "each index once",
                    "@index",
                    code=XML_ERROR,
                )
            numbers.add(number)
