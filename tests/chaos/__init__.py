"""Faults of every family, one per trial: a run is disturbed, the same command is given again, nothing may be lost."""
