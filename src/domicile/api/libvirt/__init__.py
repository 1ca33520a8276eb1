"""libvirt's wire protocol as a front door: the server, its sessions, and the handlers of every object kind.

The daemon puts them together.
"""
