"""The report's page, drawings and questions: nothing gets through that should not, and what is refused says why."""

import base64
import html.parser
import json
import re
import ssl
from urllib.parse import parse_qs

import pytest

from driftline.cli import main
from driftline.report import draw
from driftline.report.asking import Asking, Period
from driftline.report.drift import _drawn, what_moved
from driftline.report.page import Badge, Column, Figure, Page, Query, Section, Table, render
from driftline.report.prometheus import Prometheus, PrometheusRefused, Series
from driftline.report.words import percent, short
from standin import Answer, Standin

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "--><svg onload=alert(1)>",
    "</text></svg><script>1</script>",
    "$\\frac{1$",
    "{{ 7 * 7 }}",
    "國家\u202egnp.exe\x00\x1b[2J",
    "&lt;b&gt;",
    "a" * 500,
]


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(name for name, _ in attributes)))

    def handle_data(self, data):
        self.words += data


def page(text):
    drawing = draw.shares([text, "b"], {"training": [0.1, 0.9], "now": [0.5, 0.5], "week": [0.2, 0.8]}, text)
    lines = draw.lines({text: [(0.0, 1.0), (60.0, 2.0)]}, str, text, start=0.0, end=60.0)
    return render(
        Page(
            title=text,
            facts=[("owner", text)],
            tone="warn",
            verdict=text,
            says=[text],
            sections=[
                Section(
                    text,
                    [text],
                    Table([Column(text), Column("n", number=True)], [(Badge(text, "bad"), text)]),
                    [Figure(text, text, drawing), Figure(text, text, lines)],
                    [Query(text, text, text)],
                )
            ],
            notes=[text],
        )
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text):
    """Whatever a feature, category, owner or alert is called: the page has the same elements as with a plain name."""
    found, plain = Tags(page(text)), Tags(page("plain"))
    assert found.found == plain.found
    assert not {"script", "img"} & {tag for tag, _ in found.found}
    assert not any(name.startswith("on") for _, attributes in found.found for name in attributes)
    assert "\u202e" not in found.words
    assert "\x00" not in page(text)


def test_a_name_is_shown_as_it_is():
    """Escaping loses nothing: markup in a name is read as it was typed, and not as a formula."""
    words = Tags(page("<b>$x$ & {{ y }}")).words
    assert words.count("<b>$x$ & {{ y }}") > 8


def test_nothing_is_loaded_and_nothing_runs():
    """The page forbids both to the browser, too, should anything have slipped through."""
    assert "default-src 'none'; style-src 'unsafe-inline'" in page("x")


def test_drawings_are_the_same_twice():
    """The same data draw the same bytes: no time stamp, no random id."""
    assert page("x") == page("x")


def test_a_gap_is_a_gap():
    """A line is broken where nothing was measured, not drawn across."""
    hours = [float(hour * 3600) for hour in (0, 1, 2, 9, 10)]
    moments, values = draw._gapped([(at, 1.0) for at in hours])
    assert moments == [0.0, 3600.0, 7200.0, 10800.0, 32400.0, 36000.0]
    assert [value == value for value in values] == [True, True, True, False, True, True]  # noqa: PLR0124


def test_a_point_alone_is_drawn():
    """No line goes through what was measured once, or between two gaps: it is a dot."""
    hours = [(float(hour * 3600), float(hour)) for hour in (0, 9, 10, 20)]
    assert draw._alone(hours) == ([0.0, 72000.0], [0.0, 20.0])
    assert draw._alone(hours[:1]) == ([0.0], [0.0])
    assert draw._alone([]) == ([], [])
    drawn = draw.lines({"now": hours[:1]}, str, "one", start=0.0, end=7200.0)
    assert drawn.count("<use ") > draw.lines({"now": []}, str, "one", start=0.0, end=7200.0).count("<use ")


def test_an_empty_line_is_drawn():
    """What was never measured makes an empty drawing, not a crash."""
    assert draw.lines({"now": []}, str, "nothing", start=0.0, end=3600.0).startswith("<svg")


def test_empty_columns_are_left_out():
    """A column in which nothing stands takes no room."""
    table = Table([Column("a"), Column("b"), Column("c")], [("1", "", ""), ("2", "", "x")])
    assert table.shown == [0, 2]


@pytest.mark.parametrize("share", [1e-9, 1e-4, 0.00099, 0.5, 12.0])
def test_a_share_is_never_rounded_to_none(share):
    """What is there, however little, is not written as 0."""
    assert float(percent(share).removesuffix(" %")) == pytest.approx(100 * share, rel=0.1)


def test_long_names_are_cut():
    """A label fits beside its bar."""
    assert len(short("x" * 300)) < 25


# --- asking -----------------------------------------------------------------------------------


