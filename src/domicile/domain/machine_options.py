"""What is not a device, in QEMU's words: machine, accelerator, CPU, memory, clock, boot. Called by domain/plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.iommu import Iommu
from domicile.devices.parts.bus import each_is_told
from domicile.domain import flash
from domicile.domain.domain import Domain
from domicile.domain.options import chipset, clock, cpu, memory, numa, protection, smbios, vcpus
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed, Option, Structured

Pairs = list[tuple[str, Any]]


def options(domain: Domain, p: Planning) -> Iterator[Item | Need]:
    """Yield the options that stand before all devices, in libvirt's order."""
    yield Keyed("-machine", tuple(_machine(domain, p)), origin="os/type")
    yield Keyed("-accel", tuple(_accelerator(domain, p)), origin="@type")
    if domain.cpu is not None:
        chosen = tuple(cpu.model(domain, domain.cpu, p))
        yield Keyed("-cpu", chosen, origin="cpu")
        yield from vcpus.later(domain, p, chosen[0][1])
    if (
        domain.os is not None
        and domain.os.loader is not None
        and domain.os.loader.type != "pflash"
        and domain.os.loader.path
    ):
        yield Option("-bios", domain.os.loader.path, origin="os/loader")
    yield from memory.amount(domain, p)
    yield memory.locked(domain)
    teardown = domain.features.async_teardown if domain.features is not None else None
    if teardown is not None and teardown.enabled is not None and p.caps.has_option("run-with"):
        yield Keyed("-run-with", (("async-teardown", teardown.enabled),), origin="features/async-teardown")
    yield Keyed("-smp", tuple(_smp(domain, p)), origin="vcpu")
    yield from numa.nodes(domain, p)
    yield from _threads(domain)
    yield Option("-uuid", domain.uuid, origin="uuid")
    yield from smbios.tables(domain)
    yield from smbios.files(domain)
    yield from protection.objects(domain, p)
    if domain.genid is not None:
        props = {"driver": "vmgenid", "guid": domain.genid, "id": "vmgenid0"}
        yield Structured("device", props, origin="genid")
    if not getattr(domain.devices, "graphics", ()):
        yield Option("-display", "none", origin="devices")


def after_monitor(domain: Domain, p: Planning) -> Iterator[Item]:
    """Yield the options between the monitor and the devices: clock, power, boot, kernel."""
    yield from clock.clock(domain, p)
    yield Option("-no-shutdown", None, origin="on_poweroff")
    if not _acpi(domain) and _old_switches(p) and (p.x86 or (p.arm_virt and p.caps.arch == "aarch64")):
        yield Option("-no-acpi", None, origin="features")
    if domain.pm is not None:
        chip = "ICH9-LPC" if p.q35 else "PIIX4_PM"
        for slot, name in (("suspend_to_mem", "disable_s3"), ("suspend_to_disk", "disable_s4")):
            state = getattr(domain.pm, slot)
            if state is not None and state.enabled is not None and p.x86:
                yield Keyed("-global", ((f"{chip}.{name}", 0 if state.enabled else 1),), origin="pm")
    yield from chipset.chips(domain, p)
    yield Keyed("-boot", tuple(_boot(domain)), origin="os/boot")
    os = domain.os
    if os is not None:
        for flag, slot in (
            ("-kernel", "kernel"),
            ("-initrd", "initrd"),
            ("-append", "cmdline"),
            ("-dtb", "dtb"),
            ("-shim", "shim"),
        ):
            if getattr(os, slot):
                yield Option(flag, getattr(os, slot), origin=f"os/{slot}")


