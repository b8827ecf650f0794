"""Contacts in driftline.yaml are read strictly, and become receivers; the command says what it cannot write."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from driftline import config, contacts, routing
from driftline.cli import main
from driftline.errors import ConfigurationError

PLATFORM = """
environment: prod
models:
  fraud: {owner: payments}
alerting:
  deadman: {webhook: {url: "https://example.com/deadman"}}
  contacts:
    driftline:
      chat: {slack: {api_url_file: /etc/slack, channel: "#ml"}}
      ticket: {webhook: {url: "https://example.com/ticket"}}
      digest: {webhook: {url: "https://example.com/digest"}}
"""


def parse(more="", text=PLATFORM):
    return config.parse(text + more, folder=Path("/"))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("chat: {slack", "{chat: {email", None),  # no YAML
        ('"https://example.com/deadman"', "nowhere", 'deadman.webhook.url: "nowhere" is no address'),
        ('"https://example.com/deadman"', '"https://u:p@x/"', "deadman.webhook.url: a password has no place"),
        ('{webhook: {url: "https://example.com/ticket"}}', "{jira: {api_url: 'https://jira/', project: ML, token_file: /t}}",
         'ticket.jira.api_url: "https://jira/" is not where Jira\'s API is, write "https://.../rest/api/2"'),
        ("url: ", "url_file: /etc/url, url: ", "give url or url_file, one of them"),
        ("{slack: {api_url_file: /etc/slack", "{slack: {api_url: /etc/slack", "chat.slack.api_url_file: is required"),
        ("slack:", "pigeon:", "chat.pigeon: is no setting of this release"),
        ("{slack: {", "{webhook: {url: 'https://x'}, slack: {", "chat: give exactly one of pagerduty, slack"),
        ('{webhook: {url: "https://example.com/digest"}}', "{}", "digest: give exactly one of pagerduty, slack"),
        ("      digest:", "    other:\n      digest:", "contacts.driftline: give page or chat, ticket and digest"),
        ("    driftline:", "    platform:", "contacts.driftline: give page or chat, ticket and digest"),
        ('{slack: {api_url_file: /etc/slack, channel: "#ml"}}', "{email: {to: a@b}}", "email: a contact has an address"),
        ("  contacts:", "  on_call: sre\n  contacts:", "on_call: sre is none of contacts: driftline"),
        ("  contacts:", "  contacts:\n    unowned: {}", "contacts.unowned: what nobody owns goes to driftline"),
        ("  contacts:", "  production: []\n  contacts:", "alerting.production"),
        ("  contacts:", '  hours: {days: "monday:sunday"}\n  contacts:', '"monday:sunday" are no days of a week'),
        ("  contacts:", '  hours: {days: "montag"}\n  contacts:', '"montag" are no days of a week'),
        ("  contacts:", '  hours: {from: "9:00"}\n  contacts:', '"9:00" is no time of the day, write "09:00"'),
        ("  contacts:", '  hours: {from: "19:00"}\n  contacts:', 'from "19:00" to "18:00" is no part of one day'),
        ("  contacts:", '  hours: {location: "Berlin"}\n  contacts:', '"Berlin" is no time zone'),
    ],
)  # fmt: skip
def test_faults(old, new, fault):
    """What cannot be reached, or names nobody, is refused with the key and the remedy."""
    assert old in PLATFORM
    with pytest.raises(ConfigurationError) as caught:
        parse(text=PLATFORM.replace(old, new, 1))
    assert fault is None or any(fault in line for line in caught.value.faults), caught.value.faults


def test_what_an_owner_leaves_out():
    """Page or chat, the one stands for both; without either, and for tickets and digests, driftline is told."""
    alerting = parse(
        "    payments: {page: {pagerduty: {routing_key_file: /etc/key}}}\n    idle: {ticket: {webhook: {url: 'https://x'}}}\n"
    ).alerting
    assert [alerting.receiver("payments", way) for way in contacts.WAYS] == [
        "page-payments",
        None,
        "ticket-driftline",
        "digest-driftline",
    ]
    assert [alerting.receiver("idle", way) for way in contacts.WAYS] == [
        None,
        "chat-driftline",
        "ticket-idle",
        "digest-driftline",
    ]


def test_everybody_once():
    """Of a P1 of tier 1 no receiver is told twice, whoever takes for whom and is on call."""
    for on_call in ("", "driftline", "payments", "idle"):
        settings = PLATFORM.replace(
            "  contacts:", f"  on_call: {on_call}\n  contacts:" if on_call else "  contacts:"
        )
        alerting = parse(
            "    payments: {page: {pagerduty: {routing_key_file: /etc/key}}}\n    idle: {}\n", settings
        ).alerting
        (urgent,) = [
            route
            for route in yaml.safe_load(routing.alertmanager(alerting))["route"]["routes"]
            if route["matchers"] == ['priority="P1"']
        ]
        for owner in alerting.contacts:
            told = [
                route["receiver"]
                for route in urgent["routes"]
                if route["matchers"] == [f'owner="{owner}"']
                or (
                    route["matchers"][0] == 'tier="1"'
                    and owner in route["matchers"][1].split('"')[1].split("|")
                )
            ]
            also = {"chat-driftline", *(["page-payments"] if on_call == "payments" else [])}
            own = {alerting.receiver(owner, "page") or alerting.receiver(owner, "chat")}
            assert sorted(told) == sorted(own | also), (on_call, owner)


def test_what_jira_is_told_of_an_end():
    """Only what can be closed is told that it is over, and only what may be reopened is looked for among the closed."""
    told = []
    for more in ("", ", resolve_transition: Done", ", resolve_transition: Done, reopen_transition: Reopen"):
        jira = f"{{jira: {{api_url: 'https://jira/rest/api/2', project: ML, token_file: /t{more}}}}}"
        alerting = parse(f"    payments: {{ticket: {jira}}}\n").alerting
        receivers = yaml.safe_load(routing.alertmanager(alerting, version=(0, 28)))["receivers"]
        ((ticket,),) = [one["jira_configs"] for one in receivers if "jira_configs" in one]
        told.append((ticket["send_resolved"], ticket.get("reopen_duration")))
    assert told == [(False, None), (True, None), (True, "7d")]


def test_secrets_are_files():
    """Nothing that is secret can be written into the configuration, so nothing secret is in what is made of it."""
    for kind, means in contacts.Means.model_fields.items():
        (model,) = [found for found in means.annotation.__args__ if found is not type(None)]
        secret = {
            name
            for name in model.model_fields
            if any(word in name for word in ("key", "token", "password", "hook"))
        }
        assert all(name.endswith("_file") for name in secret), kind


class TestCommand:
    """``driftline alertmanager write``."""

    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "driftline.yaml"
        path.write_text(PLATFORM)
        return path

    def test_an_owner_without_a_contact(self, file, capsys):
        """It is written, and whose alerts nobody has a contact for is said, with 1."""
        output = file.parent / "new" / "alertmanager.yml"
        assert main(["alertmanager", "write", "--config", str(file), "-o", str(output)]) == 1
        said = capsys.readouterr()
        assert said.err == "alerting: payments owns models and is none of contacts: told as unowned\n"
        assert said.out.splitlines() == [str(output), str(output.with_name("driftline.tmpl"))]
        assert main(["alertmanager", "write", "--config", str(file)]) == 1
        assert capsys.readouterr().out == output.read_text()

    def test_without_contacts(self, file, capsys):
        """2, and where an example is."""
        file.write_text("environment: prod\n")
        assert main(["alertmanager", "write", "--config", str(file)]) == 2
        assert "driftline.yaml: alerting: is required here" in capsys.readouterr().err

    def test_too_new(self, file, capsys):
        """What an Alertmanager of that version does not know is refused, each with what it needs."""
        file.write_text(
            PLATFORM
            + "    payments:\n"
            + '      ticket: {jira: {api_url: "https://jira/rest/api/2", project: ML, token_file: /etc/jira}}\n'
            + "      chat: {teams: {webhook_url_file: /etc/teams}}\n"
            + "      page: {webhook: {url_file: /etc/url}}\n"
        )
        assert main(["alertmanager", "write", "--config", str(file)]) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"alerting: {name} is reached by {kind}, which needs Alertmanager {version}:"
            f" write --alertmanager {version}, or another means"
            for name, kind, version in (
                ("page-payments", "webhook with url_file", "0.26"),
                ("chat-payments", "teams", "0.28"),
                ("ticket-payments", "jira", "0.28"),
            )
        ]
        assert main(["alertmanager", "write", "--config", str(file), "--alertmanager", "0.28.1"]) == 0
        with pytest.raises(SystemExit):
            main(["alertmanager", "write", "--config", str(file), "--alertmanager", "0.21"])
        assert "is no Alertmanager from 0.25 on" in capsys.readouterr().err

    def test_written_again(self, file, capsys):
        """What nobody has changed is renewed, also where an older driftline wrote it."""
        output = file.parent / "alertmanager.yml"
        write = ["alertmanager", "write", "--config", str(file), "-o", str(output)]
        main(write)
        templates = output.with_name("driftline.tmpl")
        newest = templates.read_text()
        templates.write_text(routing.sealed(newest.replace("These are", "Here are")))
        output.write_text(routing.sealed(output.read_text().replace("group_wait: 45s", "group_wait: 15s")))
        capsys.readouterr()
        assert main(write) == 1
        assert (templates.read_text(), "group_wait: 45s" in output.read_text()) == (newest, True)
        assert capsys.readouterr().out.splitlines() == [str(output), str(templates)]

    @pytest.mark.parametrize(
        "theirs", ["route: {receiver: ours}\n", "global:\n  resolve_timeout: 1m\n", "", b"\xff\xfe"]
    )
    def test_a_configuration_that_is_somebodys_own(self, file, capsys, theirs):
        """It stays, and nothing is written beside it: 2, with what to do."""
        output = file.parent / "alertmanager.yml"
        content = theirs if isinstance(theirs, bytes) else theirs.encode()
        output.write_bytes(content)
        assert main(["alertmanager", "write", "--config", str(file), "-o", str(output)]) == 2
        assert (
            f"{output}: was not written by driftline, or was changed since, so it stays: move it away"
            in capsys.readouterr().err
        )
        assert output.read_bytes() == content
        assert not output.with_name("driftline.tmpl").exists()

    def test_a_changed_configuration(self, file):
        """One line changed by hand is not lost."""
        output = file.parent / "alertmanager.yml"
        write = ["alertmanager", "write", "--config", str(file), "-o", str(output)]
        main(write)
        changed = output.read_text().replace("repeat_interval: 12h", "repeat_interval: 6h")
        output.write_text(changed)
        assert main(write) == 2
        assert output.read_text() == changed

    def test_changed_templates(self, file, capsys):
        """They stay without a word while driftline's own are what they were made from; then the new ones lie beside them."""
        output = file.parent / "alertmanager.yml"
        write = ["alertmanager", "write", "--config", str(file), "-o", str(output)]
        main(write)
        templates, beside = output.with_name("driftline.tmpl"), output.with_name("driftline.tmpl.new")
        newest = templates.read_text()
        mine = newest.replace("Runbook", "What to do")
        templates.write_text(mine)
        capsys.readouterr()
        assert main(write) == 1
        assert "driftline.tmpl" not in "".join(capsys.readouterr())
        assert not beside.exists()
        older = routing.sealed(newest.replace("Dashboard", "Board")).replace("Runbook", "What to do")
        templates.write_text(older)
        assert main(write) == 1
        said = capsys.readouterr()
        assert f"{templates}: was changed by hand, so it stays; driftline's own is {beside} now\n" in said.err
        assert said.out.splitlines() == [str(output), str(beside)]
        assert (templates.read_text(), beside.read_text()) == (older, newest)

    def test_templates_that_lack_one(self, file, capsys):
        """Alertmanager would drop a message whose template is not there: nothing is written, and which is said."""
        output = file.parent / "alertmanager.yml"
        output.with_name("driftline.tmpl").write_bytes(b'{{ define "driftline.title" }}\xff mine{{ end }}')
        assert main(["alertmanager", "write", "--config", str(file), "-o", str(output)]) == 2
        said = capsys.readouterr().err
        assert (
            "driftline.tmpl: was changed by hand, and has no driftline.dashboard, driftline.slack, which messages now need"
            in said
        )
        assert f"take it from {output.with_name('driftline.tmpl.new')}" in said
        assert not output.exists()

    def test_nowhere_to_write(self, file, capsys):
        """2, and the file's name."""
        assert main(["alertmanager", "write", "--config", str(file), "-o", f"{file}/x/alertmanager.yml"]) == 2
        assert f"{file}" in capsys.readouterr().err

    def test_a_full_disk(self, file):
        """What was there is there still, and is renewed once there is room: half of a file would pass for one's own."""
        output = file.parent / "alertmanager.yml"
        write = ["alertmanager", "write", "--config", str(file), "-o", str(output)]
        main(write)
        older = routing.sealed(output.read_text().replace("group_wait: 45s", "group_wait: 15s"))
        output.write_text(older)
        done = subprocess.run(
            ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", sys.executable, "-m", "driftline.cli", *write],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"{file.parent / 'driftline.tmpl'}: cannot be written: ")
        assert output.read_text() == older
        assert main(write) == 1
        assert "group_wait: 45s" in output.read_text()

    def test_by_a_link(self, file):
        """A link to where it is kept stays one."""
        kept = file.parent / "kept.yml"
        output = file.parent / "alertmanager.yml"
        output.symlink_to(kept)
        assert main(["alertmanager", "write", "--config", str(file), "-o", str(output)]) == 1
        assert output.is_symlink()
        assert kept.read_text().startswith("# Written by `driftline alertmanager write`")
        output.unlink()
        output.symlink_to(output)
        assert main(["alertmanager", "write", "--config", str(file), "-o", str(output)]) == 1
        assert output.read_text() == kept.read_text()

    def test_check_config_says_it_too(self, file, capsys):
        """Whoever checks the file hears of an owner whom nobody can tell."""
        assert main(["check-config", str(file)]) == 1
        assert "alerting: payments owns models and is none of contacts" in capsys.readouterr().out
