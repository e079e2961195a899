"""What the points of a sweep say together: what those of all linear networks do."""

from implicit_bias.pipelines.kinds.linear import summary

__all__ = ["summary"]
