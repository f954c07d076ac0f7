#!/usr/bin/python3
"""Both ends of what goes through a proxy, for test_proxies.c: servers that answer with all they heard, and
clients that hold it against what they sent, byte for byte.

  dns-server                 port 53, UDP and TCP
  dns-ask SERVER NAME HOW    udp, tcp, or port: udp again and again from one port, until told to stop
  http-server PORT
  http-check HOST PORT       a digest of all that came back over kept, pipelined, upgraded connections
  http-get HOST PORT PATH    the status, or "reset"; and how many ms it took
  http-share HOST PORT       of 40 requests over one connection: x those answered with 503
  http-hold HOST PORT        one kept connection, asked again and again; says "lost" when it is not answered
  foreign-server PORT, foreign-check HOST PORT   a protocol in which the server speaks first
  tls-server PORT, tls-ask HOST PORT
  ticks                      says when the wall clock jumps, held against the monotonic one
"""
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time


def serve(port, handle):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True,
                                    backlog=64)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=handle, args=(s,), daemon=True).start()


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


# --- DNS: the answer is what was asked, with a header and something behind it -----------------------

def dns_answer(query, truncated):
    flags = 0x8183 if truncated else 0x8180
    return query[:2] + struct.pack(">H", flags) + query[4:] + hashlib.sha512(query).digest() * 9


def dns_tcp(s):
    try:
        while True:
            n, = struct.unpack(">H", read_exactly(s, 2))
            answer = dns_answer(read_exactly(s, n), False)
            s.sendall(struct.pack(">H", len(answer)) + answer)
    except (EOFError, OSError):
        s.close()


def dns_server():
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", 53))
    threading.Thread(target=serve, args=(53, dns_tcp), daemon=True).start()
    while True:
        query, who = udp.recvfrom(65535)
        udp.sendto(dns_answer(query, b"\3big" in query), who)


def dns_query(name):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    options = struct.pack(">HH", 65001, 300) + bytes(range(250)) + bytes(50)
    return (os.urandom(2) + struct.pack(">HHHHH", 0x0120, 1, 0, 0, 1) + labels + b"\0" +
            struct.pack(">HH", 1, 1) + b"\0" + struct.pack(">HHIH", 41, 4096, 0x8000, len(options)) +
            options)


def dns_say(query, answer, truncated):
    if answer == dns_answer(query, truncated):
        return "exact"
    if answer[:2] != query[:2]:
        return "another id"
    flags, _, answers, _, more = struct.unpack(">HHHHH", answer[2:12])
    text = "rcode %d" % (flags & 15)
    if answers:
        end = len(answer) - (11 if more else 0)
        text += " " + socket.inet_ntoa(answer[end - 4:end])
    return text + (" edns" if more else "")


def dns_udp_once(s, query, name):
    try:
        s.send(query)
        return dns_say(query, s.recv(65535), b"big" in name.encode())
    except (TimeoutError, ConnectionRefusedError):
        return "silence"


def dns_ask(server, name, how):
    query = dns_query(name)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if how == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(0.4)
    s.connect((server, 53))
    if how == "tcp":
        try:
            s.sendall((struct.pack(">H", len(query)) + query) * 2) # two at once
            answers = [read_exactly(s, struct.unpack(">H", read_exactly(s, 2))[0]) for _ in "12"]
            print(" and ".join(dns_say(query, a, False) for a in answers))
        except TimeoutError:
            print("silence")
        return
    while how == "port": # the same port all the time, as a resolver that keeps its socket
        print(dns_udp_once(s, dns_query(name), name), flush=True)
        time.sleep(0.05)
    print(dns_udp_once(s, query, name))


# --- HTTP ------------------------------------------------------------------------------------------

class Reader:
    def __init__(self, s):
        self.s, self.held = s, b""

    def more(self):
        data = self.s.recv(65536)
        if not data:
            raise EOFError
        self.held += data

    def take(self, n):
        while len(self.held) < n:
            self.more()
        data, self.held = self.held[:n], self.held[n:]
        return data

    def until(self, mark):
        while mark not in self.held:
            self.more()
        return self.take(self.held.index(mark) + len(mark))

    def body(self, head, to_head=False):
        low = head.lower()
        if to_head or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
            return b""
        if b"chunked" in low:
            data = b""
            while True:
                line = self.until(b"\r\n")
                n = int(line.split(b";")[0], 16)
                data += line
                if n == 0:
                    return data + self.trailers()
                data += self.take(n + 2)
        if b"content-length:" in low:
            return self.take(int(low.split(b"content-length:")[1].split(b"\r\n")[0]))
        return b""

    def trailers(self):
        data = b""
        while not data.endswith(b"\r\n\r\n") and data != b"\r\n":
            data += self.until(b"\r\n")
        return data


BIG = hashlib.sha512(b"big").digest() * 40000 # 2.5 MB


