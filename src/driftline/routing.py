"""Contacts into an Alertmanager configuration: which receiver hears of which alert, when, and what is inhibited."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from driftline.contacts import OLDEST, PLATFORM, WAYS
from driftline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.contacts import Alerting, Email, Hours, Jira, Means, PagerDuty, Slack, Teams, Way, Webhook

TEMPLATES = "driftline.tmpl"


def alertmanager(alerting: Alerting, *, version: tuple[int, int] = OLDEST) -> str:
    """Return the text of an Alertmanager configuration of *version* or later.

    Raises:
        ConfigurationError: A contact needs a later one; each is named.
    """
    receivers = _receivers(alerting)
    faults = [
        f"alerting: {name} is reached by {means.kind}{' with url_file' if means.webhook else ''}, which needs Alertmanager {_shown(means.needs)}:"
        f" write --alertmanager {_shown(means.needs)}, or another means"
        for name, means in receivers.items()
        if means.needs > version
    ]
    if faults:
        raise ConfigurationError(faults)
    written = {"receivers": [_receiver(name, means) for name, means in receivers.items()]}
    text = "\n".join(
        [
            _HEAD,
            _global(alerting),
            _hours(alerting.hours),
            _routes(alerting),
            INHIBITION,
            yaml.safe_dump(written, sort_keys=False, width=110, allow_unicode=True),
        ]
    )
    return sealed(text)


SEAL = re.compile(r"(?<=\bthe seal )[0-9a-f]{16}\b")


def sealed(text: str) -> str:
    """Return *text* with its seal, a hash of all the rest: a text that fits its seal was changed by nobody."""
    blank = SEAL.sub("0" * 16, text, count=1)
    return SEAL.sub(hashlib.sha256(blank.encode()).hexdigest()[:16], blank, count=1)


def _on_call(alerting: Alerting) -> Means | None:
    """Return how whoever is on call hears of a page that nobody owns; None where that is whoever runs driftline."""
    if alerting.on_call in (None, PLATFORM):
        return None
    contact = alerting.contacts[alerting.on_call]
    return contact.page or contact.chat


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _receivers(alerting: Alerting) -> dict[str, Means]:
    """Return the means behind each receiver, in the order of the contacts."""
    platform = alerting.contacts[PLATFORM]
    found: dict[str, Means | None] = {
        "unowned-page": platform.page or platform.chat,
        "unowned-on-call": _on_call(alerting),
        "unowned-ticket": platform.ticket,
        "deadman": alerting.deadman,
    }
    for owner, contact in alerting.contacts.items():
        found |= {f"{way}-{owner}": getattr(contact, way) for way in WAYS}
    return {name: means for name, means in found.items() if means}


# --- the text -----------------------------------------------------------------------------------

_HEAD = """\
# Written by `driftline alertmanager write` from driftline.yaml: change that one. What is changed here stays, and is not
# written again: the seal 0000000000000000 tells.
#
#   P1  page now                  P3  a ticket
#   P2  page in business hours    P4  a daily digest
#
# Receivers are called after the way and the owner. What nobody owns, or an owner without a contact, comes as
# "unowned-..." to whoever runs driftline.
templates: ["driftline.tmpl"]
"""

INHIBITION = """\
# A cause silences its symptoms. Labels absent on both sides count as equal, hence the `model!=""`.
inhibit_rules:
  # Of a model that is not heard, nothing else is known.
  - source_matchers: ['alertname="ModelTelemetryAbsent"']
    target_matchers: ['alertname!~"ModelTelemetryAbsent|ModelServiceDown"', 'model!=""']
    equal: [model, environment]
  # Of tier 1, while it is missed: a page in place of what waits.
  - source_matchers: ['alertname="ModelServiceDown"']
    target_matchers: ['alertname!="ModelServiceDown"', 'model!=""']
    equal: [model, environment]
  # Most models of an environment at once have one cause. What has stopped of tier 1 still pages its owner.
  - source_matchers: ['alertname="DriftlineEnvironmentSilent"']
    target_matchers: ['alertname="ModelTelemetryAbsent"', 'cause="service"']
    equal: [environment]
  # One dead sidecar of a hundred models is one message. A silent service is not a dead sidecar, and stays; so does what
  # another environment lost. Where Prometheus has no target at all, no environment is named, nor an instance.
  - source_matchers: ['alertname="DriftlineSidecarDown"']
    target_matchers: ['alertname="ModelTelemetryAbsent"', 'cause="sidecar"']
    equal: [environment]
  - source_matchers: ['alertname="DriftlineSidecarDown"', 'instance=""']
    target_matchers: ['alertname="ModelTelemetryAbsent"', 'cause="sidecar"']
  # What the pipelines before a model did not deliver shows as drift, faults, volume and errors of it.
  - source_matchers: ['category="upstream"', 'model!=""']
    target_matchers: ['category=~"drift|quality|volume|performance"', 'model!=""']
    equal: [model, environment]
  # Whoever was paged needs no ticket about the same thing. That calls fail is another thing than that they are slow.
  - source_matchers: ['priority=~"P1|P2"', 'model!=""']
    target_matchers: ['priority=~"P3|P4"', 'model!=""', 'alertname!="ModelErrorRatioHigh"']
    equal: [model, environment, version, feature, category, slo]
  # The same: the one is about all versions, the other about one of them.
  - source_matchers: ['alertname="ModelFeatureShift"']
    target_matchers: ['alertname="ModelFeatureDrift"']
    equal: [model, environment, feature]
  - source_matchers: ['alertname="ModelLatencyHigh"']
    target_matchers: ['alertname="ModelLatencyAboveLastWeek"']
    equal: [model, environment]
  # Many features at once are one cause, and one page. The ticket that lists them is still wanted: after a
  # week a shift is its own last week, and only training tells.
  - source_matchers: ['alertname="ModelDriftWidespread"']
    target_matchers: ['alertname="ModelFeatureShift"']
    equal: [model, environment]
  # While a new version takes over, its data are new, too: what still differs afterwards is told then.
  - source_matchers: ['alertname="ModelRolloutInProgress"']
    target_matchers: ['category="drift"', 'priority=~"P3|P4"', 'model!=""']
    equal: [model, environment]
