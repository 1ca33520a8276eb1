"""`domiciled --add-user`, `--remove-user`, `--list-users`: the file of those who may log in with a password.

Called by `main` before anything else of the daemon starts; a running daemon notices the change by itself.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from domicile.api.libvirt.sasl import Users


def offer(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("users who log in with a password (SASL)")
    group.add_argument("--add-user", metavar="NAME", help="add one, or change the password; it is read from the input")
    group.add_argument("--remove-user", metavar="NAME", help="remove one")
    group.add_argument("--list-users", action="store_true", help="list them")


def manage(arguments: argparse.Namespace, users: Users) -> bool:
    """Do what the options say; False where there were none.

    Raises: InvalidRequest, HostFailure
    """
    if arguments.add_user is not None:
        users.put(arguments.add_user, _password(arguments.add_user))
    elif arguments.remove_user is not None:
        if not users.remove(arguments.remove_user):
            raise SystemExit(f"domiciled: there is no user {arguments.remove_user} in {users.path}")
    elif arguments.list_users:
        for name in users.names():
            print(name)
    else:
        return False
    return True


def _password(user: str) -> str:
    """Ask twice at a terminal; elsewhere read one line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"Password of {user}: ")
    if getpass.getpass("The same again: ") != password:
        raise SystemExit("domiciled: the passwords differ")
    return password
