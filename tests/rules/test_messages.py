"""What a real Alertmanager sends to each kind of receiver, from what ``driftline alertmanager write`` wrote."""

import contextlib
import html
import html.parser
import json
import re
import subprocess
from base64 import b64encode

import pytest

from certificates import Certificates
from driftline.cli import binaries, main
from driftline.cli.timescale import scaled
from rules.receivers import Jira, Mail
from rules.test_alertmanager import ALERTMANAGER, AMTOOL, DRIFT, FOLDER, amtool, post
from stack.processes import Children, Phone, alertmanager, eventually

HOSTILE = r'<b onmouseover="x">&amp;</b> <!channel> [here](http://evil.example) \[or here\](http://evil.example) {code} "\n" é'
HARMLESS = re.sub(r"[<\[]", "\u2039", re.sub(r"[>\]]", "\u203a", HOSTILE))
ANNOTATIONS = {
    "summary": "A feature of a model has moved.",
    "description": "amount of fraud 1 (prod): PSI 0.31 of the last 24 h, threshold 0.10. Since 2026-11-20 08:15 UTC.",
    "runbook_url": "https://example.com/runbook.md",
    "dashboard_url": "https://grafana.example.com/d/ds?a=1&b=2",
}
SUMMARY, DESCRIPTION, RUNBOOK, DASHBOARD = ANNOTATIONS.values()


def title(kind, message):
    """Return the first line that a phone shows; a webhook has none of ours, but for its status."""
    match kind:
        case "slack":
            return message["attachments"][0]["title"]
        case "pagerduty":
            return message["payload"]["summary"]
        case "email":
            return message["subject"]
        case "teams":
            return message["attachments"][0]["content"]["body"][0]["text"]
        case "jira":
            return message["summary"]
    return ("Over: " if message["status"] == "resolved" else "") + message["groupLabels"]["model"]


class Told:
    """What each kind of receiver got of four incidents: over, nearly over, with a hostile name, of nobody."""

    def __init__(self, folder, version, stack):
        self.kinds = [
            "slack",
            "pagerduty",
            "webhook",
            "email",
            *(["teams", "jira"] if version >= (0, 28) else []),
        ]
        self.phone, self.jira = stack.enter_context(Phone()), stack.enter_context(Jira())
        signed = Certificates(folder)
        self.mail = stack.enter_context(Mail(signed / "server.crt"))
        children = stack.enter_context(Children(folder))
        settings = folder / "driftline.yaml"
        settings.write_text(json.dumps(self._settings(folder)))
        output = folder / "written" / "alertmanager.yml"
        command = ["alertmanager", "write", "--config", str(settings), "-o", str(output)]
        assert main([*command, "--alertmanager", f"{version[0]}.{version[1]}"]) == 0
        text = scaled(output.read_text(), 900)
        text = text.replace("global:", f"global:\n  pagerduty_url: {self.phone.url}/pagerduty", 1)
        (folder / "driftline.tmpl").write_bytes(output.with_name("driftline.tmpl").read_bytes())
        with pytest.MonkeyPatch.context() as patch:  # the authorities that its machine knows
            patch.setenv("SSL_CERT_FILE", str(signed / "authority.crt"))
            self._url = alertmanager(children, text)
        self._log = folder / "alertmanager.log"
        self._tell()

    def _settings(self, folder):
        def file(name, text):
            (folder / name).write_text(text)
            return str(folder / name)

        means = {
            "slack": {"api_url_file": file("slack", f"{self.phone.url}/slack"), "channel": "#ml"},
            "pagerduty": {"routing_key_file": file("key", "0" * 32)},
            "webhook": {"url": f"{self.phone.url}/webhook", "token_file": file("token", "t0ken")},
            "email": {"to": "team@example.com"},
            "teams": {"webhook_url_file": file("teams", f"{self.phone.url}/teams")},
            "jira": {
                "api_url": f"{self.jira.url}/rest/api/2", "project": "ML", "user": "bot",
                "token_file": file("jira", "t0ken"), "resolve_transition": "Done", "reopen_transition": "Reopen",
            },
        }  # fmt: skip
        ways = lambda kind: {way: {kind: means[kind]} for way in ("page", "ticket")}  # noqa: E731
        # the mail server is that of whoever runs driftline
        contacts = {"driftline": {way: {"email": means["email"]} for way in ("page", "ticket", "digest")}}
        contacts |= {kind: ways(kind) for kind in self.kinds}
        server = {"smarthost": self.mail.address, "from": "am@example.com", "username": "am",
                  "password_file": file("password", "secret")}  # fmt: skip
        alerting = {
            "contacts": contacts,
            "deadman": {"webhook": {"url": f"{self.phone.url}/dead"}},
            "email": server,
        }
        return {"environment": "prod", "alerting": alerting}

    def _tell(self):
        good = [
            {**DRIFT, "owner": kind, "priority": "P1", "tier": "2", "model": "fraud", "feature": "amount"}
            for kind in self.kinds
        ]
        post(self._url, good, **ANNOTATIONS)
        hostile = [{**DRIFT, "owner": kind, "model": HOSTILE, "feature": "a_b"} for kind in self.kinds]
        post(self._url, hostile, **{**ANNOTATIONS, "description": f"{HOSTILE}: PSI 0.31."})
        many = [
            {**DRIFT, "owner": kind, "model": "many", "feature": f"f{n}"}
            for kind in self.kinds
            for n in range(30)
        ]
        post(self._url, many, **ANNOTATIONS)
        post(self._url, [{**DRIFT, "owner": "nobody", "model": "lost", "feature": "amount"}], **ANNOTATIONS)
        counts = lambda: {kind: len(self.of(kind)) for kind in self.kinds}  # noqa: E731
        eventually(lambda: all(n >= (4 if kind == "email" else 3) for kind, n in counts().items()), within=20)
        post(
            self._url,
            [*good, *(alert for alert in many if alert["feature"] not in ("f0", "f1"))],
            ends=-1,
            **ANNOTATIONS,
        )
        fewer = lambda kind: any("2 alerts" in title(kind, one) for one in self.of(kind)) or kind == "webhook"  # noqa: E731
        eventually(lambda: all(map(fewer, self.kinds)), within=20)
        eventually(lambda: all(map(self.over, self.kinds)), within=20)
        if self.jira.issues:
            post(self._url, [alert for alert in good if alert["owner"] == "jira"], **ANNOTATIONS)
            eventually(
                lambda: [
                    a
                    for a in self.jira.asked
                    if a[1].endswith("transitions") and (a[2] or {}).get("transition") == {"id": "41"}
                ]
            )

    def of(self, kind):
        """Return the different messages of *kind*, as its receiver reads them."""
        if kind == "email":
            found = list(self.mail.messages)
        elif kind == "jira":
            found = [
                body["fields"]
                for _, path, body, _ in self.jira.asked
                if body and "fields" in body and path != "search"
            ]
        else:
            found = [call.body for call in self.phone.calls if call.receiver == kind]
        return list({str(one): one for one in found}.values())

    def log(self):
        return self._log.read_text()

    def over(self, kind):
        """Return what of *kind* says that an incident is over."""
        return [one for one in self.of(kind) if title(kind, one).startswith("Over: ")]


