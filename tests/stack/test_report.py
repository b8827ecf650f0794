"""``driftline report`` about two weeks of a fleet that a real Prometheus holds: what it says is what happened."""

import functools
import html.parser
import re

import pytest

import two_weeks
from driftline.baseline import Baseline
from driftline.cli import main
from driftline.report.asking import Period
from driftline.report.model import report
from driftline.report.page import Badge
from driftline.report.prometheus import Prometheus, PrometheusRefused

DAY = 86_400.0
END = "2026-03-02T12:00"

pytestmark = [pytest.mark.stack("prometheus", "promtool"), pytest.mark.timeout(300)]


def anew(fleet, model="fraud", *, days=7, end=two_weeks.END, **options):
    return report(Prometheus(fleet.url), model, Period(end - days * DAY, end, f"{days}d"), **options)


asked = functools.cache(anew)


def section(page, title):
    (found,) = [one for one in page.sections if one.title == title]
    return found


def rows(page, title):
    """Return the rows of a section's table, each by its headings."""
    table = section(page, title).table
    return [
        {
            column.heading: cell.text if isinstance(cell, Badge) else cell
            for column, cell in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]


def test_what_moved_is_the_verdict(fleet):
    """The feature that moved, the outputs that moved with it, and since when: first of all."""
    page = asked(fleet)
    assert page.tone == "bad"
    assert page.verdict == "amount, @score and @prediction have moved away from training."
    moved = {row["feature"]: row for row in rows(page, "What moved")}
    assert next(iter(moved)) == "amount"
    assert {name: row["verdict"] for name, row in moved.items()} == {
        "amount": "drifting far",
        "@score": "drifting far",
        "@prediction": "drifting",
        "channel": "as in training",
        "country": "as in training",
    }
    assert moved["channel"]["ticket from"] == "0.20"
    hour = re.fullmatch(r"2026-03-01 (\d\d):[03]0", moved["amount"]["drifting since"])
    assert 2 <= int(hour[1]) <= 12, "moved at midnight; the day's score needs some hours"
    assert [figure.title for figure in section(page, "What moved").figures[:2]] == [
        "amount",
        "amount over time",
    ]


def test_numbers_are_prometheus_own(fleet):
    """The numbers of the page are those that its own queries return."""
    page = asked(fleet)
    answers = {
        query.about: fleet.ask("query", query=query.expr, time=two_weeks.END)["result"]
        for one in page.sections
        for query in one.queries
        if query.when.startswith("at ")
    }
    scores = {
        one["metric"]["feature"]: float(one["value"][1])
        for one in answers["PSI of the last 24 hours against training"]
    }
    assert {row["feature"]: row["PSI to training"] for row in rows(page, "What moved")} == {
        name: f"{value:.2f}" for name, value in scores.items()
    }
    (served,) = answers["predictions in the period"]
    assert (
        f"{float(served['value'][1]):,.0f} predictions in 7 days, as many as in the 7 days before."
        in page.says
    )
    (missing,) = [
        row
        for row in rows(page, "Faults of values")
        if (row["feature"], row["fault"]) == ("country", "missing")
    ]
    assert 8 < float(missing["last 24 h"].removesuffix(" %")) < 11
    assert missing["training"] == "0 %"


def test_every_query_can_be_asked_again(fleet):
    """Each query on the page is whole: Prometheus answers it, and finds something for nearly all of them."""
    page = asked(fleet)
    queries = [query for one in page.sections for query in one.queries]
    empty = [
        query.expr for query in queries if not fleet.series(query.expr, instant=query.when.startswith("at "))
    ]
    assert len(queries) > 40
    assert [expr for expr in empty if "quantile" not in expr and "p95" not in expr] == []


def test_what_else_happened(fleet):
    """Versions, alerts, errors, promises and what was not heard stand on the page."""
    page = asked(fleet)
    versions = {row["version"]: row for row in rows(page, "Versions and baselines")}
    assert versions["2.3.0"]["first in this period"] == "before it"
    assert versions["2.3.1"]["first in this period"] == "2026-02-26 12:00"
    assert len(versions["2.3.1"]["baseline"]) == 12
    alerts = {(row["alert"], row["priority"]): row for row in rows(page, "Alerts")}
    assert "amount 2.3.1" in alerts["ModelFeatureDrift", "P3"]["about"]
    assert alerts["ModelFeatureDrift", "P3"]["at the end"].endswith(" firing")
    assert "country 2.3.1" in alerts["ModelFeatureFaults", "P2"]["about"]
    service = section(page, "Errors and duration")
    assert any(sentence.startswith("Errors: ValueError ") for sentence in service.says)
    assert any(sentence.startswith("The promise availability: ") for sentence in service.says)
    segments = rows(page, "Segments")
    assert [row["segment"] for row in segments] == ["country=de", "country=fr", "country=other"]
    assert {row["moved most"] for row in segments} == {"amount"}
    assert {figure.title for figure in service.figures} == {"Duration of calls", "Predictions failed"}
    assert "did not arrive" in section(page, "What the sidecars saw").says[0]
    (came,) = [sentence for sentence in page.says if sentence.startswith("Version 2.3.1, baseline ")]
    assert came.endswith(", came by 2026-02-26 12:00.")


def test_a_short_alert_is_not_missed(fleet):
    """An alert that lies between two points of a long period is on the page; what is over by its end is said to be."""
    page = asked(fleet, days=28)
    fired = fleet.series('count by (alertname, priority) (ALERTS{model="fraud"})', instant=False)
    assert min(map(len, fired.values())) < 3, "of hours, where the page has a point every three"
    found = {(row["alert"], row["priority"]) for row in rows(page, "Alerts")}
    assert found == {(dict(labels)["alertname"], dict(labels)["priority"]) for labels in fired}
    firing = fleet.series('count by (alertname, priority) (ALERTS{model="fraud"})', instant=True)
    at_the_end = {row["alert"] for row in rows(page, "Alerts") if row["at the end"] != "over"}
    assert at_the_end == {dict(labels)["alertname"] for labels in firing}


def test_a_quarter_of_which_two_weeks_are_known(fleet):
    """A report says what it cannot know: Prometheus keeps less than what was asked about, and promises less."""
    page = asked(fleet, days=91)
    (known,) = [sentence for sentence in page.says if "knows nothing of it before" in sentence]
    assert re.search(r"before 2026-02-1[567] \d\d:\d\d: all here is of the time since", known)
    assert not any("knows nothing" in sentence for sentence in asked(fleet).says)
    (quarter,) = [q for q in section(page, "Errors and duration").queries if "error budget" in q.about]
    assert 14 / 30 <= float(quarter.expr.rpartition("* ")[2]) <= 16 / 30, (
        "two weeks' part of a budget of 30 days"
    )


def test_before_it_moved(fleet):
    """A report of a time before the shift says so: nothing has moved, and the weekend did a week before."""
    page = asked(fleet, end=two_weeks.MOVED - DAY)
    assert "drifting" not in {row["verdict"] for row in rows(page, "What moved")}
    assert page.says[0].startswith("Nothing is known to drift now; channel did in this period.")


def test_what_is_as_last_week_is_not_called_as_in_training(fleet):
    """On a weekend the channel is far from training, and where it was a week before: that is said, not another thing."""
    weekend = {row["feature"]: row for row in rows(asked(fleet, end=two_weeks.MOVED), "What moved")}
    assert float(weekend["channel"]["PSI to training"]) > 0.5
    assert weekend["channel"]["verdict"] == "as last week"


def test_a_wide_model(fleet):
    """300 features make a page of a few: the rest is counted, not listed."""
    page = asked(fleet, "wide")
    assert (page.tone, page.verdict) == ("good", "wide is as expected.")
    assert len(rows(page, "What moved")) == 5
    assert "295 more are watched, and are less far from training." in section(page, "What moved").says


def test_a_learning_model(fleet):
    """Without a baseline there is no verdict, and the page says why rather than that all is well."""
    page = asked(fleet, "churn")
    assert page.tone == "none"
    assert page.verdict == "Drift cannot be judged: there is no score."
    assert "Learning, so without a baseline and not judged: 1." in page.says
    assert "Faults are not judged: nothing is known of training." in page.says


def test_borders_of_bins(fleet):
    """With the baseline at hand, bars carry the values that their bins hold."""
    baseline = two_weeks.fraud_baseline("2.3.1", 2, two_weeks.fraud_baseline("2.3.0", 1))
    amount = baseline.features["amount"]
    spans = amount.layout.spans()
    figures = section(
        anew(fleet, borders={amount.binning: dict(zip(amount.bins, spans, strict=True))}), "What moved"
    ).figures
    assert all(f">{span}<" in figures[0].svg for span in spans)
    assert "09, highest" not in figures[0].svg


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("fruad", {}, "no model fruad in this period, there are: churn, fraud, wide"),
        ("fraud", {"environment": "test"}, "fraud is not in test, but in prod"),
        ("fraud", {"end": two_weeks.START - DAY}, "knows no model in the 7d to"),
        ('fr"a\\ud{}', {}, 'no model fr"a\\ud{} in this period'),
    ],
)
def test_what_is_not_there(fleet, model, options, says):
    """A model, an environment or a time that Prometheus does not know is named, with what there is."""
    with pytest.raises(PrometheusRefused) as refused:
        asked(fleet, model, **options)
    assert says in str(refused.value)


