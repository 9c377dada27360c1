"""A local stand-in of the Hub: the HTTP endpoints that the real huggingface_hub client asks.

It answers as huggingface.co does: model info with the size and digest of each file, ``resolve``
with the commit and the ETag, a redirect to another path for large files, ranges, and the error
codes for what is missing, gated or private. Whoever has the token may make repositories and upload:
large files over the LFS batch API, then a commit in newline-delimited JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_stand_in_token"

_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>.+))?")
_PREUPLOAD = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>.+)")
_LFS = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_COMMIT = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>.+)")
_RESOLVE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class Repo:
    """One repository: its commits, newest last, each a mapping from file name to content.

    Attributes:
        commits: Commit → files.
        branches: Branch or tag → commit.
        card: The front matter of its README.
        task: Its pipeline tag.
        gated: Whether it takes a token to read it.
        private: Whether it was made as a private one.
        messages: Message of each commit that was uploaded.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    task: str = "text-classification"
    gated: bool = False
    private: bool = False
    messages: list[str] = field(default_factory=list)

    def push(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit and move a branch to it; its id."""
        seed = f"{len(self.commits)} {sorted(files)}"
        commit = hashlib.sha1(seed.encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit


class HubStandIn:
    """A running stand-in.

    Attributes:
        endpoint: Its address, for ``HF_ENDPOINT``.
        storage: Where it sends clients for large files.
        repos: What it holds, by ``owner/name``.
        requests: Every request so far: method and path.
        tokens: Every ``Authorization`` header so far.
        cut: Names of files whose transfer breaks off in the middle.
        lies: Names of files that arrive with another content than announced.
        lost: Names of files that are listed but answered with 404.
        objects: Contents of the large files that were uploaded, by sha256.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.cut: set[str] = set()
        self.lies: set[str] = set()
        self.lost: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.endpoint = ""
        self.storage = ""

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, sorted."""
        found = {
            unquote(path).split("/", 3)[-1]
            for method, path in self.requests
            if method == "GET" and path.startswith("/content/")
        }
        resolved = {
            m["file"]
            for method, path in self.requests
            if method == "GET" and (m := _RESOLVE.fullmatch(unquote(path)))
        }
        return sorted(found | resolved)

    @contextmanager
    def running(self) -> Iterator[HubStandIn]:
        """Serve on a free port of this machine."""
        hub = self

        class Handler(_Handler):
            stand_in = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        # Another host, as the real one's: clients follow a redirect within one host by themselves.
        self.storage = f"http://localhost:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    stand_in: HubStandIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; no waiting between them

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        path = self._begin()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._fail(401, "Unauthorized")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := _PREUPLOAD.fullmatch(path):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if _is_large(file["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif match := _LFS.fullmatch(path):
            self._json({"transfer": "basic", "objects": self._lfs_objects(json.loads(body))})
        elif match := _COMMIT.fullmatch(path):
            self._commit(match["repo"], [json.loads(line) for line in body.splitlines()])
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._fail(404, "NotFound")

    def do_PUT(self) -> None:
        digest = self._begin().removeprefix("/objects/")
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if hashlib.sha256(content).hexdigest() != digest:
            self._fail(400, "BadDigest")
            return
        self.stand_in.objects[digest] = content
        self._answer(200, b"", {})

    def _create(self, body: dict[str, Any]) -> None:
        name = f"{body['organization']}/{body['name']}"
        url = f"{self.stand_in.endpoint}/{name}"
        if name in self.stand_in.repos:
            self._json({"error": "You already created this model repo", "url": url}, 409)
            return
        repo = self.stand_in.repos[name] = Repo()
        # huggingface_hub 1 and later send the second form.
        repo.private = bool(body.get("private")) or body.get("visibility") == "private"
        repo.push({".gitattributes": b"*.onnx filter=lfs diff=lfs merge=lfs -text\n"})
        self._json({"url": url})

    def _lfs_objects(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """What the client has to upload: the objects that are not there yet."""
        found = []
        for one in body["objects"]:
            if one["oid"] not in self.stand_in.objects:
                href = f"{self.stand_in.storage}/objects/{one['oid']}"
                one = {**one, "actions": {"upload": {"href": href}}}
            found.append(one)
        return found

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        repo = self.stand_in.repos[name]
        files = dict(repo.commits[repo.branches["main"]])
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                repo.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.stand_in.objects[value["oid"]]
        commit = repo.push(files)
        url = f"{self.stand_in.endpoint}/{name}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "success": True})

    def _json(self, body: dict[str, Any], status: int = 200) -> None:
        self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _begin(self) -> str:
        """Note the request; its path."""
        path = unquote(urlsplit(self.path).path)
        self.stand_in.requests.append((self.command, path))
        self.stand_in.tokens.add(self.headers.get("Authorization", ""))
        return path

    def _route(self) -> None:
        path = self._begin()
        if match := _INFO.fullmatch(path):
            self._info(match["repo"], match["revision"] or "main")
        elif match := _RESOLVE.fullmatch(path):
            self._resolve(match["repo"], match["revision"], match["file"])
        elif path.startswith("/content/"):
            _, _, commit, file = path.split("/", 3)
            content = next(
                r.commits[commit] for r in self.stand_in.repos.values() if commit in r.commits
            )
            self._content(file, content[file], {})
        else:
            self._fail(404, "NotFound")

    def _find(self, name: str, revision: str) -> tuple[Repo, str] | None:
        repo = self.stand_in.repos.get(name)
        if repo is None:
            self._fail(401, "RepoNotFound")
        elif repo.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._fail(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        else:
            commit = repo.branches.get(revision, revision)
            if commit in repo.commits:
                return repo, commit
            self._fail(404, "RevisionNotFound")
        return None

    def _info(self, name: str, revision: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        repo, commit = found
        siblings = [_sibling(file, content) for file, content in repo.commits[commit].items()]
        body = {
            "_id": "0",
            "id": name,
            "modelId": name,
            "sha": commit,
            "private": False,
            "gated": "auto" if repo.gated else False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "pipeline_tag": repo.task,
            "cardData": repo.card,
            "siblings": siblings,
        }
        self._json(body)

    def _resolve(self, name: str, revision: str, file: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        repo, commit = found
        content = repo.commits[commit].get(file)
        if content is None or file in self.stand_in.lost:
            self._fail(404, "EntryNotFound", {"X-Repo-Commit": commit})
            return
        head = {"X-Repo-Commit": commit}
        if _is_large(file):
            head |= {
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "Location": f"{self.stand_in.storage}/content/{commit}/{file}",
            }
            self._answer(302, b"", head)
        else:
            self._content(file, content, head)

    def _content(self, file: str, content: bytes, head: dict[str, str]) -> None:
        head = {"ETag": f'"{_git_sha1(content)}"', "Accept-Ranges": "bytes", **head}
        if file in self.stand_in.lies:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        status = 206 if start else 200
        if start:
            first = int(start[1])
            head["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content = content[first:]
        if file in self.stand_in.cut and self.command == "GET":
            self._head(status, {**head, "Content-Length": str(len(content))})
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self._answer(status, content, head)

    def _fail(self, status: int, code: str, head: dict[str, str] | None = None) -> None:
        self._answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code, **(head or {})})

    def _answer(self, status: int, body: bytes, head: dict[str, str]) -> None:
        self._head(status, {**head, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, head: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()


def _is_large(file: str) -> bool:
    return ".onnx" in file


def _sibling(file: str, content: bytes) -> dict[str, Any]:
    record: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": _git_sha1(content)}
    if _is_large(file):
        digest = hashlib.sha256(content).hexdigest()
        record["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
    return record


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
