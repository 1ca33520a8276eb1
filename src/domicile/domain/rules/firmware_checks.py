"""What may be said of firmware and its tables, and what contradicts itself. Called by domain/rules/firmware and complete."""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.domain.domain import Domain
from domicile.domain.os import Loader, Os
from domicile.plan.facts import Completion


def given(os: Os, c: Completion) -> bool:
    """Check what the owner says; False where there is nothing to choose or something is wrong."""
    before = len(c.found)
    _tables(os, c)
    _features(os, c)
    if os.firmware is None and os.loader is None and os.nvram is None:
        if os.firmware_features is not None and os.firmware_features.feature:
            what = "element 'feature' of 'firmware' asks for features, but no firmware is chosen"
            c.problem(os.firmware_features, what, "<os firmware='efi'>")
        return False
    if os.firmware is None and (os.loader is None or not os.loader.path):
        what = "no <loader> is named, and attribute 'firmware' of <os> does not ask to choose one"
        c.problem(os.loader or os.nvram, what, "firmware='efi', or the path of an image")
    _kinds(os, c)
    if os.loader is not None:
        _loader(os, os.loader, c)
    nvram = os.nvram
    if nvram is not None and nvram.type is not None and nvram.type != "file":
        source = nvram.source
        if source is None or not (source.dev or source.protocol):
            c.problem(nvram, f"<nvram> of type '{nvram.type}' has no <source>", "a <source>", code=XML_ERROR)
        if nvram.type == "network" and nvram.template:
            c.problem(nvram, "<nvram> of type 'network' has a 'template'", "variables that exist", "@template")
    return len(c.found) == before


def _features(os: Os, c: Completion) -> None:
    listed = os.firmware_features
    if listed is None:
        return
    for feature in listed.feature:
        for slot in ("enabled", "name"):
            if getattr(feature, slot) is None:
                what = f"element 'feature' has no attribute '{slot}'"
                c.problem(feature, what, "a feature and yes or no", f"@{slot}", code=XML_ERROR)
    if listed.wants("enrolled-keys") and listed.wants("secure-boot") is False:
        what = "feature 'enrolled-keys' is asked for while 'secure-boot' is not wanted"
        c.problem(listed, what, "both, or neither")


def _kinds(os: Os, c: Completion) -> None:
    """Only UEFI in a flash chip keeps variables."""
    rom = c.host.libvirt >= (9, 2) and os.firmware is None and os.loader is not None and os.loader.type in (None, "rom")
    kind = f"firmware '{os.firmware}'" if os.firmware else "a <loader> of type 'rom'"
    if os.firmware != "bios" and not rom:
        return
    if os.nvram is not None:
        c.problem(os.nvram, f"{kind} keeps no variables in <nvram>", "firmware='efi', or a loader of type 'pflash'")
    if os.loader is not None and os.loader.stateless is False:
        c.problem(os.loader, f"{kind} keeps no variables, so 'stateless' cannot be 'no'", "yes", "@stateless")


def _loader(os: Os, loader: Loader, c: Completion) -> None:
    if loader.readonly is False and loader.type == "rom":
        c.problem(loader, "a <loader> of type 'rom' cannot be written", "readonly='yes', or type='pflash'", "@readonly")
    template = os.nvram.template if os.nvram is not None else None
    for contradicts, why in ((loader.readonly is False, "holds its variables"), (bool(loader.stateless), "keeps none")):
        if contradicts and os.nvram is not None:
            what = "a 'template' of <nvram>" if template else "<nvram>"
            c.problem(os.nvram, f"{what} stands beside a <loader> that {why} itself", "one of the two")


def _tables(os: Os, c: Completion) -> None:
    seen: set[str] = set()
    for table in os.acpi.table if os.acpi is not None else []:
        kind = table.type
        if kind is None:
            c.problem(table, "element 'table' has no attribute 'type'", "slic, msdm, raw", "@type", code=XML_ERROR)
        elif kind == "rawset":
            c.problem(table, "ACPI tables of type 'rawset' are not for QEMU", "raw, one file for each", "@type")
        elif kind in seen and kind != "raw":
            c.problem(table, f"there are two ACPI tables of type '{kind}'", "one", "@type", code=XML_ERROR)
        if not table.path:
            c.problem(table, f"the ACPI <table> of type '{kind}' has no path", "the path of a file", code=XML_ERROR)
        seen.add(kind or "")


def tables_have_uefi(domain: Domain, os: Os, c: Completion) -> None:
    """On ARM only UEFI hands ACPI's tables to the guest."""
    flash = os.loader is not None and os.loader.type == "pflash"
    asked = domain.features is not None and domain.features.acpi
    if c.arm_virt and c.arch == "aarch64" and asked and os.firmware != "efi" and not flash:
        c.problem(domain.features, "<acpi/> on this architecture needs UEFI", "firmware='efi', or no <acpi/>", "acpi")


def settled(domain: Domain, os: Os, c: Completion) -> None:
    """Check what was chosen against the machine."""
    loader, features = os.loader, domain.features
    if loader is None:
        return
    if loader.secure:
        smm = features.smm if features is not None else None
        if not c.q35:
            what = f"attribute 'secure' of <loader> needs a q35 machine of x86_64, not '{c.machine}' of '{c.arch}'"
            c.problem(loader, what, "machine='q35'", "@secure")
        elif smm is None or smm.state is False:
            c.problem(loader, "attribute 'secure' of <loader> needs <smm>", "<features><smm state='on'/>", "@secure")
    uefi = os.firmware == "efi" or loader.type == "pflash"
    if uefi and c.x86 and (features is None or not features.acpi):
        c.problem(os, "UEFI on this architecture needs <acpi/> in <features>", "<features><acpi/></features>")
    nvram = os.nvram
    if nvram is not None and nvram.template and (nvram.format or "raw") != (nvram.templateFormat or "raw"):
        what = f"<nvram> has the format '{nvram.format}', its template '{nvram.templateFormat}'"
        c.problem(nvram, what, "the same format", "@format")
