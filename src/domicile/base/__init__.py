"""What every floor may use: errors, problems, ids, units, tasks, undo. Knows nothing of virtual machines."""
