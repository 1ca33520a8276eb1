"""Trusted platform modules: the host's own, or one that a program emulates. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.device import Device, SpaprVioAddress
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import File, Helper, HostTpm, Need
from domicile.plan.place import Want, WantSpaprVio
from domicile.plan.qemu import Item, Keyed, Structured
from domicile.schema import field as f
from domicile.schema.scalar import UINT, UUID, YES_NO, enum
from domicile.schema.shape import Element, element

_PROXY = "spapr-tpm-proxy"
_DEVICE = {"tpm-tis": "/dev/tpm0", "tpm-crb": "/dev/tpm0", "tpm-spapr": "/dev/tpm0", _PROXY: "/dev/tpmrm0"}
_BELONGS = {
    "passthrough": ("device",),
    "emulator": ("version", "persistent_state", "debug", "encryption", "active_pcr_banks", "source", "profile"),
    "external": ("source",),
}


@element("device", "主机的 TPM 设备")
class TpmDevice(Element):
    """The host's module."""

    path: str | None = f.attr("Its device file.", "设备文件。")


@element("encryption", "状态加密")
class TpmEncryption(Element):
    """How the emulated module's state is encrypted on disk."""

    secret: str | None = f.attr(
        "The UUID of the secret that holds the passphrase.", "保存口令的 secret 的 UUID。", UUID
    )


@element("active_pcr_banks", "启用的 PCR 组")
class PcrBanks(Element):
    """Which hash algorithms the module's registers are kept in."""

    sha1: bool = f.flag("SHA-1.", "SHA-1。", guest=True)
    sha256: bool = f.flag("SHA-256.", "SHA-256。", guest=True)
    sha384: bool = f.flag("SHA-384.", "SHA-384。", guest=True)
    sha512: bool = f.flag("SHA-512.", "SHA-512。", guest=True)


@element("source", "TPM 状态或套接字")
class TpmSource(Element):
    """Where the emulated module's state is, or where an external one listens."""

    type: str | None = f.attr(
        "file or dir for the state, unix for an external module.",
        "file、dir 为状态存放处，unix 为外部模块。",
        enum("file", "dir", "unix"),
    )
    mode: str | None = f.attr("QEMU connects to an external module.", "QEMU 连接外部模块。", enum("connect", "bind"))
    path: str | None = f.attr("The file, directory or socket.", "文件、目录或套接字的路径。")


@element("profile", "TPM 配置方案")
class TpmProfile(Element):
    """What the emulated module can do, fixed when its state is made."""

    source: str | None = f.attr("The profile it was made from.", "初始所用的方案。")
    removeDisabled: str | None = f.attr(
        "Whether algorithms the host forbids are taken out.", "是否移除主机禁用的算法。", enum("check", "fips-host")
    )
    name: str | None = f.attr("The profile's name.", "方案名称。")


@element("backend", "TPM 的提供者")
class TpmBackend(Element):
    """Who is the module."""

    type: str | None = f.attr(
        "passthrough is the host's own, emulator a program started for the machine, external one that runs already.",
        "passthrough 为主机自身的模块，emulator 为随虚拟机启动的程序，external 为已在运行的模块。",
        enum(*_BELONGS),
    )
    version: str | None = f.attr("The version of the standard.", "标准版本。", enum("1.2", "2.0"), guest=True)
    persistent_state: bool | None = f.attr(
        "Whether the state outlives the definition of a transient machine.", "临时虚拟机消失后是否保留状态。", YES_NO
    )
    debug: int | None = f.attr("How much the emulator logs.", "模拟程序的日志级别。", UINT)
    device: TpmDevice | None = f.child("The host's module.", "主机的模块。", TpmDevice)
    encryption: TpmEncryption | None = f.child("Encryption of the state.", "状态加密。", TpmEncryption)
    active_pcr_banks: PcrBanks | None = f.child("The register banks.", "PCR 组。", PcrBanks)
    source: TpmSource | None = f.child("Where its state or socket is.", "状态或套接字的位置。", TpmSource)
    profile: TpmProfile | None = f.child("What it can do.", "配置方案。", TpmProfile)


