"""The kernel's routing socket, through pyroute2. Used by the host's network devices."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from domicile.base.errors import HostFailure

T = TypeVar("T")


class NetlinkRefused(HostFailure):
    """The kernel refused; `number` says why, as errno does."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what}: {os.strerror(number)}")
        self.number = number


def routed(what: str, work: Callable[[Any], T]) -> T:
    """Do something with the routing socket, in a thread of its own, for pyroute2 refuses one that runs an event loop.

    Raises:
        NetlinkRefused: the kernel refused; the message begins with `what`.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_work, what, work).result()


def _work(what: str, work: Callable[[Any], T]) -> T:
    from pyroute2 import IPRoute  # a tenth of a second that only some devices need
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as routes:
            return work(routes)
    except NetlinkError as error:
        raise NetlinkRefused(what, error.code) from error
    except OSError as error:
        raise NetlinkRefused(what, error.errno or errno.EIO) from error
