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


# For forecasts: a primary dies, its standby takes over, or somebody has to do it by hand.
ASSUMED = """
blackstart: 1
name: assumed
title: A primary dies, and its standby takes over
vars: {rto: 5s}
services:
  checkout: {owner: payments, rto: "${rto}", max_downtime: 6s, detect_within: {within: 3s, by: automation}}
  shop: {rto: 8s, needs: [checkout]}
components:
  first: {}
  second: {}
probes:
  checkout-page: {service: checkout, http: "http://checkout.example/", every: 200ms, timeout: 500ms, down_after: 2, up_after: 3}
  shop-page: {service: shop, http: "http://shop.example/", every: 500ms, timeout: 1s, down_after: 2, up_after: 2}
alarms:
  down: {role: automation, threshold: {probe: checkout-page, consecutive: 4}}
model:
  checkout:
    redundancy: {mode: active-passive, of: [first, second]}
    restore:
      - decide: {uniform: [100ms, 900ms], at: detection}
      - takeover: {lognormal: {median: 1500ms, p95: 3s}, works: 98%, else: by-hand}
      - by-hand: {uniform: [4s, 20s], only: fallback}
script:
  - {id: first-dies, at: 2s, outage: {component: first}}
horizon: 40s
"""

ANY = """
blackstart: 1
name: any
services:
  shop: {needs: [{any: 2, of: [a, b, c]}, {service: d, kind: soft}]}
  a: {}
  b: {}
  c: {}
  d: {}
components: {host-a: {}}
model: {a: {redundancy: host-a}}
script:
  - {id: lose-a, at: 10s, outage: {component: host-a}}
horizon: 5m
"""