"""


def _global(alerting: Alerting) -> str:
    server = alerting.email
    lines = ["global:", "  resolve_timeout: 10m"]
    if server:
        lines += [
            f"  smtp_from: {json.dumps(server.from_)}",
            f"  smtp_smarthost: {json.dumps(server.smarthost)}",
            f"  smtp_require_tls: {json.dumps(server.require_tls)}",
        ]
        if server.username:
            lines.append(f"  smtp_auth_username: {json.dumps(server.username)}")
        if server.password_file:
            lines.append(f"  smtp_auth_password_file: {json.dumps(server.password_file)}")
    return "\n".join([*lines, ""])


def _hours(hours: Hours) -> str:
    return f"""\
time_intervals:
  - name: business-hours
    time_intervals:
      - weekdays: ["{hours.days}"]
        times: [{{start_time: "{hours.start}", end_time: "{hours.end}"}}]
        location: {hours.location}
"""


def _routes(alerting: Alerting) -> str:
    owners = tuple(alerting.contacts)
    elsewhere = [_matcher("environment", "=~", ".+"), _matcher("environment", "!~", *alerting.production)]

    def each(*ways: Way, held: bool = False) -> list[str]:
        found = [(owner, alerting.receiver(owner, way)) for owner in owners for way in ways]
        return [_to(name, _matcher("owner", "=", owner), held=held) for owner, name in found if name]

    def quiet(owner: str) -> str:
        return alerting.receiver(owner, "chat") or str(alerting.receiver(owner, "ticket"))

    return _ROUTES.format(
        elsewhere=", ".join(elsewhere),
        unknown=_matcher("owner", "!~", *owners),
        nobodys_p1=_NOBODYS_P1 if _on_call(alerting) else "",
        quiet="\n".join(_to(quiet(owner), _matcher("owner", "=", owner)) for owner in owners),
        p1="\n".join([*each("page", "chat"), *_everybody(alerting)]),
        p2="\n".join([*each("page", held=True), *each("chat")]),
        p3="\n".join(each("ticket")),
        p4="\n".join(each("digest")),
    )


def _everybody(alerting: Alerting) -> list[str]:
    """Return the routes by which a P1 of tier 1 reaches whoever runs driftline and is on call, each once."""
    told = {
        owner: {alerting.receiver(owner, "page"), alerting.receiver(owner, "chat")}
        for owner in alerting.contacts
    }
    names = [name for name in (PLATFORM, alerting.on_call) if name]
    also = dict.fromkeys(alerting.receiver(name, "page") or alerting.receiver(name, "chat") for name in names)
    routes = []
    for receiver in filter(None, also):
        others = [owner for owner in told if receiver not in told[owner]]
        if others:
            routes.append(_to(receiver, _matcher("tier", "=", "1"), _matcher("owner", "=~", *others)))
    return routes


_ROUTES = """\
route:
  # Whatever no route below takes.
  receiver: unowned-ticket
  # One message is one incident: a model in an environment, however many of its features moved.
  group_by: [model, environment]
  # Long enough for a cause to arrive before the messages about its symptoms go out.
  group_wait: 45s
  group_interval: 5m
  repeat_interval: 12h
  routes:
    - matchers: ['alertname="DriftlineWatchdog"']
      receiver: deadman
      group_wait: 0s
      group_interval: 1m
      repeat_interval: 1m

    # Before the priorities, or a ticket without an owner would wait in a queue that nobody reads.
    - matchers: [{unknown}]
      receiver: unowned-ticket
      routes:
        - matchers: [{elsewhere}]
          receiver: unowned-ticket
          group_wait: 5m
          repeat_interval: 3d
        - matchers: ['priority="P1"']
          receiver: unowned-page
          repeat_interval: 1h
{nobodys_p1}        - {{matchers: ['priority="P2"'], receiver: unowned-page, active_time_intervals: [business-hours], continue: true}}
        - {{matchers: ['priority="P2"'], receiver: unowned-ticket}}
        - {{matchers: ['priority=~"P3|P4"'], receiver: unowned-ticket, group_wait: 15m, group_interval: 1h, repeat_interval: 7d}}

    # Nobody is woken for what is not production. An alert without an environment, such as
    # DriftlineReloadFailed, would match the second matcher alone, and be lost in the chat.
    - matchers: [{elsewhere}]
      group_wait: 5m
      repeat_interval: 3d
      routes:
{quiet}

    - matchers: ['priority="P1"']
      repeat_interval: 1h
      routes:
{p1}

    # The chat at once, the pager held overnight and let go in the morning if it still fires.
    - matchers: ['priority="P2"']
      routes:
{p2}

    - matchers: ['priority="P3"']
      group_wait: 15m
      group_interval: 1h
      repeat_interval: 7d
      routes:
{p3}

    - matchers: ['priority="P4"']
      group_by: [owner]
      group_wait: 1h
      group_interval: 1d
      repeat_interval: 30d
      routes:
{p4}
"""


_NOBODYS_P1 = """\
          routes:
            - {matchers: ['tier="1"'], receiver: unowned-on-call, continue: true}
            - {matchers: ['tier="1"'], receiver: unowned-page}
