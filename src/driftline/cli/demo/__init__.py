"""``driftline demo``: a real model, a real shift, and the phone that rings."""

from driftline.cli.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
