"""Documents for other hosts."""

from domicile.domain import document, migratable
from domicile.domain.domain import Domain

TEXT = """<domain type='qemu'><name>a</name><os><type machine='{machine}'>hvm</type></os><devices>
<controller type='usb' index='0' model='{usb}'/><controller type='pci' index='0' model='pci-root'/>
<controller type='ide' index='0'/><input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
<audio id='1' type='none'/></devices></domain>"""


def stripped(machine: str, usb: str = "piix3-uhci") -> str:
    domain: Domain = document.read_stored(TEXT.format(machine=machine, usb=usb))
    migratable.strip(domain)
    return document.write(domain)


def test_what_every_such_machine_has_is_left_out() -> None:
    text = stripped("pc-i440fx-7.2")
    for gone in ("piix3-uhci", "pci-root", "keyboard", "audio"):
        assert gone not in text
    assert "type='ide'" in text and "mouse" in text


def test_what_somebody_chose_stays() -> None:
    assert "qemu-xhci" in stripped("pc-i440fx-7.2", "qemu-xhci")
    assert "piix3-uhci" in stripped("pc-q35-7.2")