class Answering(Standin):
    """Answers each request with a code, headers and a body."""

    def __init__(self, answer, context=None):
        self.answer, self.seen = answer, []
        super().__init__(Answers, context=context)
        self.url = self.url.replace("127.0.0.1", "localhost")


class Answers(Answer):
    def answer(self):
        self.server.seen.append(
            (self.path, self.headers.get("Authorization"), parse_qs(self.body().decode()))
        )
        code, headers, body = self.server.answer
        self.say(code, body, headers)


GOOD = (200, {}, json.dumps({"data": {"result": [{"metric": {"a": "b"}, "value": [1, "2.5"]}]}}).encode())


def failed(code, said):
    return (code, {}, json.dumps({"status": "error", "error": said}).encode())


@pytest.fixture
def answering():
    servers = []

    def start(answer, context=None):
        servers.append(Answering(answer, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_question(answering):
    """A query goes out with its time and the token, below the path that the URL has."""
    server = answering(GOOD)
    found = Prometheus(server.url + "/prometheus/", token="secret").now('up{a="ü"}', 1.5)
    assert found == [({"a": "b"}, [(1.0, 2.5)])]
    assert server.seen == [
        ("/prometheus/api/v1/query", "Bearer secret", {"query": ['up{a="ü"}'], "time": ["1.500"]})
    ]


def test_a_password_in_the_url_is_sent_and_not_shown(answering):
    """Basic authentication works from the URL; what is shown of it has no password."""
    server = answering(GOOD)
    prometheus = Prometheus(server.url.replace("//", "//me:p%40ss@"))
    prometheus.now("up", 0.0)
    assert server.seen[0][1] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert prometheus.url == server.url


def test_a_redirect_does_not_carry_the_token(answering):
    """A token is for the host that was named, not for where that leads."""
    elsewhere = answering(GOOD)
    server = answering((302, {"Location": elsewhere.url + "/"}, b""))
    Prometheus(server.url, token="secret").now("up", 0.0)
    assert [authorization for _, authorization, _ in elsewhere.seen] == [None]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (failed(401, ""), "it wants a token: --token-file or PROMETHEUS_TOKEN"),
        (failed(403, "no"), "this token may not ask it (it says: no)"),
        ((404, {}, b"<html>"), "is the URL that of Prometheus' root?"),
        (failed(422, "too many samples"), "it cannot answer up (it says: too many samples)"),
        (failed(503, "query timed out"), "it took too long"),
        (failed(500, "broken"), "it answered 500 to up (it says: broken)"),
        ((200, {}, b"<html>Grafana</html>"), "not as a Prometheus does"),
        ((200, {}, b'{"data": []}'), "not as a Prometheus does"),
    ],
)
def test_refusals_say_what_to_do(answering, answer, says):
    """Each refusal is one line with the address, the remedy and Prometheus' own words; the token is not in it."""
    server = answering(answer)
    with pytest.raises(PrometheusRefused) as refused:
        Prometheus(server.url, token="secret").now("up", 0.0)
    assert str(refused.value).startswith(server.url)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090", "file:///etc/passwd", "http://", "", "http://[::1:9090", "http://prometheus:99999",
        "ftp://me:secret@prometheus", "http://me:secret@prometheus:port",
    ],
)  # fmt: skip
def test_an_address_that_is_none(url):
    """Only http and https are asked; a password in what is refused is not shown."""
    with pytest.raises(PrometheusRefused, match="is no address of a Prometheus") as refused:
        Prometheus(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("token", ["secret\nof two lines", "secr\u00e9t"])
def test_a_token_that_is_none(token):
    """It is refused with its remedy, and not shown."""
    with pytest.raises(PrometheusRefused, match="the token holds what no token may") as refused:
        Prometheus("http://prometheus:9090", token=token)
    assert "secr" not in str(refused.value)


def test_nobody_there():
    """Nothing that listens is said to be so."""
    with pytest.raises(PrometheusRefused, match=r"http://127\.0\.0\.1:1 cannot be reached: .*refused"):
        Prometheus("http://127.0.0.1:1").now("up", 0.0)


def test_certificates(answering, certificates):
    """A certificate of a company's own is good once --ca-file names who signed it, and is refused before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    server = answering(GOOD, context)
    assert Prometheus(server.url, ca=certificates / "authority.crt").now("up", 0.0)
    with pytest.raises(PrometheusRefused, match=r"cannot be reached: .*certificate verify failed"):
        Prometheus(server.url).now("up", 0.0)


class Held:
    """A Prometheus that holds what a test gives it: by series, the labels and the value of each."""

    def __init__(self, **series):
        self.series = series

    def now(self, expr, at):
        name = re.search(r"driftline_(\w+):", expr)[1]
        return [Series(labels, [(at, value)]) for labels, value in self.series.get(name, ())]

    def over(self, *_):
        return []


@pytest.mark.parametrize(("hours", "seconds"), [(1, 300), (24 * 7, 3600), (24 * 91, 86_400)])
def test_what_is_recorded_every_two_minutes_is_there_every_minute(hours, seconds):
    """Points a minute apart lie closer than what the rules record: they reach as far back as a query does."""
    asking = Asking(Held(), "prod", "fraud", Period(0.0, hours * 3600.0, f"{hours}h"))
    asking.while_there("drifting", "moved", "feature")
    (asked,) = asking.asked()
    assert asked.expr == f"group by (feature) (present_over_time(moved[{seconds}s]))"


def test_bins_of_a_baseline_that_is_gone_are_not_drawn():
    """After a new baseline most values of the day may lie on the old one's bins: what is drawn is the new one's."""

    def labels(binning, **more):
        return {"version": "2", "binning": binning, **more}

    held = Held(
        feature_values=[(labels("old"), 900.0), (labels("new"), 100.0)],
        feature_share=[
            (labels("old", bin="00"), 1.0),
            (labels("new", bin="00"), 0.4),
            (labels("new", bin="01"), 0.6),
        ],
        feature_baseline_ratio=[(labels("new", bin="00"), 0.5), (labels("new", bin="01"), 0.5)],
    )
    asking = Asking(held, "prod", "fraud", Period(0.0, 86_400.0, "1d"))
    (figure,) = _drawn(asking, "amount", {})
    assert figure.about == "Version 2. Most of all: 00, lowest, 50.0 % in training, 40.0 % in the last 24 h."
    held.series["feature_baseline_ratio"] = []
    assert _drawn(asking, "amount", {}) == []


def test_what_cannot_be_judged_yet_is_not_called_well():
    """In a model's first hours a score far above its threshold is no drift yet, and no good news either."""
    held = Held(
        feature_psi=[({"feature": "amount"}, 0.38), ({"feature": "age"}, 0.01)],
        feature_drift_threshold=[({"feature": name}, 0.1) for name in ("amount", "age")],
        feature_chance=[],
    )

    def moved():
        part = what_moved(Asking(held, "prod", "fraud", Period(0.0, 86_400.0, "1d")), {})
        return part, {row[0]: row[1].text for row in part.section.table.rows}

    part, verdicts = moved()
    assert verdicts == {"amount": "not judged yet", "age": "as in training"}
    assert (part.tone, part.headline) == ("none", "Drift cannot be judged yet.")
    assert part.says[0].endswith("eight hours of rows: amount.")
    held.series["feature_chance"] = [({"feature": "amount"}, 0.02)]
    part, verdicts = moved()
    assert (verdicts["amount"], part.tone) == ("not beyond doubt", "good")


# --- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say where Prometheus is: --prometheus or PROMETHEUS_URL"),
        (["--prometheus", "nowhere"], "nowhere is no address of a Prometheus"),
        (["--prometheus", "http://127.0.0.1:1"], "http://127.0.0.1:1 cannot be reached"),
        (
            ["--prometheus", "http://x", "--since", "yesterday"],
            '--since: "yesterday" is no time, write for instance 24h',
        ),
        (["--prometheus", "http://x", "--since", "0d"], '--since: "0d" is no time'),
        (["--prometheus", "http://x", "--until", "noon"], '--until: "noon" is no moment'),
        (["--prometheus", "http://x", "--token-file", "/nowhere"], "--token-file: /nowhere cannot be read"),
        (["--prometheus", "https://x", "--ca-file", "/nowhere"], "a certificate or key cannot be read"),
        (["--prometheus", "http://x", "--cert-file", "/nowhere"], "--cert-file and --key-file go together"),
        (["--prometheus", "http://x", "--baseline", "/nowhere"], "/nowhere: cannot be read"),
    ],
)
def test_wrong_arguments(arguments, says, capsys, monkeypatch):
    """What is wrong is said in one line, and the command ends with 2."""
    monkeypatch.delenv("PROMETHEUS_URL", raising=False)
    assert main(["report", "--model", "fraud", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_token_comes_from_a_file_or_the_environment(answering, tmp_path, monkeypatch, capsys):
    """A token is never on the command line, where others would see it; the file is first."""
    server = answering(failed(403, ""))
    monkeypatch.setenv("PROMETHEUS_TOKEN", "of the environment")
    (tmp_path / "token").write_text("of the file\n")
    main(["report", "--model", "m", "--prometheus", server.url])
    main(["report", "--model", "m", "--prometheus", server.url, "--token-file", str(tmp_path / "token")])
    assert [authorization for _, authorization, _ in server.seen] == [
        "Bearer of the environment",
        "Bearer of the file",
    ]
    assert "of the" not in capsys.readouterr().err
