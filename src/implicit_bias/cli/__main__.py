"""The commands without kedro: python -m implicit_bias.cli."""

from implicit_bias.cli import implicit_bias

implicit_bias(prog_name="implicit-bias")
