"""Kedro hooks: lock, preflight, tracking and console."""