@element("tpm", "可信平台模块")
class Tpm(Device):
    """A trusted platform module: keeps keys and measures what was booted."""

    model: str | None = f.attr("How the guest talks to it.", "客户机与它通信的接口。", enum(*_DEVICE), guest=True)
    backend: TpmBackend | None = f.child("Who is the module.", "由谁提供。", TpmBackend)


def defaults(tpm: Tpm, c: Completion) -> None:
    """Fill in interface, version and the host's device."""
    if tpm.model is None:
        passed = tpm.backend is not None and tpm.backend.type == "passthrough"
        model = _PROXY if passed and c.board.tpm == "tpm-spapr" else c.board.tpm
        c.default(tpm, "model", model, "the usual interface of this machine", "该机型的常见接口")
    backend = tpm.backend
    if backend is None or backend.type is None:
        return
    foreign = [slot for kind, slots in _BELONGS.items() for slot in slots if slot not in _BELONGS[backend.type]]
    omit(backend, foreign, c, f"has no meaning for type {backend.type}", f"对类型 {backend.type} 没有意义")
    if backend.type == "emulator" and backend.version is None:
        old = tpm.model == "tpm-tis" and c.x86
        version = "1.2" if old else "2.0"
        c.default(backend, "version", version, "the usual version for this interface", "该接口的常见版本")
    if backend.type == "passthrough" and (backend.device is None or not backend.device.path):
        backend.device = backend.device or TpmDevice()
        c.default(backend.device, "path", _DEVICE[tpm.model or ""], "the host's first module", "主机的第一个模块")
    if backend.type == "external" and backend.source is not None and backend.source.mode is None:
        c.default(backend.source, "mode", "connect", "QEMU connects to it", "由 QEMU 连接")


def check(tpm: Tpm, c: Completion) -> None:
    """Find what cannot be."""
    backend, model = tpm.backend, tpm.model
    if backend is None:
        c.problem(tpm, "element 'tpm' has no <backend>", ", ".join(_BELONGS), "backend")
        return
    if backend.type is None:
        c.problem(backend, "element 'backend' has no attribute 'type'", ", ".join(_BELONGS), "@type")
    if model == _PROXY and backend.type != "passthrough":
        c.problem(backend, f"TPM model '{model}' is only for backend type 'passthrough'", "passthrough", "@type")
    if not c.caps.has_device(_driver(tpm, c)):
        c.problem(tpm, f"'{c.caps.binary}' has no TPM model '{model}'", ", ".join(c.caps.tpm_models), "@model")
    if backend.version == "1.2" and (model != "tpm-tis" or not c.x86):
        c.problem(backend, f"TPM model '{model}' does not exist for version '1.2'", "2.0", "@version")
    if backend.type == "emulator" and not c.host.has_program("swtpm"):
        message = f"TPM version '{backend.version}' is not to be had: the program 'swtpm' is not installed on this host"
        c.problem(backend, message, "the package swtpm, or a TPM of the host", "@version")
    if backend.active_pcr_banks is not None and backend.version != "2.0":
        banks = backend.active_pcr_banks
        c.problem(banks, "<active_pcr_banks/> is only for TPM version '2.0'", "version='2.0'")
    _check_source(backend, c)
    if tpm.address is not None and not (model in ("tpm-spapr", _PROXY) and isinstance(tpm.address, SpaprVioAddress)):
        c.problem(tpm.address, f"TPM model '{model}' has an address of type '{tpm.address.type}'", "no <address>")


def check_together(modules: Sequence[Tpm], c: Completion) -> None:
    """Find modules that no machine has two of: one proxy, and one other."""
    for proxy in (False, True):
        several = [tpm for tpm in modules if (tpm.model == _PROXY) is proxy]
        if len(several) > 1:
            what = "TPM proxies" if proxy else "TPMs that are no proxy"
            c.problem(several[1], f"there are {len(several)} {what}", "one at most")


def _check_source(backend: TpmBackend, c: Completion) -> None:
    source = backend.source
    if backend.type == "external":
        if source is None or source.type is None or not source.path:
            message = "<backend> of type 'external' does not say where the module listens"
            c.problem(source or backend, message, "<source type='unix' path='…'/>", "" if source else "source")
        elif source.type != "unix" or source.mode != "connect":
            message = f"<source> of an external TPM has type '{source.type}' and mode '{source.mode}'"
            c.problem(source, message, "type='unix' mode='connect'")
    elif source is not None and (source.type not in ("file", "dir") or not source.path):
        c.problem(source, f"<source> of an emulated TPM has type '{source.type}'", "file or dir, with a path", "@type")


