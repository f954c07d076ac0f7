#!/usr/bin/env python3
"""embed.py FILE OUTPUT: a file as the numbers of a C array."""
import pathlib
import sys

data = pathlib.Path(sys.argv[1]).read_bytes()
lines = [",".join(map(str, data[i:i + 32])) for i in range(0, len(data), 32)]
pathlib.Path(sys.argv[2]).write_text(",\n".join(lines) + "\n")
