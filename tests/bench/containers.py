#!/usr/bin/env python3
"""Starts a docker of its own with BENCH_CONTAINERS containers (200) and measures among them."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "drill"))
import engines  # noqa: E402

if os.getuid() or engines.missing(*engines.Docker.needs):
    print("skipped: needs root, and docker (packages: tests/debian.sh)")
    sys.exit(77)
n = int(os.environ.get("BENCH_CONTAINERS", "200"))
docker = engines.Docker()
try:
    for i in range(n):
        docker.container("bench-%d" % i, command=("sleep", "100000"))
    code = subprocess.run([sys.argv[1], docker.socket, str(n)]).returncode
finally:
    docker.end()
sys.exit(code)
