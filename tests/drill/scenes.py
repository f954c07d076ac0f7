"""Small scenarios for the tests, with servers of our own."""

# From the host's own working directory: wherever this was built (/tmp, say), hosts may not see it.
STAMPD = "./stampd"


def scene(script="", extra="", rto="800ms", start=None, more_hosts="", probe_extra="", trials=1,
          settle="300ms", horizon="2500ms", expect="", service_extra="", name="small", every="50ms",
          timeout="100ms", stable="300ms", files="stampd"):
    """A client that asks a server; `script` is a YAML list."""
    start = start or '["%s --port 80"]' % STAMPD
    return """
blackstart: 1
name: %s
services:
  web: {rto: %s%s}
networks:
  net: {subnet: 10.77.0.0/24}
hosts:
  client: {lab: {address: 10.77.0.9}}
  srv: {lab: {address: 10.77.0.1}, files: [%s], start: %s, ready: {tcp: 80, within: 5s}}
%sprobes:
  web:
    service: web
    host: client
    http: "http://10.77.0.1/"
    every: %s
    timeout: %s
    down_after: 2
    up_after: 3
    stable: %s
%s%sscript:%s
%ssettle: %s
horizon: %s
trials: %d
""" % (name, rto, service_extra, files, start, more_hosts, every, timeout, stable, probe_extra, extra,
       script or " []", expect, settle, horizon, trials)


CUT = """
  - id: cut
    at: 300ms
    for: 300ms
    partition: {cut: [[client], [srv]], kind: drop}
"""
KILL_FOR = """
  - id: kill
    at: 300ms
    for: 400ms
    kill: {host: srv, process: stamp-server}
"""
KILL = """
  - id: kill
    at: 300ms
    kill: {host: srv, process: stamp-server}
"""
REVIVING = '["%s --port 80 --revive 300:500 --seed 1"]' % STAMPD
