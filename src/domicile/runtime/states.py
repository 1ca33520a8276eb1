"""The states of a domain, their reasons and the lifecycle events, with the wire protocol's numbers.

`runtime/lifecycle` works with them; the front doors send them as they are. Source: libvirt-domain.h.
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """How a domain is."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


class Running(IntEnum):
    """Why a domain is running."""

    UNKNOWN = 0
    BOOTED = 1
    MIGRATED = 2
    RESTORED = 3
    FROM_SNAPSHOT = 4
    UNPAUSED = 5
    MIGRATION_CANCELED = 6
    SAVE_CANCELED = 7
    WAKEUP = 8
    CRASHED = 9
    POSTCOPY = 10


class Paused(IntEnum):
    """Why a domain is paused."""

    UNKNOWN = 0
    USER = 1
    MIGRATION = 2
    SAVE = 3
    DUMP = 4
    IOERROR = 5
    WATCHDOG = 6
    FROM_SNAPSHOT = 7
    SHUTTING_DOWN = 8
    SNAPSHOT = 9
    CRASHED = 10
    STARTING_UP = 11
    POSTCOPY = 12
    POSTCOPY_FAILED = 13


class Shutdown(IntEnum):
    """Why a domain is shutting down."""

    UNKNOWN = 0
    USER = 1


class Shutoff(IntEnum):
    """Why a domain is off."""

    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    SAVED = 5
    FAILED = 6
    FROM_SNAPSHOT = 7
    DAEMON = 8


class Crashed(IntEnum):
    """Why a domain counts as crashed."""

    UNKNOWN = 0
    PANICKED = 1


class Kind(IntEnum):
    """What a lifecycle event tells."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


class Started(IntEnum):
    """Details of a STARTED event."""

    BOOTED = 0
    MIGRATED = 1
    RESTORED = 2
    FROM_SNAPSHOT = 3
    WAKEUP = 4


class Suspended(IntEnum):
    """Details of a SUSPENDED event."""

    PAUSED = 0
    MIGRATED = 1
    IOERROR = 2
    WATCHDOG = 3
    RESTORED = 4
    FROM_SNAPSHOT = 5
    API_ERROR = 6
    POSTCOPY = 7
    POSTCOPY_FAILED = 8


class Resumed(IntEnum):
    """Details of a RESUMED event."""

    UNPAUSED = 0
    MIGRATED = 1
    FROM_SNAPSHOT = 2
    POSTCOPY = 3
    POSTCOPY_FAILED = 4


class Stopped(IntEnum):
    """Details of a STOPPED event."""

    SHUTDOWN = 0
    DESTROYED = 1
    CRASHED = 2
    MIGRATED = 3
    SAVED = 4
    FAILED = 5
    FROM_SNAPSHOT = 6


class ShutdownBy(IntEnum):
    """Details of a SHUTDOWN event."""

    FINISHED = 0
    GUEST = 1
    HOST = 2
