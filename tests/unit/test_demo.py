"""The demo's parts: its data, its screen, what it makes of what it saw."""

import io
import json
import time

import numpy as np
import pandas as pd
import pytest

from driftline.cli import demo
from driftline.cli.demo import population, stage
from driftline.cli.demo.phone import Call
from driftline.cli.demo.screen import Screen
from driftline.cli.demo.timeline import Timeline, expected, faults
from driftline.cli.demo.traffic import Traffic
from driftline.errors import DriftlineError
from standin import Answer, Standin

BEFOREHAND = {"hd": 1.9, "ram": 0.7, "multi": 0.2, "premium": 0.01}


def call(at, *features, receiver="tickets", status="firing", name="ModelFeatureDrift", about="model"):
    alerts = [
        {
            "labels": {"alertname": name, about: "pc-price", **({"feature": feature} if feature else {})},
            "annotations": {"description": f"{feature} has moved."},
            "status": status,
        }
        for feature in features
    ]
    return Call(at, receiver, {"alerts": alerts})


def told(*calls, shift=60.0):
    timeline = Timeline(0.0, shift=shift)
    timeline.note(100.0, {}, {}, calls)
    return timeline


# --- the data -----------------------------------------------------------------------------------


def test_parts_are_apart_and_stay_the_same():
    """Training and held-out rows share no PC, the later ones are of other months, and a second read gives the same."""
    rows = population.load()
    assert not set(rows.training.index) & set(rows.held_out.index)
    assert rows.training["trend"].max() == rows.held_out["trend"].max() == 12
    assert rows.later["trend"].min() > 12
    pd.testing.assert_frame_equal(rows.training, population.load().training)


def test_the_shift_is_in_the_data_and_hurts():
    """Held-out rows do not drift and the model prices them well; some later columns drift far, some do not; it misprices."""
    rows = population.load()
    model = population.train(rows.training)
    baseline = stage.build_baseline(model, rows.training)
    quiet = stage.scores(baseline, model, rows.held_out)
    later = stage.scores(baseline, model, rows.later)
    assert set(quiet) == set(later) == {*population.FEATURES, "@prediction"}
    assert max(quiet.values()) < 0.05
    assert len(expected(later)) >= 3
    assert min(later.values()) < 0.05
    assert list(later.values()) == sorted(later.values(), reverse=True)
    assert population.mean_error(model, rows.later) > 2 * population.mean_error(model, rows.held_out)


# --- the stage ----------------------------------------------------------------------------------


def test_the_shipped_files_name_what_the_demo_replaces():
    """The shipped routes and Prometheus configuration still hold the addresses that the demo puts its own for."""
    rules = stage.shipped_rules()
    assert "http://alerts.example.com" in (rules / "alertmanager" / "alertmanager.yml").read_text()
    prometheus = (rules / "prometheus.yml").read_text()
    assert '"127.0.0.1:9093"' in prometheus
    assert '"127.0.0.1:9477"' in prometheus


def test_an_address_that_is_gone_is_an_error():
    """A shipped file that no longer names an address fails the demo by that address, not by silence."""
    assert stage.readdressed('["a:1"]', {'"a:1"': '"b:2"'}) == '["b:2"]'
    with pytest.raises(DriftlineError, match="does not name a:1, which the demo replaces"):
        stage.readdressed("b:2", {"a:1": "c:3"})


# --- the timeline -------------------------------------------------------------------------------


def test_all_is_well():
    """Every large shift rang, no small one did: no fault, whether or not those between did."""
    assert faults(told(call(70, "hd", "ram")), BEFOREHAND) == []
    assert faults(told(call(70, "hd"), call(80, "ram", "multi")), BEFOREHAND) == []


