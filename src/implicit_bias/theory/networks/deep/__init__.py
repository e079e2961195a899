"""Deep linear networks of any depth and width: exact reduction, training, law and bounds (docs/depth.md)."""