@pytest.fixture(scope="session")
def tellers(tmp_path_factory):
    """Give what returns all that one Alertmanager told, once for each program."""
    told = {}

    def of(program):
        if program not in told:
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            version = tuple(map(int, re.search(r"version (\d+)\.(\d+)", said).groups()))
            with contextlib.ExitStack() as stack:
                told[program] = Told(tmp_path_factory.mktemp("told"), min(version, (0, 28)), stack)
        return told[program]

    return of


@pytest.fixture
def told(tellers):
    return tellers(binaries.need("alertmanager"))


@ALERTMANAGER
class TestSent:
    """What came, by kind: two Alertmanagers, the older of which has neither Teams nor Jira."""

    def test_titles(self, told):
        """The first line says how urgent, which model, where, what; one message an incident, one when it is over."""
        expected = {f"P1 fraud (prod): amount: {SUMMARY}", f"Over: fraud (prod): amount: {SUMMARY}",
                    f"P3 many (prod): {SUMMARY} 30 alerts.",
                    f"P3 many (prod): {SUMMARY} 2 alerts.", f"P3 {HARMLESS} (prod): a_b: {SUMMARY}"}  # fmt: skip
        nobody = f"NOBODY'S (owner nobody has no contact): P3 lost (prod): amount: {SUMMARY}"
        for kind in told.kinds:
            said = [title(kind, one) for one in told.of(kind)]
            if kind == "webhook":
                assert set(said) == {"fraud", "Over: fraud", "many", HOSTILE}
            else:
                assert set(said) == {*expected, *([nobody] if kind == "email" else [])}, kind
                assert all(len(text) <= 100 for text in said if HARMLESS not in text)
                assert len(said) == len(set(said)), kind

    def test_slack(self, told):
        """Links are words, and no value is a link, a mention or an entity."""
        attachments = {title("slack", one): one["attachments"][0] for one in told.of("slack")}
        alone = attachments[f"P1 fraud (prod): amount: {SUMMARY}"]
        links = f"<{RUNBOOK}|Runbook> · <{DASHBOARD}|Dashboard>"
        assert alone["text"] == f"• {DESCRIPTION}\n{links}"
        assert alone["title_link"] == DASHBOARD
        assert alone["fallback"] == alone["title"]
        many = attachments[f"P3 many (prod): {SUMMARY} 30 alerts."]["text"].splitlines()
        assert many == [f"• {DESCRIPTION}"] * 5 + ["These are 5 of 30; the dashboard has them all.", links]
        few = attachments[f"P3 many (prod): {SUMMARY} 2 alerts."]["text"].splitlines()
        assert few == [f"• {DESCRIPTION}"] * 2 + ["28 of this incident are over.", links]
        hostile = attachments[f"P3 {HARMLESS} (prod): a_b: {SUMMARY}"]
        assert hostile["text"] == f"• {html.escape(HOSTILE, quote=False)}: PSI 0.31.\n{links}"
        assert not re.search("[<>]", hostile["title"] + hostile["fallback"])
        assert re.match(
            r"• Over since \w{3} \d+ \w{3} \d\d:\d\d UTC: amount of",
            attachments[f"Over: fraud (prod): amount: {SUMMARY}"]["text"],
        )

    def test_pagerduty(self, told):
        """An event has its severity, where it belongs, two links and no dump of labels; it ends with its alert."""
        events = {title("pagerduty", one): one for one in told.of("pagerduty")}
        event, over = (events[f"{first} fraud (prod): amount: {SUMMARY}"] for first in ("P1", "Over:"))
        page = event["payload"]
        assert (page["severity"], page["source"], page["component"], page["group"]) == (
            "critical",
            "driftline",
            "fraud",
            "prod",
        )
        assert (
            page["custom_details"].pop("firing")
            == f"* {DESCRIPTION}\n\nRunbook: {RUNBOOK}\nDashboard: {DASHBOARD}"
        )
        assert {key: int(value) for key, value in page["custom_details"].items()} == {
            "num_firing": 1,
            "num_resolved": 0,
            "resolved": 0,
        }
        assert event["links"] == [
            {"href": DASHBOARD, "text": "Dashboard"},
            {"href": RUNBOOK, "text": "Runbook"},
        ]
        assert (event["event_action"], over["event_action"]) == ("trigger", "resolve")
        assert event["dedup_key"] == over["dedup_key"]
        assert len(json.dumps(told.of("pagerduty"))) < 20_000

    def test_email(self, told):
        """The same as text and as a page; what a value says is text, whatever it looks like."""
        mails = {title("email", one): one for one in told.of("email")}
        for mail in mails.values():
            assert mail["from"] == "am@example.com"
            assert mail["to"] == "team@example.com"
            assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        pages = {key: Page(part(mail, "html")) for key, mail in mails.items()}
        alone = mails[f"P1 fraud (prod): amount: {SUMMARY}"]
        assert part(alone, "plain").splitlines() == [
            f"* {DESCRIPTION}",
            "",
            f"Runbook: {RUNBOOK}",
            f"Dashboard: {DASHBOARD}",
        ]
        for key, page in pages.items():
            assert page.words[0] == key
            assert set(page.tags) <= {"html", "head", "meta", "body", "div", "h1", "p", "a", "b"}
            assert page.links == {"Dashboard": DASHBOARD, "Runbook": RUNBOOK}
        assert pages[f"P1 fraud (prod): amount: {SUMMARY}"].words[1:] == [DESCRIPTION, "Dashboard", "Runbook"]
        assert f"{HOSTILE}: PSI 0.31." in pages[f"P3 {HARMLESS} (prod): a_b: {SUMMARY}"].words
        assert pages[f"P3 many (prod): {SUMMARY} 30 alerts."].words.count(DESCRIPTION) == 20
        few = pages[f"P3 many (prod): {SUMMARY} 2 alerts."].words[1:-2]
        assert few == [DESCRIPTION, DESCRIPTION, "28 of this incident are over."]
        unowned = next(page for key, page in pages.items() if key.startswith("NOBODY"))
        assert unowned.words[1:3] == [
            'driftline.yaml has no contact for "nobody". Find out whose it is.',
            DESCRIPTION,
        ]

    def test_webhook(self, told):
        """A bridge gets Alertmanager's own JSON, and every alert."""
        many = next(one for one in told.of("webhook") if one["groupLabels"]["model"] == "many")
        assert len(many["alerts"]) == 30
        assert many["commonAnnotations"] == ANNOTATIONS
        assert many["truncatedAlerts"] == 0

    def test_teams(self, told):
        """A card of two texts, in Markdown of which no value is a part."""
        if "teams" not in told.kinds:
            pytest.skip("this Alertmanager is older than 0.28, of which driftline writes Teams")
        cards = {
            title("teams", one): "\n\n".join(
                text["text"] for text in one["attachments"][0]["content"]["body"]
            )
            for one in told.of("teams")
        }
        links = f"[Runbook]({RUNBOOK}) · [Dashboard]({DASHBOARD})"
        plain = f"P1 fraud (prod): amount: {SUMMARY}"
        assert cards[plain] == f"{plain}\n\n{DESCRIPTION}\n\n{links}"
        # two backslashes are one that is shown, and escape nothing
        read = cards[f"P3 {HARMLESS} (prod): a_b: {SUMMARY}"].replace(r"\\", "")
        assert re.findall(r"(?<!\\)\[.*?(?<!\\)\]\(.*?\)", read) == links.split(" · ")

    def test_jira(self, told):
        """One issue an incident: made, brought up to date, closed when it is over, reopened when it comes back."""
        if "jira" not in told.kinds:
            pytest.skip("this Alertmanager is older than 0.28, the first that knows Jira")
        (issue,) = [issue for issue in told.jira.issues.values() if "fraud" in issue["summary"]]
        assert len(told.jira.issues) == 3
        assert issue["status"] == "new", "reopened"
        assert issue["project"] == {"key": "ML"}
        assert issue["issuetype"] == {"name": "Task"}
        assert "driftline" in issue["labels"]
        assert issue["description"] == f"* {DESCRIPTION}\n\n[Runbook|{RUNBOOK}] - [Dashboard|{DASHBOARD}]"
        asked = [(method, re.sub(r"ML-\d+", "KEY", path)) for method, path, _, _ in told.jira.asked]
        assert set(asked) == {("POST", "search"), ("POST", "issue"), ("PUT", "issue/KEY"),
                              ("GET", "issue/KEY/transitions"), ("POST", "issue/KEY/transitions")}  # fmt: skip
        assert {given for _, _, _, given in told.jira.asked} == {f"Basic {b64encode(b'bot:t0ken').decode()}"}
        hostile = next(issue for issue in told.jira.issues.values() if HARMLESS in issue["summary"])
        assert r"\[here\](http://evil.example) /\[or here/\](http" in hostile["description"]
        assert r"\{code\}" in hostile["description"]

    def test_nothing_failed(self, told):
        """No receiver refused anything: what came is not a second attempt at it."""
        assert "level=error" not in told.log().lower()


