"""Simpler flows and estimators that a network is compared with."""
