"""Linear networks of any depth."""
