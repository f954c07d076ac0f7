"""A browser's part, without a browser: joins a page, reads views, sends commands."""
import http.client
import json
import re
import secrets
import ssl
import urllib.parse


class Page:
    def __init__(self, url, ca=None):
        self.url = urllib.parse.urlsplit(url)
        self.ca = ca
        self.cookie = None

    def ask(self, method, path, body=None, **headers):
        """(status, document or text, headers)"""
        if self.url.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca)
            c = http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=20, context=context)
        else:
            c = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=20)
        if self.cookie:
            headers["Cookie"] = self.cookie
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        c.request(method, path, body, headers)
        r = c.getresponse()
        text = r.read().decode()
        got = r.getheader("Set-Cookie")
        if got:
            self.cookie = got.split(";")[0]
        c.close()
        kind = r.getheader("Content-Type", "")
        return r.status, json.loads(text) if kind.startswith("application/json") else text, r.headers

    def join(self, code, name, role=None):
        status, said, _ = self.ask("POST", "/seats", {"code": code})
        assert status == 200, said
        return self.ask("POST", "/join", {"code": code, "name": name, "role": role or said["seats"][0]["role"]})

    def view(self):
        status, document, _ = self.ask("GET", "/view")
        assert status == 200, document
        return document["view"]

    def do(self, what, **members):
        return self.ask("POST", "/do", {"do": what, "key": secrets.token_hex(8), **members})[:2]

    def events(self):
        """Yields the views as they come."""
        c = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)
        c.request("GET", "/events", headers={"Cookie": self.cookie})
        r = c.getresponse()
        assert r.status == 200, r.read()
        while line := r.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])["view"]


def announced(text):
    """(url, {title: code}) of what a command says of its page."""
    url = re.search(r"the page is at (\S+)", text)
    codes = dict((m[1], m[0]) for m in re.findall(r"^  ([0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4})  (.*)$", text, re.M))
    return (url[1] if url else None), codes
