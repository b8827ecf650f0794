"""What Alertmanager sends to, as far as it can be had on one machine: a mail server, and Jira's API in memory.

What takes a POST and answers nothing, Slack, PagerDuty, Teams and webhooks, is the ``Phone`` of the stack tests.
"""

import json
import re
import ssl
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from stack.processes import free_ports
from standin import Answer, Standin

if TYPE_CHECKING:
    from email.message import EmailMessage


class Mail:
    """A mail server that takes nothing without STARTTLS, the user ``am`` and the password ``secret``."""

    def __init__(self, certificate: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.messages: list[EmailMessage] = []
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._server = Controller(
            self, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
            auth_required=True, auth_exclude_mechanism=["LOGIN"], authenticator=self._knows,
        )  # fmt: skip

    @staticmethod
    def _knows(_server, _session, _envelope, _mechanism, said):
        good = isinstance(said, LoginPassword) and (said.login, said.password) == (b"am", b"secret")
        return AuthResult(success=good)

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.messages.append(message)
        return "250 taken"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop()


class Jira(Standin):
    """The five calls of Jira's API, version 2, that Alertmanager makes; ``issues`` by key, ``asked`` in order."""

    def __init__(self) -> None:
        self.issues: dict[str, dict] = {}
        self.asked: list[tuple[str, str, dict | None, str]] = []
        super().__init__(_Jiras)

    def said(self, method, path, body):
        if (method, path) == ("POST", "search"):
            label = re.search(r'labels="(.*?)"', body["jql"])[1]
            open_ones = "statusCategory != Done" in body["jql"]
            found = [
                {"key": key, "fields": {"status": {"statusCategory": {"key": issue["status"]}}}}
                for key, issue in self.issues.items()
                if label in issue["labels"] and not (open_ones and issue["status"] == "done")
            ]
            return {"issues": found, "total": len(found)}
        if (method, path) == ("POST", "issue"):
            key = f"ML-{len(self.issues) + 1}"
            self.issues[key] = {**body["fields"], "status": "new"}
            return {"id": "1", "key": key}
        known = re.fullmatch(r"issue/(ML-\d+)(/transitions)?", path)
        if known is None or known[1] not in self.issues:
            return None
        if method == "GET":
            return {"transitions": [{"id": "31", "name": "Done"}, {"id": "41", "name": "Reopen"}]}
        if known[2]:
            self.issues[known[1]]["status"] = {"31": "done", "41": "new"}[body["transition"]["id"]]
        else:
            self.issues[known[1]] |= body["fields"]
        return {}


class _Jiras(Answer):
    def answer(self):
        sent = self.body()
        body = json.loads(sent) if sent else None
        path = self.path.removeprefix("/rest/api/2/")
        self.server.asked.append((self.command, path, body, self.headers["authorization"]))
        said = self.server.said(self.command, path, body)
        self.say(404 if said is None else 200, json.dumps(said).encode())
