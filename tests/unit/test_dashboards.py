"""The dashboards as they are committed: what Grafana's own types and the linter's rules say of them.

Grafana itself does not run here; the queries are asked of a real Prometheus in tests/stack.
"""

import json
import re
import warnings
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from driftline import names
from driftline.cli import main
from driftline.dashboards import DASHBOARDS
from driftline.dashboards.dashboard import rendered
from driftline.dashboards.grafana import Grafana, GrafanaRefused

ROOT = Path(__file__).parents[2]
PANELS = {
    f"{uid}: {panel['title']}": panel
    for uid, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
}
OF_PROMETHEUS = {"ALERTS", "up", "scrape_samples_scraped"}
UNITS = {"none", "short", "percentunit", "reqps", "s", "bytes", "h", "dateTimeFromNow"}

every_dashboard = pytest.mark.parametrize("uid", DASHBOARDS)
every_panel = pytest.mark.parametrize("name", PANELS)


def rules():
    for file in sorted(ROOT.glob("alert-rules/*ing/*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def read_series(text):
    return set(
        re.findall(r"[a-z_]+:driftline_\w+:\w+|(?<![\w:])driftline_\w+|\b(?:ALERTS|up|scrape_\w+)(?={)", text)
    )


def known_series():
    exported = {series.name for series in vars(names).values() if isinstance(series, names.Series)}
    histograms = [series.name for series in names.MERGED_SERIES if series.kind == "histogram"]
    of_histograms = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return exported | of_histograms | OF_PROMETHEUS | {rule["record"] for rule in rules() if "record" in rule}


def lost(sent, back, path=""):
    """Yield what Grafana's types did not keep of *sent*."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            yield from lost(value, back[key], f"{path}.{key}") if key in back else [f"{path}.{key}"]
    elif isinstance(sent, list) and len(sent) == len(back):
        for number, value in enumerate(sent):
            yield from lost(value, back[number], f"{path}[{number}]")
    elif sent != back:
        yield path


@every_dashboard
def test_committed_is_what_the_code_says(uid):
    """dashboards/*.json are generated: driftline dashboards write makes them anew."""
    assert (ROOT / "dashboards" / f"{uid}.json").read_text() == rendered(DASHBOARDS[uid])


def test_no_file_without_its_code():
    """What is committed and no longer made would still be imported."""
    assert {path.stem for path in (ROOT / "dashboards").glob("*.json")} == set(DASHBOARDS)


@every_dashboard
def test_grafanas_types_keep_all_of_it(uid):
    """Read and written by Grafana's own types nothing is lost: no option is misspelt or in the wrong place."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of the classic schema, which Grafana 10 to 13 import
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard

        register_default_plugins()
        back = json.loads(json.dumps(Dashboard.from_json(DASHBOARDS[uid]), cls=JSONEncoder))
    assert list(lost(DASHBOARDS[uid], back)) == []


@every_dashboard
def test_rules_of_the_linter(uid):
    """template-datasource, template-on-time-change-reload, template-uneditable; and what else is fixed."""
    dashboard = DASHBOARDS[uid]
    source, *others = dashboard["templating"]["list"]
    assert (source["type"], source["name"], source["label"]) == ("datasource", "datasource", "Data source")
    assert all(variable["refresh"] == 2 for variable in others)
    assert dashboard["editable"] is False
    assert dashboard["schemaVersion"] == 39
    assert dashboard["uid"] == uid
    assert "id" not in dashboard, "an id belongs to one Grafana"
    assert 8 <= len(dashboard["panels"]) <= 12


@every_dashboard
def test_panels_fill_their_rows(uid):
    """Panels neither overlap nor leave gaps, and each has an id of its own."""
    panels = DASHBOARDS[uid]["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    height = max(y for _, y in cells) + 1
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(height)]
    assert len({panel["id"] for panel in panels}) == len(panels)


@every_panel
def test_panel(name):
    """panel-title-description, panel-units, panel-datasource: it says what it shows, in what unit, and from where."""
    panel = PANELS[name]
    assert re.match(r"[A-Z].{3,58}[^.]$", panel["title"])
    assert re.search(r"\w.*\w\.$", panel["description"])
    assert len(panel["description"]) < 330
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@every_panel
def test_panel_queries(name):
    """target-rate-interval, target-counter-agg: counters are only read as rises, and rates at Grafana's interval."""
    for target in PANELS[name]["targets"]:
        expr = target["expr"]
        assert not re.search(r"\b(i?rate)\((?!\w+(?:\{[^}]*\})?\[\$__rate_interval\])", expr)
        for counter in re.finditer(r"(\w+\()?driftline_\w+_total\b", expr):
            assert counter[1] in ("rate(", "increase("), counter[0]
        assert "(increase(" in expr or "$__rate_interval" not in expr or "rate(" in expr


@every_panel
def test_panel_reads_what_is_there(name):
    """It draws only series that a sidecar has, a rule records or Prometheus keeps; each of the chosen models."""
    for target in PANELS[name]["targets"]:
        expr = target["expr"]
        assert read_series(expr)
        assert read_series(expr) <= known_series()
        for series, selector in re.findall(r"([\w:]*driftline_[\w:]+)\{([^}]*)\}", expr):
            if series in {s.name for s in names.LOCAL_SERIES if "model" not in s.labels}:
                continue
            assert selector.startswith('environment="$environment"'), series


@every_panel
def test_what_one_sidecar_knows_says_so(name):
    """A panel of what only one sidecar knows has the word in its title or description."""
    panel = PANELS[name]
    local = "driftline_sidecar_" in json.dumps(panel["targets"])
    assert not local or "sidecar" in panel["title"] + panel["description"]


@every_panel
def test_panel_leads_to_what_to_do(name):
    """Its link is a runbook, or a heading of dashboards/README.md, in this repository."""
    (link,) = PANELS[name]["links"]
    url = urlsplit(link["url"])
    path = ROOT / url.path.removeprefix("/driftline/driftline/blob/main/")
    text = path.read_text()
    if url.fragment:
        assert url.fragment in {
            found.lower().replace(" ", "-") for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }


def test_alerts_lead_to_dashboards():
    """Every alert's dashboard is one of these, and what its link chooses is a variable of it."""
    for rule in rules():
        if "alert" in rule:
            url = urlsplit(rule["annotations"]["dashboard_url"].replace(" ", ""))
            dashboard = DASHBOARDS[url.path.removeprefix("/d/")]
            variables = {variable["name"] for variable in dashboard["templating"]["list"]}
            assert {name.removeprefix("var-") for name in parse_qs(url.query)} <= variables, rule["alert"]


def test_links_between_dashboards():
    """A link in a table leads to a dashboard that is there."""
    found = re.findall(r'"/d/([\w-]+)\?', json.dumps(list(DASHBOARDS.values())))
    assert set(found) == {"driftline-ds", "driftline-model"}
    assert set(found) <= set(DASHBOARDS)


def test_write(tmp_path, capsys):
    """The command writes one file a dashboard, the same each time, and says where."""
    folder = tmp_path / "new" / "dashboards"
    assert main(["dashboards", "write", str(folder)]) == 0
    said = capsys.readouterr().out.split()
    assert said == [str(folder / f"{uid}.json") for uid in DASHBOARDS]
    assert [Path(path).read_text() for path in said] == [
        rendered(dashboard) for dashboard in DASHBOARDS.values()
    ]


def test_write_where_nothing_can_be_written(tmp_path, capsys):
    """A folder that cannot be is named, and nothing else is said."""
    (tmp_path / "file").touch()
    assert main(["dashboards", "write", str(tmp_path / "file")]) == 2
    assert "file cannot be written to" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["my-secret\nand another", "my-secr\u2019et"])
def test_a_token_that_is_none(token):
    """What cannot be sent as a token is told with its remedy; the log of a pipeline does not show it."""
    with pytest.raises(GrafanaRefused, match="the token holds what no token may") as refused:
        Grafana("http://grafana.example.com", token)
    assert "secr" not in str(refused.value)


@pytest.mark.parametrize("command", [["dashboards", "push"], ["annotate", "event", "--text", "Black Friday"]])
def test_what_is_not_said_of_grafana_is_asked_for(command, monkeypatch, capsys):
    """Of address and token the one that is missing is named, and not the one that is there."""
    monkeypatch.delenv("GRAFANA_URL", raising=False)
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    assert main(command) == 2
    assert capsys.readouterr().err == "say where Grafana is: --url or GRAFANA_URL\n"
    assert main([*command, "--url", "http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("set GRAFANA_TOKEN to the token of a service account")
