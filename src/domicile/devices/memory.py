"""Memory modules: DIMM, NVDIMM, virtio-mem, virtio-pmem, SGX. Used through `FAMILY` in devices/__init__ and by domain/rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, want_virtio, where
from domicile.devices.parts.device import Device, DimmAddress
from domicile.devices.parts.omit import omit
from domicile.devices.parts.size import Size
from domicile.plan.backing import Piece
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import NUMBERS, PATH, UINT, UUID, YES_NO, enum, hexadecimal, numbers
from domicile.schema.shape import Element, element

MODELS = ("dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc")
_NAMES = {"dimm": "dimm", "nvdimm": "nvdimm", "virtio-pmem": "virtiopmem", "virtio-mem": "virtiomem", "sgx-epc": "epc"}
_DRIVERS = {"dimm": "pc-dimm", "nvdimm": "nvdimm", "virtio-pmem": "virtio-pmem", "virtio-mem": "virtio-mem"}
_PLUGGED = ("dimm", "nvdimm")
_SOURCE = {
    "dimm": ("nodemask", "pagesize"),
    "virtio-mem": ("nodemask", "pagesize"),
    "sgx-epc": ("nodemask",),
    "nvdimm": ("path", "alignsize", "pmem"),
    "virtio-pmem": ("path",),
}
_TARGET = {
    "nvdimm": ("label", "readonly"),
    "virtio-mem": ("dynamicMemslots", "block", "requested", "address"),
    "virtio-pmem": ("address",),
}


@element("source", "内存的来源")
class MemorySource(Element):
    """What of the host stands behind the module."""

    nodemask: str | None = f.leaf("The host's NUMA nodes it is taken from.", "取自哪些主机 NUMA 节点。", NUMBERS)
    pagesize: Size | None = f.child("The size of the host's pages.", "主机页大小。", Size)
    path: str | None = f.leaf("The file that keeps its contents.", "保存内容的文件。", PATH)
    alignsize: Size | None = f.child("How the file is aligned in memory.", "文件在内存中的对齐。", Size)
    pmem: bool = f.flag("The file lies on persistent memory.", "文件位于持久内存上。")


@element("label", "标签区")
class Label(Element):
    """The NVDIMM's label area, in which the guest notes its namespaces."""

    size: Size | None = f.child("Its size.", "大小。", Size, guest=True)


@element("address", "起始地址")
class MemoryBase(Element):
    """Where in the guest's address space the module begins."""

    base: int | None = f.attr("The first byte.", "首字节地址。", hexadecimal(1, 2**64 - 1), guest=True)


@element("target", "客户机看到的内存")
class MemoryTarget(Element):
    """What the guest sees."""

    dynamicMemslots: bool | None = f.attr(
        "Whether only the plugged part takes up slots of KVM.", "是否只让已接入的部分占用 KVM 槽。", YES_NO
    )
    size: Size | None = f.child("The module's size.", "模块大小。", Size, guest=True)
    node: int | None = f.leaf("The guest's NUMA node it belongs to.", "所属的客户机 NUMA 节点。", UINT, guest=True)
    label: Label | None = f.child("The label area.", "标签区。", Label)
    readonly: bool = f.flag("The guest cannot write to it.", "客户机不能写入。", guest=True)
    block: Size | None = f.child("The unit in which it is plugged.", "接入的最小单位。", Size, guest=True)
    requested: Size | None = f.child(
        "How much the guest should plug.", "要求客户机接入的量。", Size, effect="live", guest=True
    )
    current: Size | None = f.child("How much the guest has plugged.", "客户机已接入的量。", Size)
    address: MemoryBase | None = f.child("Where it begins.", "起始地址。", MemoryBase)


