"""The wire protocol, alone: codec, frames, connections without sockets, declared procedures, a blocking client.

The libvirt front door serves it and the command line speaks it; nothing here knows of machines.
"""
