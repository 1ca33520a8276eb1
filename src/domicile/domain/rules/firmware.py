"""Which firmware a machine starts with: checked, chosen among what the host's packages describe, and written down.

Called by domain/complete. Source: libvirt's documentation of <os firmware>, observed with libvirt 11.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.base.errors import OPERATION_FAILED
from domicile.devices.disk.model import DiskSource
from domicile.domain.domain import Domain
from domicile.domain.features import Features, Smm
from domicile.domain.os import FirmwareFeature, FirmwareFeatures, Loader, Nvram, Os
from domicile.domain.rules import firmware_checks as checks
from domicile.plan.facts import Completion
from domicile.plan.firmware import Firmware, template_of

_SEV_ES = 4


def settle(domain: Domain, c: Completion) -> None:
    """Choose the firmware and fill in where its image and its variables are."""
    os = domain.os
    if os is None:
        return
    checks.tables_have_uefi(domain, os, c)
    if not checks.given(os, c):
        return
    if os.firmware is not None:
        found = next(_matching(domain, os, os.firmware, c), None)
        if found is None:
            what = f"no '{os.firmware}' firmware of this host fits the machine and what is asked of it"
            accepted = "fewer demands in <firmware>, <loader> and <nvram>, or a package such as ovmf"
            c.problem(os, what, accepted, "@firmware", code=OPERATION_FAILED)
            return
        _take(domain, os, found, c)
    elif os.loader is not None and os.loader.path:
        _by_hand(domain, os, os.loader, c)
    _variables(domain, os, c)
    checks.settled(domain, os, c)


def _by_hand(domain: Domain, os: Os, loader: Loader, c: Completion) -> None:
    """Complete an image that is named: by its description where there is one."""
    if loader.type is None:
        c.default(loader, "type", "rom", "the usual way to show an image", "呈现映像的通常方式")
    described = ((kind, next(_matching(domain, os, kind, c), None)) for kind in ("efi", "bios"))
    kind, found = next(((kind, found) for kind, found in described if found is not None), ("", None))
    if found is not None and c.host.libvirt >= (9, 2):
        c.default(os, "firmware", kind, "what the image named is", "所指映像的种类")
        _take(domain, os, found, c)
        return
    if os.firmware_features is not None and os.firmware_features.feature:
        what = f"element 'feature' of 'firmware' stands beside the <loader> '{loader.path}', of which nothing is known"
        c.problem(os.firmware_features, what, "an image that a description names, or firmware='efi'")
    if loader.format is None:
        _format(loader, "format", "raw", ("the usual format", "通常的格式"), c)
    # Older releases take an image that is named as it is, whatever its description says; where its variables come from is
    # looked up at a start (flash.wishes), and not written down.
    if os.nvram is None and _keeps_variables(loader) and template_of(loader.path or "", c.host.firmwares):
        os.nvram = Nvram()
        c.add(os.nvram, "the firmware keeps variables", "固件需保存变量")


def _matching(domain: Domain, os: Os, kind: str, c: Completion) -> Iterator[Firmware]:
    """List what fits, the best first."""
    known = c.caps.machine(c.machine, c.accel == "kvm") or c.caps.machine(c.machine)
    machine = known.name if known is not None else c.machine
    for firmware in c.host.firmwares:
        if (
            kind in firmware.kinds
            and firmware.runs_on(c.arch, machine)
            and _shape_fits(os, firmware)
            and _features_fit(domain, os, firmware)
        ):
            yield firmware


def _shape_fits(os: Os, firmware: Firmware) -> bool:
    """Compare with the image and the variables that are named."""
    loader, nvram = os.loader or Loader(), os.nvram or Nvram()
    if loader.path and loader.path != firmware.path:
        return False
    if nvram.template and nvram.template != firmware.template:
        return False
    if loader.readonly is False:
        return False
    wanted = loader.format or nvram.templateFormat or nvram.format
    if firmware.format not in (("raw", "qcow2") if loader.path and not wanted else (wanted or "raw",)):
        return False
    if nvram.templateFormat and firmware.mode == "split" and nvram.templateFormat != firmware.template_format:
        return False
    if firmware.device == "flash":
        mode = "stateless" if loader.stateless else "split"
        return loader.type in (None, "pflash") and firmware.mode == mode
    if firmware.device != "memory" or loader.type == "pflash" or loader.stateless is False:
        return False
    # Only a BIOS is shown as a read-only memory unless its owner says so.
    return os.nvram is None and (loader.type == "rom" or "efi" not in firmware.kinds)


def _features_fit(domain: Domain, os: Os, firmware: Firmware) -> bool:
    """Compare with what the machine and its owner ask of the firmware."""
    has = firmware.features.__contains__
    if os.firmware_features is not None:
        for name in ("enrolled-keys", "secure-boot"):
            wanted = os.firmware_features.wants(name)
            if wanted is not None and wanted != has(name):
                return False
    secure = os.loader.secure if os.loader is not None else None
    if secure is not None and secure != has("requires-smm"):
        return False
    smm = domain.features.smm if domain.features is not None else None
    if has("requires-smm") and smm is not None and smm.state is False:
        return False
    if domain.pm is not None:
        for state, name in ((domain.pm.suspend_to_mem, "acpi-s3"), (domain.pm.suspend_to_disk, "acpi-s4")):
            if state is not None and state.enabled and not has(name):
                return False
    return all(has(name) for name in _protection(domain))


def _protection(domain: Domain) -> Iterator[str]:
    """Name the features that the guest's protection from the host takes."""
    node = domain.launchSecurity
    kind = node.get("type") if node is not None else None
    if kind == "sev":
        yield "amd-sev"
        try:
            policy = int(node.findtext("policy") or "0", 0)
        except ValueError:
            policy = 0
        if policy & _SEV_ES:
            yield "amd-sev-es"
    elif kind in ("sev-snp", "tdx"):
        yield {"sev-snp": "amd-sev-snp", "tdx": "intel-tdx"}[kind]