@element("memory", "内存模块", identity=("address.slot",))
class MemoryDevice(Device):
    """A memory module that can be plugged."""

    model: str | None = f.attr("The kind of module.", "种类。", enum(*MODELS), guest=True, required=True)
    access: str | None = f.attr(
        "Whether other processes of the host see the guest's writes.",
        "主机其他进程能否看到客户机的写入。",
        enum("shared", "private"),
    )
    discard: bool | None = f.attr("Whether its contents are forgotten at stop.", "停机时是否丢弃内容。", YES_NO)
    uuid: str | None = f.leaf("The UUID a pseries NVDIMM is known by.", "pseries NVDIMM 的标识。", UUID, guest=True)
    source: MemorySource | None = f.child("What stands behind it.", "内存的来源。", MemorySource, keep_empty=False)
    target: MemoryTarget | None = f.child("What the guest sees.", "客户机看到什么。", MemoryTarget)


def size_kib(memory: MemoryDevice) -> int:
    """Say how much memory a module adds, in KiB."""
    target = memory.target
    return (target.size.value or 0) if target is not None and target.size is not None else 0


def defaults(memory: MemoryDevice, c: Completion) -> None:
    """Write all sizes in KiB, and leave out what the model does not have."""
    model = memory.model or ""
    why = f"a module of model {model} has no such thing", f"型号 {model} 没有此项"
    source, target = memory.source, memory.target
    if source is not None:
        omit(source, _others(_SOURCE, model), c, *why)
        _settle(source.pagesize, source.alignsize)
    if target is not None:
        omit(target, [*_others(_TARGET, model), "current"], c, *why)
        label = target.label.size if target.label is not None else None
        _settle(target.size, target.block, target.requested, label)
        unit = target.size.unit if target.size is not None else None
        if c.board.memory_unit and c.host.modern and model in _PLUGGED and unit == "KiB" and size_kib(memory):
            _round(memory, target, c)
    if memory.uuid is not None and model != "nvdimm":
        omit(memory, ("uuid",), c, *why)
    if c.pseries and model == "nvdimm" and memory.uuid is None:
        c.allocate(
            memory, "uuid", c.host.new_uuid(), "pseries knows its NVDIMMs by UUID", "pseries 以 UUID 识别 NVDIMM"
        )


def _round(memory: MemoryDevice, target: MemoryTarget, c: Completion) -> None:
    """Write down the size that the machine's unit of memory leaves of what was asked for."""
    assert target.size is not None
    size = aligned_kib(memory, c)
    if size > _label_kib(memory) and size != target.size.value:
        c.default(target.size, "value", size, "the machine takes memory in larger pieces", "该机型按更大的单位使用内存")


def _others(own: dict[str, tuple[str, ...]], model: str) -> list[str]:
    return sorted({slot for slots in own.values() for slot in slots} - set(own.get(model, ())))