"""


def _matcher(label: str, operator: str, *values: str) -> str:
    """Return a matcher as YAML text; several values are alternatives of a regular expression."""
    value = values[0]
    if operator in ("=~", "!~") and value != ".+":
        value = "|".join(map(_escaped, values))
    text = f"{label}{operator}{json.dumps(value, ensure_ascii=False)}".replace("'", "''")
    return f"'{text}'"


def _escaped(value: str) -> str:
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def _to(receiver: str, *matchers: str, held: bool = False) -> str:
    """Return a route; what fits it may fit the next ones of its level, too."""
    more = ", active_time_intervals: [business-hours]" if held else ""
    name = receiver if re.fullmatch(r"[\w-]+", receiver) else json.dumps(receiver, ensure_ascii=False)
    return f"        - {{matchers: [{', '.join(matchers)}], receiver: {name}{more}, continue: true}}"


def _receiver(name: str, means: Means) -> dict[str, Any]:
    """Return a receiver as Alertmanager's configuration has it."""
    kind, body = _KINDS[means.kind](getattr(means, means.kind))
    if name == "deadman":
        body["send_resolved"] = False
    return {"name": name, kind: [body]}


_TITLE, _TEXT = '{{ template "driftline.title" . }}', '{{ template "driftline.text" . }}'
_DASHBOARD = '{{ template "driftline.dashboard" . }}'
_RUNBOOK = "{{ .CommonAnnotations.runbook_url }}"


