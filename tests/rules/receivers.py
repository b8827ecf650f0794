"""What Alertmanager sends to, as far as it can be had on one machine: a mail server, and Jira's API in memory.

What takes a POST and answers nothing, Slack, PagerDuty, Teams and webhooks, is the ``Phone`` of the stack tests.
"""

import json
import re
import ssl
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from stack.processes import free_ports

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


class Jira:
    """The five calls of Jira's API, version 2, that Alertmanager makes; ``issues`` by key, ``asked`` in order."""

    def __init__(self) -> None:
        self.issues: dict[str, dict] = {}
        self.asked: list[tuple[str, str, dict | None, str]] = []
        jira = self

        class Answer(BaseHTTPRequestHandler):
            def _answer(self):
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path = self.path.removeprefix("/rest/api/2/")
                jira.asked.append((self.command, path, body, self.headers["authorization"]))
                said = jira._said(self.command, path, body)
                text = json.dumps(said).encode()
                self.send_response(404 if said is None else 200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self._answer()

            def do_POST(self):
                self._answer()

            def do_PUT(self):
                self._answer()

            def log_message(self, *_):
                """Say nothing: what is asked is kept."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _said(self, method, path, body):
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

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
