"""Security labels: of the machine, and of single images and files in their place. Called by domain/complete.

Domicile has no security driver; labels are kept for hosts that have one, and checked for what none could mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED, XML_DETAIL, XML_ERROR
from domicile.devices import FAMILIES
from domicile.devices.disk import Disk
from domicile.devices.disk.complete import sources
from domicile.devices.parts.device import Device
from domicile.domain.domain import DeviceLists, Domain
from domicile.plan.facts import Completion

_TYPES = ("dynamic", "static", "none")


def as_given(domain: Domain, c: Completion) -> None:
    """Check the machine's own labels as they were written."""
    labels = domain.seclabel
    seen: set[str] = set()
    for node in labels:
        kind, model, relabel = node.get("type", "dynamic"), node.get("model"), node.get("relabel")
        if kind not in _TYPES:
            what = f"attribute 'type' of element 'seclabel' has the value '{kind}'"
            c.problem(domain, what, ", ".join(_TYPES), "seclabel/@type", code=XML_ERROR)
        if relabel not in (None, "yes", "no"):
            what = f"attribute 'relabel' of element 'seclabel' has the value '{relabel}'"
            c.problem(domain, what, "yes, no", "seclabel/@relabel", code=XML_ERROR)
        if kind == "dynamic" and relabel == "no":
            what = "a 'dynamic' <seclabel> with relabel='no': a label that is made must be given"
            c.problem(domain, what, "relabel='yes', or type='static'", "seclabel/@relabel", CONFIG_UNSUPPORTED)
        if kind == "none" and relabel == "yes":
            what = "a <seclabel> of type 'none' with relabel='yes': there is no label to give"
            c.problem(domain, what, "relabel='no'", "seclabel/@relabel", CONFIG_UNSUPPORTED)
        if kind == "static" and not (node.findtext("label") or "").strip():
            c.problem(domain, "a 'static' <seclabel> has no <label>", "<label>…</label>", "seclabel", code=XML_ERROR)
        if model is None and len(labels) > 1:
            what = "one of several elements 'seclabel' has no attribute 'model'"
            c.problem(domain, what, "a model for each", "seclabel/@model", code=XML_ERROR)
        if model is not None and model in seen:
            what = f"there are two elements 'seclabel' of model '{model}'"
            c.problem(domain, what, "one of each model", "seclabel", code=XML_DETAIL)
        seen.add(model or "")


def check(domain: Domain, c: Completion) -> None:
    """Check the labels of single images and files."""
    for device in chain.from_iterable(_sourced(domain.devices)) if domain.devices is not None else ():
        for labels in _lists(device):
            if labels:
                _check(labels, domain, c)


# The families whose devices have images or files that may have labels of their own, in the order of all.
_sourced: Callable[[DeviceLists], tuple[list[Device], ...]] = attrgetter(
    *(
        family.tag
        for family in FAMILIES
        if family.element is Disk
        or ("source" in family.element.shape.by_slot and family.element.shape.by_slot["source"].kind == "children")
    )
)


def _lists(device: Device) -> Iterator[Sequence[Any]]:
    if isinstance(device, Disk):
        for _, source in sources(device):
            yield source.seclabel
    else:
        for source in device.source:  # type: ignore[attr-defined]
            yield getattr(source, "seclabel", ())


def _check(labels: Sequence[Any], domain: Domain, c: Completion) -> None:
    fixed = {node.get("model") for node in domain.seclabel if not _relabels(node)}
    seen: set[str | None] = set()
    for label in labels:
        of = f"<seclabel> of model '{label.model}'" if label.model else "<seclabel>"
        if label.model in seen:
            c.problem(label, f"there are two {of} for one source", "one of each model", code=XML_ERROR)
        seen.add(label.model)
        if label.relabel is False and label.label:
            what = f"{of} has a <label> and relabel='no'"
            c.problem(label, what, "relabel='yes', or no <label>", "@relabel", CONFIG_UNSUPPORTED)
        elif label.relabel and not label.label:
            what = f"{of} has relabel='yes' and no <label>"
            c.problem(label, what, "<label>…</label>, or relabel='no'", "@relabel", code=XML_ERROR)
        if label.relabel and label.model is not None and label.model in fixed:
            what = f"{of} would relabel a source, while the machine's own label of that model has relabel='no'"
            c.problem(label, what, "relabel='yes' for the machine", "@relabel", CONFIG_UNSUPPORTED)


def _relabels(node: Any) -> bool:
    """Say whether a machine's label is given to what it uses: one that is made is, unless told otherwise."""
    made = node.get("type", "dynamic") == "dynamic"
    return bool(node.get("relabel", "yes" if made else "no") == "yes")