def _take(domain: Domain, os: Os, firmware: Firmware, c: Completion) -> None:
    """Write down what was chosen, so that the machine keeps it."""
    why = f"the first description that fits: {firmware.name}", f"首个符合条件的固件描述：{firmware.name}"
    if os.loader is None:
        os.loader = Loader()
        c.add(os.loader, *why)
    loader, flash = os.loader, firmware.device == "flash"
    values: dict[str, Any] = {"path": firmware.path, "type": "pflash" if flash else "rom"}
    if flash:
        values |= {"readonly": True, "stateless": True if firmware.mode == "stateless" else None}
        values["secure"] = True if firmware.secure else None
    for slot, value in values.items():
        if value is not None and getattr(loader, slot) in (None, ""):
            c.default(loader, slot, value, *why)
    if loader.format is None:
        _format(loader, "format", firmware.format, why, c)
    if flash and firmware.secure:
        _system_management(domain, c)
    if flash and firmware.mode == "split":
        if os.nvram is None:
            os.nvram = Nvram()
            c.add(os.nvram, "the firmware keeps variables", "固件需保存变量")
        _template(os.nvram, firmware, why, c)
    _record(os, firmware, why, c)


def _template(nvram: Nvram, firmware: Firmware, why: tuple[str, str], c: Completion) -> None:
    if nvram.local:
        if not nvram.template:
            c.default(nvram, "template", firmware.template, *why)
        if nvram.templateFormat is None:
            _format(nvram, "templateFormat", firmware.template_format, why, c)
    if nvram.format is None or (nvram.format != firmware.template_format and not nvram.place and nvram.local):
        _format(nvram, "format", firmware.template_format, why, c)


def _record(os: Os, firmware: Firmware, why: tuple[str, str], c: Completion) -> None:
    """Say of each feature whether the firmware has it; variables that were not made here may hold any keys."""
    if os.firmware_features is None:
        os.firmware_features = FirmwareFeatures()
    listed = os.firmware_features
    for name in ("enrolled-keys", "secure-boot"):
        if name == "enrolled-keys" and os.nvram is not None and not os.nvram.local:
            continue
        if listed.wants(name) is None:
            feature = FirmwareFeature(name=name, enabled=name in firmware.features)
            listed.feature.append(feature)
            c.add(feature, *why)
    listed.feature.sort(key=lambda feature: feature.name or "")


def _system_management(domain: Domain, c: Completion) -> None:
    """Turn on what protects the variables from the guest's kernel."""
    why = "secure boot needs it", "安全启动需要它"
    if domain.features is None:
        domain.features = Features()
    if domain.features.smm is None:
        c.default(domain.features, "smm", Smm(state=True), *why)


def _format(element: Loader | Nvram, slot: str, value: str, why: tuple[str, str], c: Completion) -> None:
    """Write a format down; before libvirt 9.2 there was but one, and no word for it."""
    if value != "raw" or getattr(element, slot) is not None or c.host.libvirt >= (9, 2):
        c.default(element, slot, value, *why)


def _keeps_variables(loader: Loader) -> bool:
    return loader.type == "pflash" and loader.readonly is True and not loader.stateless


def _variables(domain: Domain, os: Os, c: Completion) -> None:
    """Say where the variables are kept."""
    loader = os.loader
    if loader is None or not _keeps_variables(loader):
        return
    if os.nvram is None:
        os.nvram = Nvram()
        c.add(os.nvram, "the firmware keeps variables", "固件需保存变量")
    nvram = os.nvram
    if nvram.template and nvram.templateFormat is None:
        _format(nvram, "templateFormat", "raw", ("the usual format", "通常的格式"), c)
    if nvram.format is None:
        fmt = nvram.templateFormat or loader.format or "raw"
        _format(nvram, "format", fmt, ("the format of its template", "与模板格式相同"), c)
    if nvram.place or nvram.type not in (None, "file"):
        return
    path = f"{c.host.directories.nvram}/{domain.name}_VARS.{'qcow2' if nvram.format == 'qcow2' else 'fd'}"
    why = "a file of its own among those of this host", "本机固件变量目录中的专属文件"
    if nvram.type is None:
        c.allocate(nvram, "path", path, *why)
    else:
        nvram.path = None  # beside a kind of source, a text says nothing
        if nvram.source is None:
            nvram.source = DiskSource()
        c.allocate(nvram.source, "file", path, *why)