@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        ([call(70, "hd")], "no alert about ram, whose PSI is 0.70"),
        ([call(70, "hd", "ram", "premium")], "an alert about premium, whose PSI is 0.01"),
        ([call(59, "hd"), call(70, "hd", "ram")], "the phone rang before the shift: ModelFeatureDrift hd"),
        ([call(59, None, name="ModelTelemetryAbsent"), call(70, "hd", "ram")], "the phone rang before the shift: ModelTelemetryAbsent"),
        ([call(70, "hd", name="SomethingElse"), call(70, "ram")], "no alert about hd, whose PSI is 1.90"),
        ([call(70, "hd", status="resolved"), call(70, "ram")], "no alert about hd, whose PSI is 1.90"),
    ],
    ids=["one absent", "one too many", "too early", "another too early", "another alert", "resolved"],
)  # fmt: skip
def test_each_fault_is_named(calls, fault):
    """What was absent, too many or too early is said, and nothing else."""
    assert faults(told(*calls), BEFOREHAND) == [fault]


def test_without_any_alert_each_large_shift_is_a_fault():
    """A demo in which nothing rang fails for every feature that should have."""
    assert len(faults(told(), BEFOREHAND)) == len(expected(BEFOREHAND)) == 2


def test_the_watchdog_is_no_alert():
    """The call that proves the path alive may come at any time."""
    timeline = told(call(10, None, receiver="deadman", name="DriftlineWatchdog"), call(70, "hd", "ram"))
    assert faults(timeline, BEFOREHAND) == []


def test_what_driftline_says_of_itself_is_kept_apart():
    """An alert about no model, which a busy machine may cause, is no fault of the story, and is not hidden."""
    down = call(10, None, receiver="chat", name="DriftlineSidecarDown", about="instance")
    timeline = told(down, call(70, "hd", "ram"))
    assert faults(timeline, BEFOREHAND) == []
    assert timeline.beside == {"DriftlineSidecarDown"}


def test_moments_are_first_times_after_the_shift():
    """t1 to t4 are the first looks at which a thing was so, after t0; what fires at first sight has been pending."""
    timeline = Timeline(0.0)
    timeline.note(10.0, {"hd": 0.3}, {}, [])
    timeline.shift = 60.0
    timeline.note(61.0, {"hd": 0.05, "ram": 0.02}, {}, [])
    timeline.note(62.0, {"hd": 0.11, "ram": 0.2}, {}, [])
    timeline.note(63.0, {"hd": 0.31, "ram": 0.2}, {"hd": "firing"}, [])
    calls = [call(64.0, "hd"), call(66.0, "hd", "ram")]
    timeline.note(67.0, {"hd": 0.31, "ram": 0.2}, {"hd": "firing", "ram": "pending"}, calls[:1])
    timeline.note(68.0, {}, {}, calls)
    assert timeline.crossed == (62.0, "ram")
    assert timeline.pending == timeline.firing == (63.0, "hd")
    assert timeline.rang == {"hd": 64.0, "ram": 66.0}
    text = "\n".join(timeline.lines("later PCs", 720.0))
    for part in (
        "1:00  t0",
        "later PCs",
        "+2 s",
        "ram above 0.1",
        "the phone rings (tickets)",
        "hd has moved.",
        "ram +6 s",
    ):
        assert part in text


def test_a_story_without_end_is_told_as_far_as_it_went():
    """Without a shift, or without an alert, the lines end where the story did."""
    assert len(Timeline(0.0).lines("later", 1.0)) == 1
    assert len(told().lines("later", 1.0)) == 2


# --- the screen ---------------------------------------------------------------------------------