class Page(html.parser.HTMLParser):
    """What a browser would load, and the words it would show."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.words = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.loads += [
            (tag, name, value) for name, value in attributes if name in ("src", "href", "xlink:href")
        ]

    def handle_data(self, data):
        self.words.append(data)


def test_command(fleet, tmp_path, capsys):
    """The command writes one file that loads nothing, says the verdict, and ends with 1 where there is something."""
    baseline = two_weeks.fraud_baseline("2.3.1", 2, two_weeks.fraud_baseline("2.3.0", 1))
    baseline.save(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json").id == baseline.id
    output = tmp_path / "fraud.html"
    common = ["--prometheus", fleet.url, "--until", END, "-o", str(output)]
    code = main(
        ["report", "--model", "fraud", "--since", "7d", *common, "--baseline", str(tmp_path / "b.json")]
    )
    assert code == 1
    assert capsys.readouterr().out == (
        f"{output}: amount, @score and @prediction have moved away from training.\n"
    )
    page = Page(output.read_text())
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert all(value.startswith("#") for _, _, value in page.loads), "only what is in the file itself"
    assert "2026-02-23 12:00 to 2026-03-02 12:00" in page.words
    assert output.stat().st_size < 400_000
    assert main(["report", "--model", "wide", *common]) == 0


def test_the_same_twice(fleet):
    """The same question of the same time is the same page, to the letter: for an audit it can be made again."""
    assert anew(fleet) == asked(fleet)
