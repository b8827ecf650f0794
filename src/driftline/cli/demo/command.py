"""``driftline demo``: what it takes, what it needs, and that it ends everything it started."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from driftline.cli import binaries
from driftline.cli.demo.screen import Screen
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    import argparse

_NEEDED = {"sklearn": "scikit-learn", "pandas": "pandas", "pydantic": "pydantic", "uvicorn": "uvicorn"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Show the demo: 0 when the right alerts came and none before, 1 when not, 2 when it could not run."""
    absent = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        print(f"driftline demo needs {', '.join(absent)}: pip install 'driftline[demo]'", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT is ignored in a background job
        signal.signal(number, signal.default_int_handler)
    try:
        return show(Screen(sys.stdout), keep=arguments.keep)
    except KeyboardInterrupt:
        print("\ndriftline demo: stopped, and so is everything it started", file=sys.stderr)
        return 130
    except DriftlineError as error:
        print(f"driftline demo: {error}", file=sys.stderr)
        return 2


def show(screen: Screen, *, keep: bool) -> int:
    """Set everything up, tell the story, end everything; return the exit code."""
    from driftline.cli.demo import population, stack, stage
    from driftline.cli.demo.phone import Phone
    from driftline.cli.demo.story import Story
    from driftline.cli.demo.traffic import Traffic

    missing = _missing()
    screen.say(
        screen.style("driftline demo: a model that knows the PCs of 1993 meets those of late 1994", "bold")
    )
    screen.name("data", population.SOURCE)
    rows = population.load()
    model = population.train(rows.training)
    error = population.mean_error(model, rows.held_out)
    screen.name(
        "model",
        f"boosted trees, {len(rows.training):,} prices of 1993; off by ${error:,.0f} on others of 1993",
    )
    baseline = stage.build_baseline(model, rows.training)
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="driftline-demo-")))
        children = running.enter_context(stack.Children(folder))
        phone = running.enter_context(Phone())
        instances = stage.instances(children, model, baseline)
        screen.name("services", "  ".join(f"http://127.0.0.1:{instance.port}" for instance in instances))
        screen.name("sidecars", "  ".join(f"http://{instance.metrics}/metrics" for instance in instances))
        if missing:
            absent = " and ".join(what.name for what in missing)
            screen.name("without", f"{absent}, so without the alert; the end says how to have it", "yellow")
        else:
            prometheus, alertmanager = stage.watchers(children, instances, phone)
            screen.name("prometheus", prometheus)
            screen.name("alertmanager", alertmanager)
            screen.name("phone", phone.url)
        screen.name("clock", f"a day in 2 minutes: windows, rules and timers {stage.FACTOR:g} times faster")
        screen.say()
        beforehand = stage.scores(baseline, model, rows.later)
        ports = [instance.port for instance in instances]
        # one sidecar alone can be believed only where every instance sees the same mix
        traffic = running.enter_context(Traffic(ports, rows.held_out, apart=not missing))
        story = Story(screen, rows, beforehand, instances, children, traffic)
        code = 0
        if missing:
            story.without_stack()
        else:
            code = story.with_stack(prometheus, phone)
        error = population.mean_error(model, rows.later)
        screen.name("cost", f"on {population.LATER} the model is off by ${error:,.0f}")
        if missing:
            screen.name(
                "not shown", "the score over both instances, the alert, the phone; for those:", "yellow"
            )
        for what in missing:
            screen.name("", str(what), "yellow")
        if keep:
            screen.name("kept", "all of it is still running, at the addresses above; Ctrl-C ends it")
            with contextlib.suppress(KeyboardInterrupt):
                story.keep()
    return code


def _missing() -> list[binaries.Missing]:
    missing = []
    for name in ("prometheus", "alertmanager"):
        try:
            binaries.need(name)
        except binaries.Missing as error:
            missing.append(error)
    return missing