def test_a_terminal_is_redrawn():
    """On a terminal what changes is erased before the next, and lines that stay stay above it."""
    out = io.StringIO()
    screen = Screen(out, live=True)
    screen.show(["one", "two"], "short")
    screen.say("stays")
    screen.show(["three"], "short")
    screen.clear()
    assert out.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jstays\nthree\n\x1b[1F\x1b[J"


def test_names_and_colours(monkeypatch):
    """A long text goes on below where it began; without a style there is no escape, with one each line has its own."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    screen = Screen(out, live=True)
    screen.name("plain", "text")
    screen.name("long", "word " * 20, "red")
    plain, first, second = out.getvalue().splitlines()
    assert plain == "  plain         text"
    assert first.startswith("\x1b[31m  long          word")
    assert second.startswith("\x1b[31m" + " " * 16 + "word")
    assert second.endswith("\x1b[0m")


def test_a_pipe_gets_lines(monkeypatch):
    """Elsewhere there is no escape, and a line of progress every ten seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    screen = Screen(out)
    for now[0] in (100.0, 109.0, 111.0):
        screen.show([screen.style("long", "bold", "red")], f"at {now[0]:.0f}")
    screen.clear()
    assert out.getvalue() == "at 100\nat 111\n"


def test_a_narrow_terminal_cuts_lines(monkeypatch):
    """A line never wraps, for the redrawing counts lines; NO_COLOR takes the colours away."""
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    screen = Screen(out, live=True)
    screen.show(
        [screen.style("0123456789abcdef", "red"), "\x1b[1mshort\x1b[0m", "\x1b[1m0123456789\x1b[0m"], ""
    )
    assert out.getvalue() == "012345678\n\x1b[1mshort\x1b[0m\n012345678\n"


# --- the traffic --------------------------------------------------------------------------------


class Service(Standin):
    """A service that keeps what it is sent and answers with a code."""

    def __init__(self, code=200):
        self.rows, self.code = [], code
        super().__init__(Keeps)


class Keeps(Answer):
    def answer(self):
        self.server.rows += json.loads(self.body())
        self.say(self.server.code)


def wait(found, within=20.0):
    deadline = time.monotonic() + within
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_mixes_of_one_population(monkeypatch):
    """Each instance gets another mix, both together the population; after a change only rows of the new one."""
    monkeypatch.setattr("driftline.cli.demo.traffic.RATE", 2000.0)
    rows = population.load()
    with Service() as a, Service() as b:
        ports = [service.server_port for service in (a, b)]
        with Traffic(ports, rows.held_out, apart=True) as traffic:
            wait(lambda: sum(traffic.sent) >= 1000)
            large = [np.mean([row["ram"] >= 8 for row in service.rows]) for service in (a, b)]
            both = np.mean([row["ram"] >= 8 for row in a.rows + b.rows])
            assert large[0] > 0.7
            assert large[1] < 0.3
            assert both == pytest.approx((rows.held_out["ram"] >= 8).mean(), abs=0.08)
            assert set(a.rows[0]) == set(population.FEATURES)
            traffic.change(rows.later[rows.later["hd"] > 1000])
            wait(lambda: a.rows[-1]["hd"] > 1000 and b.rows[-1]["hd"] > 1000)
            traffic.check()


def test_one_mix_for_both(monkeypatch):
    """Where they are not kept apart, both instances get the population itself."""
    monkeypatch.setattr("driftline.cli.demo.traffic.RATE", 2000.0)
    rows = population.load()
    with Service() as a, Service() as b:
        with Traffic([s.server_port for s in (a, b)], rows.held_out, apart=False) as traffic:
            wait(lambda: sum(traffic.sent) >= 1000)
        for service in (a, b):
            large = np.mean([row["ram"] >= 8 for row in service.rows])
            assert large == pytest.approx((rows.held_out["ram"] >= 8).mean(), abs=0.12)


@pytest.mark.parametrize("code", [500, None], ids=["an error", "nobody there"])
def test_a_service_that_fails_is_noticed(code):
    """A service that answers badly, or not at all, ends the traffic, and check() says so."""
    rows = population.load()
    with Service(code or 200) as service:
        port = service.server_port if code else 9
        with Traffic([port, port], rows.held_out, apart=False) as traffic:
            traffic._thread.join(10)
            with pytest.raises(DriftlineError, match=f"the service does not answer: .*{code or 'refused'}"):
                traffic.check()


# --- the command --------------------------------------------------------------------------------


def test_what_is_not_installed_is_named(monkeypatch, capsys):
    """Without the extra the demo says what to install, and that it could not run."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "sklearn" else object())
    assert demo.run(None) == 2
    assert "needs scikit-learn: pip install 'driftline[demo]'" in capsys.readouterr().err