def _accelerator(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    features = domain.features
    yield "", "kvm" if p.accel == "kvm" else "tcg"
    if features is None:
        return
    ring = features.kvm.dirty_ring if features.kvm is not None else None
    if p.accel == "kvm" and ring is not None and ring.state:
        yield "dirty-ring-size", ring.size
    cache = features.tcg.tb_cache if features.tcg is not None else None
    if p.accel != "kvm" and cache is not None and cache.value:
        yield "tb-size", cache.value // 1024


def _acpi(domain: Domain) -> bool:
    return domain.features is not None and domain.features.acpi


def _old_switches(p: Planning) -> bool:
    """Whether ACPI and HPET are options of their own, as before QEMU 8.0."""
    return p.caps.version < (8, 0, 0)


def _machine(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    features = domain.features
    yield "", p.machine
    yield "usb", False
    if features is not None:
        yield from chipset.keys(features, p)
    if domain.devices is not None:
        yield from chipset.translation(domain.devices.of(Iommu))
    for cipher in domain.keywrap.cipher if domain.keywrap is not None and p.s390 else ():
        yield f"{cipher.name}-key-wrap", cipher.state
    if domain.cpu is not None:
        yield from cpu.machine(domain.cpu, p)
    yield from memory.machine(domain, p)
    yield from flash.machine(domain, p)
    if domain.os is not None and domain.os.bios is not None and domain.os.bios.useserial:
        yield "graphics", False
    yield from protection.machine(domain)
    yield from _loadparm(domain, p)
    if not _old_switches(p):
        for timer in domain.clock.timer if domain.clock is not None else ():
            if timer.name == "hpet" and timer.present is not None and p.x86:
                yield "hpet", timer.present
        machine = p.caps.machine(p.machine, p.accel == "kvm") or p.caps.machine(p.machine)
        if machine is not None and machine.acpi:
            yield "acpi", _acpi(domain)


def _loadparm(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    """Tell the only load parameter of the machine: that of the device it boots from first."""
    if not p.s390 or each_is_told(p) or domain.devices is None:
        return
    for tag in ("disk", "interface", "hostdev"):
        for device in getattr(domain.devices, tag):
            if device.boot is not None and device.boot.order == 1 and device.boot.loadparm:
                yield "loadparm", device.boot.loadparm
                return


def _smp(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    vcpu = domain.vcpu
    most = vcpu.value if vcpu is not None and vcpu.value else 1
    now = vcpus.booted(domain, p)
    yield "", now
    if now != most:
        yield "maxcpus", most
    topology = domain.cpu.topology if domain.cpu is not None else None
    if topology is None:
        yield from (("sockets", most), ("cores", 1), ("threads", 1))
        return
    yield "sockets", topology.sockets or 1
    for slot in ("dies", "clusters"):
        value = getattr(topology, slot) or 1
        if p.caps.has_option("smp-opts", slot) and (value > 1 or slot == "dies" or p.caps.version >= (7, 1, 0)):
            yield slot, value
    yield from (("cores", topology.cores or 1), ("threads", topology.threads or 1))


def _threads(domain: Domain) -> Iterator[Item]:
    named = [thread.id or 0 for thread in domain.iothreadids.iothread] if domain.iothreadids is not None else []
    count = domain.iothreads or len(named)
    following = (n for n in range(1, count + len(named) + 1) if n not in named)
    numbers = sorted([*named, *[next(following) for _ in range(max(0, count - len(named)))]])
    told = {thread.id: thread for thread in domain.iothreadids.iothread} if domain.iothreadids is not None else {}
    for number in numbers:
        props: dict[str, Any] = {"qom-type": "iothread", "id": f"iothread{number}"}
        thread = told.get(number)
        if thread is not None:
            props |= {"thread-pool-min": thread.thread_pool_min, "thread-pool-max": thread.thread_pool_max}
            if thread.poll is not None:
                poll = thread.poll
                props |= {"poll-max-ns": poll.max, "poll-grow": poll.grow, "poll-shrink": poll.shrink}
        yield Structured("object", props, origin="iothreads")
    rest = domain.defaultiothread
    if rest is not None and (rest.thread_pool_min is not None or rest.thread_pool_max is not None):
        props = {"qom-type": "main-loop", "id": "main-loop"}
        props |= {"thread-pool-min": rest.thread_pool_min, "thread-pool-max": rest.thread_pool_max}
        yield Structured("object", props, origin="defaultiothread")


def _boot(domain: Domain) -> Iterator[tuple[str, Any]]:
    os = domain.os
    if os is not None and os.bootmenu is not None and os.bootmenu.enable is not None:
        yield "menu", os.bootmenu.enable
        if os.bootmenu.enable and os.bootmenu.timeout is not None:
            yield "splash-time", os.bootmenu.timeout
    if os is not None and os.bios is not None and os.bios.rebootTimeout is not None:
        yield "reboot-timeout", os.bios.rebootTimeout
    yield "strict", True


def core_dumps(domain: Domain) -> Iterator[Item]:
    """Yield the device by which a crashed guest's kernel is found in a dump."""
    wanted = domain.features.vmcoreinfo if domain.features is not None else None
    if wanted is not None and wanted.state is not False:
        yield Structured("device", {"driver": "vmcoreinfo"}, origin="features/vmcoreinfo")