def part(mail, kind):
    return mail.get_body((kind,)).get_content()


class Page(html.parser.HTMLParser):
    """The tags, the texts and the links of an HTML page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.links, self._href = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._href = dict(attrs).get("href")

    def handle_data(self, data):
        if data.strip():
            self.words.append(data.strip())
            if self._href:
                self.links[data] = self._href

    def handle_endtag(self, _tag):
        self._href = None


@AMTOOL
def test_other_messages(tmp_path):
    """Of several rules one message names the first; what is over says so; e-mail has it as a page."""
    alert = {"status": "firing", "labels": {**DRIFT, "model": "fraud"}, "annotations": ANNOTATIONS,
             "startsAt": "2026-11-20T08:30:00Z", "endsAt": "2026-11-20T09:30:00Z"}  # fmt: skip
    other = {
        **alert,
        "annotations": {**ANNOTATIONS, "summary": "Calls fail.", "runbook_url": "https://example.com/2"},
    }
    common = {"owner": "payments", "model": "fraud", "environment": "prod"}
    data = {"receiver": "chat-payments", "status": "firing", "alerts": [alert, other],
            "groupLabels": {"model": "fraud"}, "commonLabels": common, "commonAnnotations": {}}  # fmt: skip
    assert (
        rendered(tmp_path, "title", data) == "fraud (prod): 2 alerts, first: A feature of a model has moved."
    )
    text = rendered(tmp_path, "text", data)
    assert text.index("Runbook: https://example.com/runbook.md") < text.index(
        "Runbook: https://example.com/2"
    )
    assert '<a href="https://example.com/2">Runbook</a>' in rendered(tmp_path, "html", data)
    over = {**data, "status": "resolved", "alerts": [{**alert, "status": "resolved"}],
            "commonLabels": alert["labels"], "commonAnnotations": ANNOTATIONS}  # fmt: skip
    assert rendered(tmp_path, "title", over) == "Over: fraud (prod): A feature of a model has moved."
    assert rendered(tmp_path, "text", over).startswith("* Over since Fri 20 Nov 09:30 UTC: amount of fraud")


def rendered(folder, name, data):
    (folder / "data.json").write_text(json.dumps(data))
    kind = "html" if name == "html" else "text"
    done = amtool(
        "template",
        "render",
        f"--template.glob={FOLDER / 'driftline.tmpl'}",
        f"--template.type={kind}",
        f'--template.text={{{{ template "driftline.{name}" . }}}}',
        f"--template.data={folder / 'data.json'}",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")
