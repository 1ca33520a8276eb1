"""The words in which a device says what it wants. Values only: nothing here does anything."""
