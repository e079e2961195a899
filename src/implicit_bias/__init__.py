"""Implicit bias of overparametrised single-hidden-layer linear networks trained under gradient flow."""

__version__ = "0.1.0"
