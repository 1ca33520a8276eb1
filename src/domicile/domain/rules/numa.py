"""The guest's NUMA nodes and where their memory is on the host: settled and checked. Called by domain/complete and rules/defaults."""

from __future__ import annotations

from operator import itemgetter

from domicile.base.errors import XML_ERROR
from domicile.devices.memory import MemoryDevice
from domicile.devices.parts.device import DimmAddress
from domicile.domain.domain import Domain
from domicile.domain.memory import MAX_KIB, Memory
from domicile.domain.numa import Cell, Distance, Distances, Numa
from domicile.domain.options.memory import aligned
from domicile.domain.tuning import NumaMemory, NumaTune
from domicile.plan.facts import Completion
from domicile.schema.scalar import MOST_NUMBERS, numbers, spans

_LOCAL = 10


def settle(domain: Domain, c: Completion) -> None:
    """Order the nodes, give every CPU and distance its place, and say who places the memory."""
    _placement(domain, c)
    numa = domain.cpu.numa if domain.cpu is not None else None
    held = domain.memoryBacking.hugepages if domain.memoryBacking is not None else None
    if held is not None and (numa is None or not numa.cell):
        for page in held.page:
            if page.nodeset == "0":  # a guest without nodes is one node
                page.nodeset = None
    if numa is None:
        return
    numa.cell.sort(key=lambda cell: cell.id or 0)
    _processors(numa, domain.vcpu.value if domain.vcpu is not None and domain.vcpu.value else 0, c)
    _distances(numa, c)
    for cell in numa.cell:
        for cache in cell.cache:
            for size, unit in ((cache.size, "KiB"), (cache.line, "B")):
                if size is not None and size.unit is None:
                    size.unit = unit


def _placement(domain: Domain, c: Completion) -> None:
    """Let whoever chooses the CPUs choose the memory as well, where only one of the two is said."""
    vcpu, tune = domain.vcpu, domain.numatune
    if vcpu is None:
        return
    if tune is not None and tune.memory is not None and tune.memory.placement == "auto" and vcpu.cpuset is None:
        if vcpu.placement != "auto":
            c.default(vcpu, "placement", "auto", "as the memory is placed", "与内存的放置方式一致")
        tune.memory.nodeset = None
    elif vcpu.placement == "auto" and (tune is None or (tune.memory is None and not tune.memnode)):
        made = NumaTune(memory=NumaMemory(mode="strict", placement="auto"))
        c.default(domain, "numatune", made, "the memory goes where the CPUs are", "内存随 CPU 放置")


def _processors(numa: Numa, count: int, c: Completion) -> None:
    """Give the CPUs that no node has to the first one."""
    if count > MOST_NUMBERS or not numa.cell or (not c.host.fresh and all(cell.cpus is None for cell in numa.cell)):
        return
    had = [set(numbers(cell.cpus or "")) for cell in numa.cell]
    left = set(range(count)) - set().union(*had)
    if left and any(had):
        first = numa.cell[0]
        c.default(first, "cpus", spans(had[0] | left), "no other node has them", "其他节点均未包含")


def _distances(numa: Numa, c: Completion) -> None:
    """Complete distances: 10 to oneself, and back as far as there."""
    cells = {cell.id: cell for cell in numa.cell}
    known = {
        (cell.id, s.id): s.value for cell in numa.cell if cell.distances is not None for s in cell.distances.sibling
    }
    if not known:
        return
    full = dict(known)
    for (near, far), value in known.items():
        full.setdefault((far, near), value)
        full.setdefault((near, near), _LOCAL)
        if far in cells:
            full.setdefault((far, far), _LOCAL)
    for cell in numa.cell:
        wanted = sorted(
            ((far or 0, value) for (near, far), value in full.items() if near == cell.id), key=itemgetter(0)
        )
        have = cell.distances.sibling if cell.distances is not None else []
        if wanted and wanted != [(s.id, s.value) for s in have]:
            made = Distances(sibling=[Distance(id=far, value=value) for far, value in wanted])
            if len(wanted) == len(have):
                cell.distances = made
            else:
                c.default(cell, "distances", made, "back as far as there", "往返距离相同")


def check(domain: Domain, c: Completion) -> None:
    """Find nodes that are not there, CPUs in two nodes, and modes that contradict each other."""
    numa = domain.cpu.numa if domain.cpu is not None else None
    cells = {cell.id: cell for cell in numa.cell} if numa is not None else {}
    if numa is not None:
        _nodes(numa, domain.vcpu.value if domain.vcpu is not None else None, c)
    _host_nodes(domain, cells, c)
    held = domain.memoryBacking.hugepages if domain.memoryBacking is not None else None
    for page in held.page if held is not None else []:
        missing = [n for n in numbers(page.nodeset or "") if n not in cells]
        if missing and (cells or missing != [0]):
            what = f"<hugepages> names the guest's NUMA node '{missing[0]}', which is not there"
            c.problem(page, what, "a node of <numa>", "@nodeset", code=XML_ERROR)
    modules = domain.devices.of(MemoryDevice) if domain.devices is not None else []
    room = domain.maxMemory.slots if domain.maxMemory is not None else None
    plugged = sum(module.model in ("dimm", "nvdimm") for module in modules)
    if room and plugged > room:
        what = f"there are '{plugged}' memory modules, and '{room}' slots for them"
        c.problem(domain.maxMemory, what, "as many slots as modules", "@slots")
    for module in modules:
        node = module.target.node if module.target is not None else None
        if node is None and cells and module.model in ("dimm", "nvdimm", "virtio-mem"):
            c.problem(
                module, f"memory of model '{module.model}' belongs to no NUMA node", "<node>0</node>", "target/node"
            )
        slot = module.address.slot if isinstance(module.address, DimmAddress) else None
        slots = domain.maxMemory.slots if domain.maxMemory is not None else None
        if slot is not None and slots is not None and slot >= slots:
            c.problem(
                module.address, f"memory slot '{slot}' is beyond the '{slots}' there are", f"0 to {slots - 1}", "@slot"
            )
        if node is not None and node not in cells and (cells or node):
            what = f"memory module for NUMA node '{node}' of a guest that has '{len(cells)}'"
            c.problem(module, what, "a node of <numa>", "target/node")


