"""Every broken scenario through the program: exactly its expected messages on stderr, nothing on
stdout, exit code 2. Arguments: blackstart, this folder.
"""
import glob
import os
import subprocess
import sys


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.chdir(folder)
    names = sorted(glob.glob("*.yaml"))
    failed = 0
    for name in names:
        with open(name[:-5] + ".expected", encoding="utf-8") as f:
            expected = f.read()
        p = subprocess.run([program, "check", name], capture_output=True, text=True, check=False)
        if (p.returncode, p.stdout, p.stderr) != (2, "", expected):
            print(f"{name}: exit {p.returncode}\n{p.stdout}{p.stderr}expected exit 2 and\n{expected}")
            failed += 1
    print(f"{len(names)} scenarios, {failed} failed")
    return 1 if failed or len(names) < 60 else 0


sys.exit(main())
