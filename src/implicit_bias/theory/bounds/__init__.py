"""Guarantees: bounds known before training, and certificates computed from a run."""