def _pagerduty(means: PagerDuty) -> tuple[str, dict[str, Any]]:
    return "pagerduty_configs", {
        "routing_key_file": means.routing_key_file,
        "description": _TITLE,
        "severity": '{{ template "driftline.severity" . }}',
        "client": "driftline",
        "client_url": _DASHBOARD,
        "component": "{{ .CommonLabels.model }}",
        "group": "{{ .CommonLabels.environment }}",
        "links": [{"href": _DASHBOARD, "text": "Dashboard"}, {"href": _RUNBOOK, "text": "Runbook"}],
        # Alertmanager's own two are dumps of every label; what is left out here it fills in.
        "details": {"firing": _TEXT, "resolved": "{{ .Alerts.Resolved | len }}"},
    }


def _slack(means: Slack) -> tuple[str, dict[str, Any]]:
    return "slack_configs", {
        "api_url_file": means.api_url_file,
        "channel": means.channel,
        "send_resolved": True,
        "title": _TITLE,
        "title_link": _DASHBOARD,
        "text": '{{ template "driftline.slack" . }}',
        "fallback": _TITLE,
    }


def _teams(means: Teams) -> tuple[str, dict[str, Any]]:
    return "msteamsv2_configs", {
        "webhook_url_file": means.webhook_url_file,
        "title": _TITLE,
        "text": '{{ template "driftline.teams" . }}',
    }


def _jira(means: Jira) -> tuple[str, dict[str, Any]]:
    by_user = {"basic_auth": {"username": means.user, "password_file": means.token_file}}
    by_token = {"authorization": {"credentials_file": means.token_file}}
    given = {
        key: getattr(means, key)
        for key in ("resolve_transition", "reopen_transition")
        if getattr(means, key) is not None
    }
    return "jira_configs", {
        "api_url": means.api_url,
        "project": means.project,
        "issue_type": means.issue_type,
        "summary": _TITLE,
        "description": '{{ template "driftline.jira" . }}',
        "labels": ["driftline"],
        **given,
        # Before 0.33 telling an issue that is never closed that its alert is over is an error.
        "send_resolved": means.resolve_transition is not None,
        # Without it no issue is reopened.
        **({"reopen_duration": "7d"} if means.reopen_transition else {}),
        "http_config": by_user if means.user else by_token,
    }


def _email(means: Email) -> tuple[str, dict[str, Any]]:
    return "email_configs", {
        "to": means.to,
        "send_resolved": True,
        "headers": {"Subject": _TITLE},
        "text": _TEXT,
        "html": '{{ template "driftline.html" . }}',
    }


def _webhook(means: Webhook) -> tuple[str, dict[str, Any]]:
    body: dict[str, Any] = {"url": means.url} if means.url else {"url_file": means.url_file}
    if means.token_file:
        body["http_config"] = {"authorization": {"credentials_file": means.token_file}}
    return "webhook_configs", body


_KINDS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "pagerduty": _pagerduty,
    "slack": _slack,
    "teams": _teams,
    "jira": _jira,
    "email": _email,
    "webhook": _webhook,
}
