"""``driftline demo``: a real model, a real shift, and the phone that rings."""

from driftline.cli.demo.command import HELP, add_arguments, run

__all__ = ["HELP", "add_arguments", "run"]