def _nodes(numa: Numa, count: int | None, c: Completion) -> None:
    seen: dict[int, Cell] = {}
    ids: set[int | None] = set()
    if numa.cell and sorted(cell.id or 0 for cell in numa.cell) != list(range(len(numa.cell))):
        what = "the ids of the NUMA nodes are not 0 and up without a gap"
        c.problem(numa, what, f"0 to {len(numa.cell) - 1}, each once", "cell", code=XML_ERROR)
    for cell in numa.cell:
        if cell.memory is None:
            c.problem(cell, "element 'cell' has no attribute 'memory'", "an amount", "@memory", code=XML_ERROR)
        if cell.id in ids:
            c.problem(cell, f"there are two NUMA nodes with the id '{cell.id}'", "each id once", "@id", code=XML_ERROR)
        ids.add(cell.id)
        if cell.memory and aligned(cell.memory, c) >= MAX_KIB:
            what = f"memory of NUMA node '{cell.id}' has {cell.memory} KiB, which is too much once it is rounded"
            c.problem(cell, what, f"up to {MAX_KIB // 1024} MiB", "@memory")
        for number in numbers(cell.cpus or ""):
            if number in seen:
                what = f"virtual CPU '{number}' is in NUMA nodes '{seen[number].id}' and '{cell.id}'"
                c.problem(cell, what, "each CPU in one node", "@cpus", code=XML_ERROR)
                break
            seen[number] = cell
    if count is not None and seen and max(seen) >= count:
        what = f"virtual CPU '{max(seen)}' is in a NUMA node, but there are '{count}'"
        c.problem(seen[max(seen)], what, f"0 to {count - 1}", "@cpus")
    for cell in numa.cell:
        for sibling in cell.distances.sibling if cell.distances is not None else []:
            value = sibling.value or 0
            if sibling.id not in ids:
                what = f"'distances' of node '{cell.id}' names node '{sibling.id}'"
                c.problem(sibling, what, "a node of <numa>", "@id", code=XML_ERROR)
            elif not _LOCAL <= value <= 255 or (value == _LOCAL) != (sibling.id == cell.id):
                what = f"the distance from node '{cell.id}' to '{sibling.id}' has the 'value' '{sibling.value}'"
                c.problem(sibling, what, "10 to itself, 11 to 255 to others", "@value", code=XML_ERROR)


def _host_nodes(domain: Domain, cells: dict[int | None, Cell], c: Completion) -> None:
    tune = domain.numatune
    if tune is None:
        return
    whole = tune.memory.mode if tune.memory is not None else None
    seen: set[int | None] = set()
    for node in tune.memnode:
        if not cells:
            c.problem(node, "<memnode> without any NUMA node of the guest", "<cpu><numa><cell …/>", code=XML_ERROR)
            return
        if node.cellid not in cells:
            what = f"element 'memnode' names the guest's node '{node.cellid}', which is not there"
            c.problem(node, what, "a node of <numa>", "@cellid", code=XML_ERROR)
        if node.cellid in seen:
            what = f"there are two elements 'memnode' for node '{node.cellid}'"
            c.problem(node, what, "one for each node", "@cellid", code=XML_ERROR)
        seen.add(node.cellid)
        if tune.memory is not None and (whole == "restrictive") != (node.mode == "restrictive"):
            what = f"mode 'restrictive' for all memory or for none: <memnode> has '{node.mode}', <memory> has '{whole}'"
            c.problem(node, what, "'restrictive' in both or in neither", "@mode", code=XML_ERROR)


def amounts(numa: Numa, c: Completion) -> None:
    """Bring all amounts of the nodes to KiB, lines of caches to bytes."""
    for index, cell in enumerate(numa.cell):
        if cell.id is None:
            c.allocate(cell, "id", index, "its place in the list", "在列表中的次序")
        size = Memory(unit=cell.unit, value=cell.memory)
        wrong = size.normalise()
        if wrong is not None:
            c.problem(cell, f"element 'cell' has the {wrong}", "an amount in bytes, KiB, MiB, GiB, TiB", "@memory")
        cell.memory, cell.unit = size.value, "KiB"
    ways = numa.interconnects
    for way in ways.bandwidth if ways is not None else []:
        size = Memory(unit=way.unit, value=way.value)
        wrong = size.normalise()
        if wrong is not None:
            c.problem(way, f"element 'bandwidth' has the {wrong}", "an amount in bytes, KiB, MiB, GiB, TiB", "@value")
        way.value, way.unit = size.value, "KiB"
