"""Broken formulas, by the networks that they are about."""
