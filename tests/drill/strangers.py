"""What strangers try on a page: one table for every page that there is (exercise, war room, replay). Each row says
what is sent and what may come back; after all of it the page still stands and has shown nothing."""
import http.client
import json
import os
import secrets
import socket
import ssl
import time
import urllib.parse

from pages import Page

SCRIPT = "<script>alert(1)</script>"
PATHS = ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/attachment/../../record.ndjson",
         "/attachment/..%2f..%2fjoin.key", "/attachment/0/0", "/view%00.html", "/record.ndjson", "/join.key", "/do", "/.git/config"]


def socket_to(url, *lines):
    """A connection on which these lines were sent."""
    at = urllib.parse.urlsplit(url)
    s = socket.create_connection((at.hostname, at.port), timeout=20)
    if at.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(s)
    for line in lines:
        s.sendall(line)
    return s


def answer(s):
    """All that comes until the end."""
    got = b""
    try:
        while part := s.recv(65536):
            got += part
    except OSError:
        pass
    s.close()
    return got.decode("utf-8", "replace")


def post(url, path, body, cookie=None, **headers):
    page = Page(url)
    page.cookie = cookie
    return page.ask("POST", path, body, **headers)[:2]


def ten_megabytes(url, code, role):
    """A name of 10 MB: the page has heard enough after 16 kB, and says so or closes."""
    body = json.dumps({"code": code, "role": role, "name": "x" * (10 << 20)}).encode()
    at = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
    try:
        c.request("POST", "/join", body, {"Content-Type": "application/json"})
        return c.getresponse().status
    except OSError:
        return 413
    finally:
        c.close()


def attack(test, url, code, role, secrets_of_it, others=200):
    """`code` opens `role`, whose view has none of `secrets_of_it`: neither may any answer."""
    heard, own = [], urllib.parse.urlsplit(url).netloc

    def held(what, got, allowed):
        heard.append(str(got))
        status = got[0] if isinstance(got, tuple) else got
        test.assertIn(status, allowed, (what, got))

    # wrong tokens
    for cookie in (None, "", "x", "blackstart_00000000=61.6f70657261746f72." + "0" * 64, "blackstart=" + "A" * 4000):
        page = Page(url)
        page.cookie = cookie
        held("view without a cookie of ours", page.ask("GET", "/view")[:2], (403,))
        held("events without", page.ask("GET", "/events")[:2], (403,))
        held("a command without", post(url, "/do", {"do": "abort", "key": "12345678"}, cookie), (403,))
    known = Page(url)
    test.assertEqual(known.join(code, "A stranger", role)[0], 200)
    name, value = known.cookie.split("=", 1)
    for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), value.replace(".", "..", 1), value + "0",
                   "66616b65." + value.split(".", 1)[1], "%s.%s.%s" % (value.split(".")[0], b"facilitator".hex(), value.split(".")[2])):
        page = Page(url)
        page.cookie = name + "=" + forged
        held("a forged cookie", page.ask("GET", "/view")[:2], (403,))
    for wrong in ("0000-0000-0000", "", "x" * 15000, code[:-1]):
        held("a wrong code", post(url, "/join", {"code": wrong, "name": "x", "role": role}), (403, 429))
    for other in ("operator", "facilitator", "replay:presenter", "nobody"):
        if other != role:
            held("a code for another role", post(url, "/join", {"code": code, "name": "x", "role": other}), (403, 429))
    # replayed forms
    key = secrets.token_hex(8)
    first = post(url, "/do", {"do": "note", "text": "once", "key": key}, known.cookie)
    held("a form sent again", post(url, "/do", {"do": "note", "text": "once", "key": key}, known.cookie), (409,))
    heard.append(str(first))
    # cross-site posts
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                    {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
                    {"Content-Type": "multipart/form-data; boundary=x"}, {"Origin": "https://" + own + ".evil.example"}):
        body = json.dumps({"do": "note", "text": "from elsewhere", "key": secrets.token_hex(8)})
        held("a post of another site", post(url, "/do", body, known.cookie, **headers), (403,))
    options = socket_to(url, b"OPTIONS /do HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n")
    said = answer(options)
    test.assertNotIn("access-control", said.lower())
    # 10 MB names, and scripts in names and notes
    held("a name of 10 MB", ten_megabytes(url, code, role), (413,))
    held("a name of 15 kB", post(url, "/join", {"code": code, "role": role, "name": "n" * 15000}), (400, 403, 429))
    scripted = Page(url)
    status, said, _ = scripted.join(code, SCRIPT, role)
    held("a script as a name", (status, said), (200, 429))
    if status == 200:
        status, view, headers = scripted.ask("GET", "/view")
        test.assertEqual((status, view["me"]["person"], headers["Content-Type"]), (200, SCRIPT, "application/json"))
        test.assertIn("script-src 'self'", headers["Content-Security-Policy"])
        test.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        held("a script as a note", scripted.do("note", text=SCRIPT), (200, 400, 403, 409))
    for field in ("a\r\nSet-Cookie: x=1", "\u0000", "a\u0007b", "\ud800"):
        held("a name that steers", post(url, "/join", json.dumps({"code": code, "role": role, "name": field}), None), (200, 400, 403, 409, 429))
    # paths
    for path in PATHS:
        page = Page(url)
        held(path + " of nobody", page.ask("GET", path)[:2], (400, 403, 404))
        page.cookie = known.cookie
        held(path + " of somebody", page.ask("GET", path)[:2], (400, 403, 404))
    # slow fields and half-open floods: others are answered meanwhile
    slow = [socket_to(url, b"GET /view HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(10)]
    half = [socket_to(url) for _ in range(others)]
    for s in half[::2]:
        s.sendall(b"POST /do HTTP/1.1\r\nContent-Length: 500\r\n\r\n{")
    begun = time.monotonic()
    held("the page beside them", Page(url).ask("GET", "/page.css")[0], (200,))
    held("a view beside them", known.ask("GET", "/view")[0], (200,))
    if os.environ.get("BLACKSTART_NIGHTLY"):  # who is slow is cut off after the 10 s of a request
        for s in slow[:2]:
            s.settimeout(60)
            answer(s)
        test.assertLess(time.monotonic() - begun, 60)
        slow = slow[2:]
    for s in [*slow, *half]:
        s.close()
    # it stands, and nobody was shown what is not theirs
    held("the page after it all", Page(url).ask("GET", "/")[0], (200,))
    held("a view after it all", known.ask("GET", "/view")[:2], (200,))
    for secret in secrets_of_it:
        test.assertNotIn(secret, "".join(heard))
    test.assertNotIn("root:", "".join(heard))
