"""Turns text files into one C source with a string constant for each: embed.py OUT HEADER NAME=FILE..."""
import sys

out = ["/* Made by embed.py from the files beside it. */", '#include "%s"' % sys.argv[2], ""]
for pair in sys.argv[3:]:
    name, path = pair.split("=", 1)
    data = open(path, "rb").read()
    assert b"\0" not in data
    assert path.endswith(".html") or (b"</script" not in data and b"</style" not in data)
    out.append("const char %s[] = {" % name)
    data += b"\0"
    for i in range(0, len(data), 20):
        out.append("    " + " ".join("%d," % (b if b < 128 else b - 256) for b in data[i:i + 20]))
    out.append("};")
open(sys.argv[1], "w").write("\n".join(out) + "\n")
