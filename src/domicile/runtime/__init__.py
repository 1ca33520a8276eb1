"""The running machines: one actor each, and their long operations."""
