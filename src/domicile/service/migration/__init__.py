"""Live migration between hosts: both ends, the way between them, and what becomes of it when something dies."""
