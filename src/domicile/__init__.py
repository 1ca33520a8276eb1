"""Domicile: KVM virtual machines with a home in a database.

Rooms and floors are described in ARCHITECTURE.md.
"""

__version__ = "0.1.0"