def _driver(tpm: Tpm, facts: Facts) -> str:
    if tpm.model == "tpm-tis" and not facts.x86:
        return "tpm-tis-device"
    return tpm.model or "tpm-tis"


def place(tpm: Tpm, facts: Facts) -> Want | None:
    """Ask for a register on pSeries; elsewhere it has a place of its own."""
    return WantSpaprVio() if tpm.model == "tpm-spapr" and facts.pseries else None


def plan(tpm: Tpm, p: Planning) -> Iterator[Item | Need]:
    """Ask for the module and the interface the guest talks to."""
    origin, name = p.origin(tpm), alias_of(tpm)
    backend = tpm.backend or TpmBackend()
    host = backend.device.path if backend.device is not None else None
    if tpm.model == _PROXY:
        yield File(host or _DEVICE[_PROXY], writable=True, origin=origin)
        props = {"driver": _PROXY, "id": name, "host-path": host, **where(tpm, p)}
        yield Structured("device", props, origin=origin)
        return
    ident = f"tpm-{name}"
    if backend.type == "passthrough":
        token = f"{name}-tpm"
        yield HostTpm(token, host or "", origin=origin)
        for one in (token, f"{token}-cancel"):
            yield Keyed("-add-fd", (("set", f"{{fd:{one}}}"), ("fd", f"{{fd:{one}}}")), origin=origin)
        paths = (("path", f"/dev/fdset/{{fd:{token}}}"), ("cancel-path", f"/dev/fdset/{{fd:{token}-cancel}}"))
        yield Keyed("-tpmdev", (("", "passthrough"), ("id", ident), *paths), origin=origin)
    else:
        if backend.type == "external" and backend.source is not None:
            path = backend.source.path
        else:
            helper = _emulator(backend, p, origin)
            yield helper
            path = helper.socket
        yield Keyed("-chardev", (("", "socket"), ("id", "chrtpm"), ("path", path)), origin=origin)
        yield Keyed("-tpmdev", (("", "emulator"), ("id", ident), ("chardev", "chrtpm")), origin=origin)
    props = {"driver": _driver(tpm, p), "tpmdev": ident, "id": name, **where(tpm, p)}
    yield Structured("device", props, origin=origin)


def _emulator(backend: TpmBackend, p: Planning, origin: str) -> Helper:
    """Ask for swtpm beside QEMU; its state is made before its first start."""
    socket = p.host.directories.tpm or f"{p.host.directories.run}/swtpm/{p.short_name}-swtpm.sock"
    new = backend.version != "1.2"
    source = backend.source
    directories: tuple[str, ...] = ()
    if source is not None and source.type == "file":
        state = f"backend-uri=file://{source.path}"
    else:
        path = source.path if source is not None and source.path else f"{p.host.directories.tpm_state}/{p.uuid}"
        directory = path if source is not None and source.path else f"{path}/{'tpm2' if new else 'tpm1.2'}"
        state, directories = f"dir={directory},mode=0600", (directory,)
    argv = ["swtpm", "socket", "--ctrl", f"type=unixio,path={socket},mode=0600", "--tpmstate", state, "--terminate"]
    argv += ["--tpm2"] if new else []
    argv += ["--log", f"fd=2,level={backend.debug}"] if backend.debug else []
    setup: tuple[tuple[str, ...], ...] = ()
    if directories:
        words = ["swtpm_setup", "--tpm-state", directories[0], "--createek", "--not-overwrite"]
        words += ["--tpm2"] if new else []
        banks = backend.active_pcr_banks
        named = [declared.slot for declared in banks.shape.fields if getattr(banks, declared.slot)] if banks else []
        words += ["--pcr-banks", ",".join(named)] if named else []
        setup = (tuple(words),)
    return Helper("swtpm", tuple(argv), socket, directories, setup, origin=origin)


FAMILY = Family(element=Tpm, defaults=defaults, check=check, place=place, plan=plan)