def http_serve(s):
    r = Reader(s)
    try:
        while True:
            head = r.until(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n")[0].split(b" ")
            if b"upgrade: raw" in head.lower():
                s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n")
                s.sendall(r.held)
                while data := s.recv(65536):
                    s.sendall(data)
                raise EOFError
            body = r.body(head)
            if path == b"/echo":
                s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" if b"expect" in head.lower() else b"")
                answer = head + body
                s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n%x;a=b\r\n"
                          % len(answer) + answer + b"\r\n0\r\nX: y\r\n\r\n")
            elif path == b"/nothing":
                s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                data = BIG if path == b"/big" else b"ok\n"
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) +
                          (b"" if method == b"HEAD" else data))
    except (EOFError, OSError):
        s.close()


def http_check(host, port):
    digest = hashlib.sha256()
    s = socket.create_connection((host, port), 5)
    r = Reader(s)
    get = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    chunks = b"".join(b"%x\r\n" % n + b"z" * n + b"\r\n" for n in (1, 70000, 3)) + b"0\r\nT: u\r\n\r\n"
    s.sendall(get % b"hello")
    s.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    s.sendall(get % b"nothing" + b"HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n" + get % b"big") # pipelined
    s.sendall(b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"p" * 300000)
    for n in range(6):
        head = r.until(b"\r\n\r\n")
        digest.update(head + r.body(head, to_head=n == 3))
    s.sendall(b"GET /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
    digest.update(r.until(b"\r\n\r\n"))
    noise = hashlib.sha512(b"noise").digest() * 3000
    threading.Thread(target=lambda: (s.sendall(noise), s.shutdown(socket.SHUT_WR))).start()
    digest.update(r.take(len(noise)))
    assert s.recv(1) == b"" # the half-closed end came through
    print(digest.hexdigest())


def http_get(host, port, path):
    since = time.monotonic()
    try:
        s = socket.create_connection((host, port), 5)
        s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        status = Reader(s).until(b"\r\n\r\n").split(b" ")[1].decode()
    except (ConnectionResetError, ConnectionRefusedError) as e:
        status = "reset" if isinstance(e, ConnectionResetError) else "refused"
    print(status, int((time.monotonic() - since) * 1000))


def http_share(host, port):
    s = socket.create_connection((host, port), 5)
    r = Reader(s)
    marks = ""
    for _ in range(40):
        s.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        head = r.until(b"\r\n\r\n")
        r.body(head)
        marks += "x" if b" 503 " in head else "."
    print(marks)


def http_hold(host, port):
    s = None
    while not s: # the server may not be there yet
        try:
            s = socket.create_connection((host, port), 5)
        except OSError:
            time.sleep(0.05)
    r = Reader(s)
    while True:
        try:
            s.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            head = r.until(b"\r\n\r\n")
            r.body(head)
            print("kept" if b" 200 " in head else "lost", flush=True)
        except (EOFError, OSError):
            print("lost", flush=True)
            return
        time.sleep(0.05)


# --- What is no HTTP, and TLS ------------------------------------------------------------------------

def foreign_serve(s):
    try:
        s.sendall(b"220 speak\r\n")
        while data := s.recv(65536):
            s.sendall(data[::-1])
    except OSError:
        pass


def foreign_check(host, port):
    s = socket.create_connection((host, port), 2)
    assert s.recv(100) == b"220 speak\r\n"
    s.sendall(b"\x16\x03\x01abc")
    print(read_exactly(s, 6).hex())


def tls_server(port):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj",
                    "/CN=shop.test", "-addext", "subjectAltName=DNS:shop.test"], check=True,
                   capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("cert.pem", "key.pem")
    context.set_alpn_protocols(["second"])

    def echo(s):
        try:
            s = context.wrap_socket(s, server_side=True)
            while data := s.recv(65536):
                s.sendall(data)
            s.unwrap()
        except (OSError, ssl.SSLError):
            pass
    serve(port, echo)


def tls_ask(host, port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["first", "second"])
    s = context.wrap_socket(socket.create_connection((host, port), 5), server_hostname="shop.test")
    noise = hashlib.sha512(b"noise").digest() * 5000
    same = True
    for i in range(0, len(noise), 32000): # by turns: a connection of TLS is not for two threads
        s.sendall(noise[i:i + 32000])
        same &= read_exactly(s, len(noise[i:i + 32000])) == noise[i:i + 32000]
    cert = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject", "-checkend", "0"],
                          input=s.getpeercert(True), capture_output=True).stdout.decode()
    print(s.selected_alpn_protocol(), "same" if same else "other", cert.replace("\n", " ").strip())


def ticks():
    last, since = time.time(), time.monotonic()
    while True:
        time.sleep(0.02)
        now, mono = time.time(), time.monotonic()
        jump = round(now - last - (mono - since), -1) # a busy machine may hold us up in between
        print("jump %d" % jump if jump else "tick", flush=True)
        last, since = now, mono


def main():
    what, args = sys.argv[1], sys.argv[2:]
    ports = {"http-server": http_serve, "foreign-server": foreign_serve}
    if what in ports:
        serve(int(args[0]), ports[what])
    elif what == "tls-server":
        tls_server(int(args[0]))
    elif what == "http-get":
        http_get(args[0], int(args[1]), args[2])
    elif what in ("http-check", "http-hold", "http-share", "foreign-check", "tls-ask"):
        globals()[what.replace("-", "_")](args[0], int(args[1]))
    else:
        globals()[what.replace("-", "_")](*args)


if __name__ == "__main__":
    main()