def _settle(*sizes: Size | None) -> None:
    for size in sizes:
        if size is None or size.unit == "KiB":
            continue
        count = size.count() if size.unit is not None else None
        if size.unit is not None and count is None:
            continue
        size.value = -(-count // 1024) if count is not None else size.value
        size.unit = "KiB"


def check(memory: MemoryDevice, c: Completion) -> None:
    """Find what cannot be."""
    model, source, target = memory.model, memory.source or MemorySource(), memory.target
    if model is None:
        c.problem(memory, "element 'memory' has no attribute 'model'", ", ".join(MODELS), "@model")
        return
    if target is None or target.size is None or target.size.value is None:
        c.problem(memory, f"memory of model '{model}' has no <target> with a 'size'", "<target><size>…</size></target>")
        return
    if not _exists(model, c):
        c.problem(memory, f"memory of model '{model}' does not exist in this emulator", "", "@model")
    if target.size.unit != "KiB":
        c.problem(target.size, f"attribute 'unit' has the value '{target.size.unit}'", "b, KB, KiB, MB, MiB …", "@unit")
    if model in ("nvdimm", "virtio-pmem") and source.path is None:
        c.problem(memory, f"memory of model '{model}' has no 'path'", "<source><path>…</path></source>", "source/path")
    if memory.uuid is not None and not c.pseries:
        c.problem(memory, f"machine type '{c.machine}' knows no 'uuid' of an NVDIMM", "no <uuid>", "uuid")
    if model == "virtio-pmem":
        if memory.access == "private":
            c.problem(memory, "virtio-pmem has access 'private'", "access='shared'", "@access")
        if target.node is not None:
            c.problem(target, "virtio-pmem belongs to no NUMA 'node'", "no <node>", "node")
    label = target.label.size if target.label is not None else None
    if model == "nvdimm" and label is None and c.board.memory_unit:
        c.problem(
            target, f"an NVDIMM of machine type '{c.machine}' has no 'label'", "<label><size>…</size></label>", "label"
        )
    if label is not None and (label.value or 0) < 128:
        c.problem(label, f"the NVDIMM's 'label' has {label.value} KiB", "128 KiB or more")
    if target.dynamicMemslots and not any(
        c.caps.has_property(f"virtio-mem-{bus}", "dynamic-memslots") for bus in ("pci", "ccw")
    ):
        c.problem(
            target, "this QEMU knows no 'dynamicMemslots' of virtio-mem", "dynamicMemslots='no'", "@dynamicMemslots"
        )
    if model == "virtio-mem":
        _check_blocks(target, target.size.value, c)


def _check_blocks(target: MemoryTarget, size: int, c: Completion) -> None:
    block = (target.block.value if target.block is not None else None) or 0
    requested = (target.requested.value if target.requested is not None else None) or 0
    if block == 0 or block & (block - 1):
        c.problem(target.block or target, f"the 'block' of virtio-mem has {block} KiB", "a power of two", "block")
    elif requested % block or size % block:
        c.problem(
            target, f"'size' and 'requested' are no multiples of {block} KiB", f"multiples of {block}", "requested"
        )
    if requested > size:
        c.problem(target, f"'requested' is {requested} KiB, of {size} KiB there are", f"{size} at most", "requested")


def _exists(model: str, facts: Facts) -> bool:
    if model.startswith("virtio"):
        return any(facts.caps.has_device(f"{_DRIVERS[model]}-{bus}") for bus in ("pci", "ccw"))
    return facts.caps.has_device(_DRIVERS.get(model, model))


def check_together(modules: Sequence[MemoryDevice], c: Completion) -> None:
    """Find modules that lie over one another."""
    seen: list[tuple[int, int]] = []
    for memory in modules:
        base = base_of(memory)
        if base is None:
            continue
        end = base + _seen_kib(memory) * 1024
        for other, other_end in seen:
            if base < other_end and other < end:
                c.problem(
                    memory, f"memory at {base:#x} up to {end:#x} lies over the module at {other:#x}", "a free place"
                )
                break
        seen.append((base, end))


def _label_kib(memory: MemoryDevice) -> int:
    label = memory.target.label.size if memory.target is not None and memory.target.label is not None else None
    return (label.value or 0) if label is not None else 0


def _seen_kib(memory: MemoryDevice) -> int:
    """Say how much the guest sees: an NVDIMM without its label, in steps of 2 MiB."""
    size = size_kib(memory)
    return (size - _label_kib(memory)) // 2048 * 2048 if memory.model == "nvdimm" else size


def base_of(memory: MemoryDevice) -> int | None:
    """Say where in the guest's address space a module was put by its owner."""
    if isinstance(memory.address, DimmAddress):
        return memory.address.base
    target = memory.target
    return target.address.base if target is not None and target.address is not None else None


def assign_slots(modules: Sequence[MemoryDevice], c: Completion) -> None:
    """Give every DIMM and NVDIMM without a slot the lowest free one."""
    plugged = [memory for memory in modules if memory.model in _PLUGGED]
    taken = {memory.address.slot for memory in plugged if isinstance(memory.address, DimmAddress)}
    for memory in plugged:
        if memory.address is not None and not isinstance(memory.address, DimmAddress):
            continue
        address = memory.address or DimmAddress()
        if address.slot is None:
            address.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
            taken.add(address.slot)
            c.allocate(memory, "address", address, "the lowest free slot", "最小的空闲插槽")


def place(memory: MemoryDevice, facts: Facts) -> Want | None:
    """Ask for a place for the virtio modules; `assign_slots` serves the others."""
    return want_virtio(memory, facts) if (memory.model or "").startswith("virtio") else None


def alias(memory: MemoryDevice, index: int, p: Planning) -> str:
    """Name the module by its slot; `index` counts the modules of one model."""
    slot = memory.address.slot if isinstance(memory.address, DimmAddress) else None
    return f"{_NAMES.get(memory.model or '', 'dimm')}{index if slot is None else slot}"


def plan(memory: MemoryDevice, p: Planning) -> Iterator[Item | Need]:
    """Ask for the memory behind the module, then for the module."""
    origin, name = p.origin(memory), alias_of(memory)
    yield from backend(memory, p)
    if memory.model == "sgx-epc" or memory.target is None:
        return
    target, model = memory.target, memory.model or ""
    props: dict[str, Any] = {"driver": _DRIVERS[model], "node": target.node}
    if model in _PLUGGED:
        label = target.label.size if target.label is not None else None
        props["label-size"] = _bytes(label)
        props |= {"uuid": memory.uuid, "unarmed": target.readonly or None, "memdev": f"mem{name}", "id": name}
        if isinstance(memory.address, DimmAddress):
            props |= {"slot": memory.address.slot, "addr": memory.address.base}
    else:
        huge = model == "virtio-mem" and p.backing.filled(piece(memory, p), p.host, p.short_name)
        props["driver"] = virtio_driver(props["driver"], memory)
        props |= {
            "block-size": _bytes(target.block),
            "requested-size": _bytes(target.requested),
            "memdev": f"mem{name}",
        }
        props |= {"prealloc": True if huge else None, "memaddr": base_of(memory)}
        props |= {"dynamic-memslots": target.dynamicMemslots, "id": name, **where(memory, p)}
    yield Structured("device", props, origin=origin)


def piece(memory: MemoryDevice, p: Planning) -> Piece:
    """Say what of a module's memory the module itself decides; the domain decides the rest."""
    source, model = memory.source or MemorySource(), memory.model
    more: dict[str, Any] = {"align": _bytes(source.alignsize), "pmem": source.pmem or None}
    if memory.target is not None and memory.target.readonly:
        more["readonly"] = True
    page = source.pagesize.value if source.pagesize is not None else None
    return Piece(
        f"mem{alias_of(memory)}", aligned_kib(memory, p) * 1024, memory.target.node if memory.target is not None else None,
        page_kib=page, path=source.path, host_nodes=tuple(numbers(source.nodemask)) if source.nodemask is not None else None,
        access=memory.access or ("shared" if model == "virtio-pmem" else None), discard=memory.discard,
        fill=not source.pmem if model == "nvdimm" else False if model == "virtio-pmem" else None, lazy=model == "virtio-mem", more=more,
    )  # fmt: skip


def backend(memory: MemoryDevice, p: Planning) -> Iterator[Item | Need]:
    """Ask for the memory object behind a module."""
    origin = p.origin(memory)
    if memory.model != "sgx-epc":
        yield from p.backing.objects(piece(memory, p), p.caps, p.host, p.short_name, origin)
        return
    props = {"qom-type": "memory-backend-epc", "id": f"mem{alias_of(memory)}", "prealloc": True}
    props["size"] = aligned_kib(memory, p) * 1024
    source = memory.source
    if source is not None and source.nodemask is not None:
        props |= {"host-nodes": numbers(source.nodemask), "policy": "bind"}
    yield Structured("object", props, origin=origin)


def aligned_kib(memory: MemoryDevice, facts: Facts) -> int:
    """Round a module to what its bus takes: 256 MiB on pseries, where an NVDIMM shrinks and keeps its label; else 2 MiB."""
    size = size_kib(memory)
    unit = facts.board.memory_unit or 2048
    if memory.model == "nvdimm" and facts.board.memory_unit:
        kept = _label_kib(memory)
        return (size - kept) // unit * unit + kept
    return -(-size // unit) * unit


def _bytes(size: Size | None) -> int | None:
    return size.value * 1024 if size is not None and size.value is not None else None


FAMILY = Family(element=MemoryDevice, defaults=defaults, check=check, place=place, alias=alias, plan=plan)
