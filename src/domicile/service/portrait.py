"""One domain on one screen: what it is, how it does, what it has, and who changed it last.

Called by api/libvirt/domicile for `domicile info`. Files are looked at in a worker thread, for a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.domain.compare import name_of
from domicile.service import answers, stats

if TYPE_CHECKING:
    from domicile.domain.domain import Domain
    from domicile.service.entry import Entry
    from domicile.service.service import Service

Answer = dict[str, Any]
_LOOKING = 1.0
_SHOWN = {"disk", "interface", "graphics", "serial", "console", "channel", "controller", "audio"}


async def portrait(service: Service, entry: Entry) -> Answer:
    """Paint it."""
    domain = service.domain(entry)
    waiting = await service.applying.pending(entry)
    answer = {**answers.brief(entry), "waiting": waiting, **_definition(domain), **_devices(domain, entry)}
    if entry.machine is not None:
        answer["running"] = _running(entry)
    paths = [disk["source"] for disk in answer["disks"] if disk["source"].startswith("/")]
    sizes: dict[str, Answer] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOKING):
            sizes = await asyncio.to_thread(lambda: {path: image(Path(path)) for path in paths})
    for disk in answer["disks"]:
        disk.update(sizes.get(disk["source"], {}))
    if entry.persistent:
        revisions = await service.history(entry.uuid)
        answer["last_change"] = answers.revision(revisions[0] if revisions[0].n > revisions[-1].n else revisions[-1])
    answer["log"] = str(service.paths.log / f"{entry.name}.log")
    return answer


def _running(entry: Entry) -> Answer:
    machine = entry.machine
    assert machine is not None
    seen = stats.process(f"/proc/{machine.pid}/stat")
    live = entry.live
    return {
        "pid": machine.pid,
        "cpu_time_ns": seen.user + seen.system if seen is not None else 0,
        "resident_kib": seen.resident_kib if seen is not None else 0,
        "revision": live.revision if live is not None else 0,
        "qemu": ".".join(map(str, live.caps.version)) if live is not None and live.caps is not None else "",
    }


def _definition(domain: Domain) -> Answer:
    os, cpu, vcpu, memory, current = domain.os, domain.cpu, domain.vcpu, domain.memory, domain.currentMemory
    total = memory.value if memory is not None and memory.value else 0
    most = vcpu.value if vcpu is not None and vcpu.value else 1
    answer: Answer = {
        "title": domain.title or "",
        "description": domain.description or "",
        "emulator": domain.devices.emulator if domain.devices is not None else "",
        "memory_kib": total,
        "current_kib": current.value if current is not None and current.value else total,
        "vcpus_max": most,
        "vcpus": vcpu.current if vcpu is not None and vcpu.current else most,
        "cpu": "",
        "on": {what: getattr(domain, f"on_{what}") for what in ("poweroff", "reboot", "crash")},
        "clock": domain.clock.offset if domain.clock is not None else "",
    }
    if cpu is not None:
        model = cpu.model.name if cpu.model is not None else None
        words = [
            model or cpu.mode or "",
            *(f"{'+' if f.policy in ('force', 'require') else '-'}{f.name}" for f in cpu.feature),
        ]
        answer["cpu"] = " ".join(words)
        shape = cpu.topology
        if shape is not None:
            answer["topology"] = {
                k: getattr(shape, k) for k in ("sockets", "dies", "cores", "threads") if getattr(shape, k)
            }
    if os is not None:
        answer["boot"] = [b.dev for b in os.boot] or _boot_order(domain)
        answer["firmware"] = os.firmware or (os.loader.path if os.loader is not None else "") or ""
        answer["kernel"] = os.kernel or ""
    return answer


def _boot_order(domain: Domain) -> list[str]:
    assert domain.devices is not None
    turns = [
        (d.boot.order, name_of(d)) for d in domain.devices.every() if d.boot is not None and d.boot.order is not None
    ]
    return [name for _, name in sorted(turns)]


def _devices(domain: Domain, entry: Entry) -> Answer:
    lists = domain.devices
    if lists is None:
        return {"disks": [], "interfaces": [], "graphics": [], "consoles": [], "others": []}
    others = Counter(_other(device) for device in lists.every() if device.shape.tag not in _SHOWN)
    chips = Counter(" ".join(filter(None, (c.type, c.model))) for c in getattr(lists, "controller", ()))
    return {
        "disks": [_disk(disk) for disk in getattr(lists, "disk", ())],
        "interfaces": [_interface(nic) for nic in getattr(lists, "interface", ())],
        "graphics": [_graphics(display) for display in getattr(lists, "graphics", ())],
        "consoles": [
            _console(device) for tag in ("serial", "console", "channel") for device in getattr(lists, tag, ())
        ],
        "controllers": [f"{name} ×{count}" if count > 1 else name for name, count in chips.items()],
        "others": [f"{name} ×{count}" if count > 1 else name for name, count in others.items()],
    }


def _disk(disk: Any) -> Answer:
    source, target, driver = disk.source, disk.target, disk.driver
    place = ""
    if source is not None:
        pool = f"{source.pool}/{source.volume}" if source.pool else None
        net = f"{source.protocol}:{source.name or ''}" if source.protocol else None
        place = source.file or source.dev or source.dir or net or pool or ""
    return {
        "target": target.dev if target is not None else "",
        "bus": target.bus if target is not None else "",
        "device": disk.device,
        "format": driver.type if driver is not None else "",
        "source": place,
        "readonly": bool(disk.readonly),
    }


def _interface(nic: Any) -> Answer:
    source = nic.source
    place = next((value for slot in ("bridge", "network", "dev", "path") if (value := getattr(source, slot, None))), "")
    return {
        "mac": nic.mac.address if nic.mac is not None else "",
        "model": _model(nic),
        "type": nic.type,
        "source": place,
        "host": nic.target.dev if nic.target is not None and nic.target.dev else "",
        "link": nic.link.state if nic.link is not None else "",
    }


def _graphics(display: Any) -> Answer:
    address = display.listen or display.socket or ""
    for place in display.listens:
        address = address or place.address or place.socket or ""
    ports = {slot: getattr(display, slot) for slot in ("port", "tlsPort")}
    return {
        "type": display.type,
        "listen": address,
        **{slot: n if n is not None and n > 0 else None for slot, n in ports.items()},
    }


def _console(device: Any) -> Answer:
    target, source = device.target, device.source
    name = getattr(target, "name", None) or getattr(target, "type", None)
    return {
        "kind": device.shape.tag,
        "type": device.type,
        "target": name or "",
        "port": getattr(target, "port", None),
        "path": next((each.path for each in source if each.path), "") or getattr(device, "tty", None) or "",
    }


def _other(device: Any) -> str:
    words = [device.shape.tag, _model(device)]
    for slot in ("type", "bus"):
        value = getattr(device, slot, None)
        words.append(value if isinstance(value, str) and value not in words else "")
    return " ".join(word for word in words if word)


def _model(device: Any) -> str:
    model = getattr(device, "model", None)
    name = model if isinstance(model, str) else getattr(model, "type", None) or getattr(model, "name", None)
    return name if isinstance(name, str) else ""


def image(path: Path) -> Answer:
    """Measure an image file: the bytes the guest sees and those it takes on the host."""
    try:
        facts = path.stat()
    except OSError as error:
        return {"missing": error.strerror or str(error)}
    answer: Answer = {"size": facts.st_size, "used": facts.st_blocks * 512}
    try:
        with path.open("rb") as stream:
            head = stream.read(32)
            if head[:4] == b"QFI\xfb":
                # Source: QEMU's qcow2 specification: the virtual size at byte 24, big-endian.
                answer["size"] = int.from_bytes(head[24:32], "big")
            elif path.is_block_device():
                answer["size"] = stream.seek(0, 2)
    except OSError:
        pass
    return answer
