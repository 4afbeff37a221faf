"""A stand-in for the Hub, on this machine."""

import base64
import hashlib
import http.server
import json
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit


class FakeHub(http.server.BaseHTTPRequestHandler):
    """The part of the Hub that models need. The class holds what it stores, so each test makes one of its own."""

    protocol_version = "HTTP/1.1"
    commits: ClassVar[dict[str, dict[str, bytes]]]  # repository@commit -> files
    head: ClassVar[dict[str, str]]  # repository -> its newest commit
    asked: ClassVar[list[str]]  # files that were downloaded
    sizes: ClassVar[dict[str, int]]  # what it says of a file's size, if not the truth

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def allowed(self) -> bool:
        """Writing needs the token; what else comes is sent away as the Hub does."""
        token = self.headers.get("Authorization", "")
        if token == "Bearer writes":
            return True
        self.answer(403 if token else 401, {"error": "no"}, X_Error_Message="no")
        return False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif not self.allowed():
            return
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            address = f"http://{self.headers['Host']}/{name}"
            self.answer(409 if name in self.head else 200, {"url": address})
            self.head.setdefault(name, self.commit(name, {}))
        elif "/preupload/" in path:
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self.answer(200, {"files": files})
        elif "/commit/" in path:
            name = "/".join(path.split("/")[3:5])
            lines = [json.loads(line) for line in body.splitlines()]
            new = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines
                   if line["key"] == "file"}  # fmt: skip
            self.head[name] = self.commit(name, self.commits[f"{name}@{self.head[name]}"] | new)
            where = f"http://{self.headers['Host']}/{name}/commit/{self.head[name]}"
            self.answer(200, {"success": True, "commitOid": self.head[name], "commitUrl": where})

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[f"{name}@{commit}"] = files
        return commit

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        model = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if model else parts[:2])
        if name not in self.head:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return
        revision = (parts[5] if len(parts) > 5 else "main") if model else parts[3]
        commit = self.head[name] if revision == "main" else revision
        if f"{name}@{commit}" not in self.commits:
            self.answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
            return
        files = self.commits[f"{name}@{commit}"]
        if model:
            held = [{"rfilename": file, "size": self.sizes.get(file, len(content))} for file, content in files.items()]
            self.answer(200, {"id": name, "sha": commit, "siblings": held, "private": False, "tags": []})
            return
        file = "/".join(parts[4:])
        self.asked.append(file)
        mark = hashlib.sha1(files[file]).hexdigest()
        self.answer(200, files[file], ETag=f'"{mark}"', X_Repo_Commit=commit)

    do_HEAD = do_GET
