"""A web shop on port 8000: /product comes from the cache, or else from the database; /order goes into the
database. Each answer says how it came about; an order that was not written is answered with 503.
"""
import http.server
import os
import socket
import threading
import time


class Redis:
    """One connection, made again when it broke. The name is looked up beside the requests: looking up
    may hang while the container is away."""

    def __init__(self, name, patience, pause):
        self.name, self.patience, self.pause = name, patience, pause
        self.address, self.connection, self.not_before = None, None, 0
        self.lock = threading.Lock()
        threading.Thread(target=self.look_up, daemon=True).start()

    def look_up(self):
        while True:
            try:
                self.address = socket.getaddrinfo(self.name, 6379, socket.AF_INET,
                                                  socket.SOCK_STREAM)[0][4]
            except OSError:
                pass
            time.sleep(0.5)

    def ask(self, *words):
        """The answer to a command, None for none. OSError: it cannot be asked now."""
        with self.lock:
            if time.monotonic() < self.not_before or not self.address:
                raise OSError("%s is left alone" % self.name)
            try:
                return self.talk(words)
            except (OSError, ValueError):
                if self.connection:
                    self.connection.close()
                self.connection = None
                self.not_before = time.monotonic() + self.pause
                raise OSError("%s does not answer" % self.name)

    def talk(self, words):
        if not self.connection:
            self.connection = socket.create_connection(self.address, self.patience)
        self.connection.settimeout(self.patience)
        self.connection.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(w), w) for w in (word.encode() for word in words)))
        kind, first = self.line()
        if kind == b"$" and int(first) >= 0:
            return self.take(int(first) + 2)[:-2].decode()
        if kind == b"-":
            raise ValueError(first)
        return None if kind == b"$" else first.decode()

    def line(self):
        text = b""
        while not text.endswith(b"\r\n"):
            text += self.take(1)
        return text[:1], text[1:-2]

    def take(self, n):
        data = b""
        while len(data) < n:
            some = self.connection.recv(n - len(data))
            if not some:
                raise OSError("closed")
            data += some
        return data


CACHE = Redis("cache", float(os.environ.get("SHOP_CACHE_PATIENCE", "0.1")), 1.0)
DATABASE = Redis("database", 0.5, 0.0)


def product():
    try:
        known = CACHE.ask("GET", "product")
        if known:
            return "product %s from the cache" % known
    except OSError:
        pass
    known = DATABASE.ask("GET", "product")
    if not known:
        known = "lamp"
        DATABASE.ask("SET", "product", known)
    try:
        CACHE.ask("SET", "product", known, "PX", "60000")
    except OSError:
        pass
    return "product %s from the database" % known


def order():
    return "order %s" % DATABASE.ask("INCR", "orders")


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, {"/product": product, "/order": order}[self.path]()
        except KeyError:
            status, text = 404, "there is /product and /order"
        except OSError as problem:
            status, text = 503, str(problem)
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8000), Shop).serve_forever()
