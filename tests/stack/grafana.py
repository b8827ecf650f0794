"""A stand-in that keeps what the documentation of Grafana's HTTP API says, for Grafana itself is not run here."""

import json
from urllib.parse import parse_qs

from standin import Answer, Standin

TOKEN = "glsa_good"


class Grafana(Standin):
    """What the documentation of Grafana's HTTP API says of folders, data sources, dashboards and annotations."""

    def __init__(self):
        self.version = "11.6.0"
        self.may_write = True
        self.prefix = ""
        self.folders, self.sources, self.dashboards, self.annotations, self.writes = {}, {}, {}, {}, []
        super().__init__(_Grafanas)

    def answer(self, method, path, token, body):
        if not path.startswith(f"{self.prefix}/api/"):
            return None
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        path = path.removeprefix(f"{self.prefix}/api")
        if path == "/frontend/settings":
            return 200, {"buildInfo": {"version": self.version}}
        if method != "GET":
            if not self.may_write:
                return 403, {"message": "You'll need additional permissions"}
            self.writes.append(path)
        path, _, self.asked = path.partition("?")
        kind, _, uid = path.strip("/").partition("/")
        return getattr(self, f"_{kind}")(method, uid, body)

    def _folders(self, method, uid, body):
        if method == "POST":
            self.folders[body["uid"]] = body
            return 200, body
        return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})

    def _datasources(self, method, uid, body):
        uid = uid.removeprefix("uid/")
        if method == "POST" and body["name"] in {source["name"] for source in self.sources.values()}:
            return 409, {"message": "data source with the same name already exists"}
        if method in ("POST", "PUT"):
            self.sources[body["uid"]] = body
            return 200, {"datasource": body}
        return (
            (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
        )

    def _dashboards(self, method, path, body):
        if method == "GET":
            found = self.dashboards.get(path.removeprefix("uid/"))
            return (200, found) if found else (404, {"message": "Dashboard not found"})
        sent = body["dashboard"]
        there = self.dashboards.get(sent["uid"])
        if there and there["meta"].get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if there and sent["version"] != there["dashboard"]["version"] and not body["overwrite"]:
            return 412, {
                "status": "version-mismatch",
                "message": "The dashboard has been changed by someone else",
            }
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        number = there["dashboard"]["version"] + 1 if there else 1
        stored = {**sent, "id": sent["id"] or len(self.dashboards) + 1, "version": number}
        self.dashboards[sent["uid"]] = {"dashboard": stored, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"status": "success", "uid": sent["uid"], "version": number}

    def _annotations(self, method, number, body):
        if method == "GET":
            tags = set(parse_qs(self.asked)["tags"])
            return 200, [found for found in self.annotations.values() if tags <= set(found["tags"])]
        if method == "POST":
            number = str(len(self.annotations) + 1)
        elif number not in self.annotations:
            return 404, {"message": "Could not find annotation to update"}
        self.annotations[number] = {**body, "id": int(number)}
        return 200, {"message": "Annotation added", "id": int(number)}


class _Grafanas(Answer):
    def answer(self):
        body = self.body()
        answer = self.server.answer(
            self.command, self.path, self.headers.get("Authorization"), json.loads(body) if body else None
        )
        code, said = answer or (404, "<html>not here</html>")
        text = json.dumps(said) if answer else said
        self.say(code, text.encode(), {"Content-Type": "application/json" if answer else "text/html"})
