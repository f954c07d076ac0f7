"""The JSON Schema against an independent YAML 1.2 reader and an independent validator.

Every scenario that is right validates; every broken one whose fault is one of structure does not,
and those that are broken in meaning only do.
Arguments: the program that prints the schema, the source folder.
"""
import glob
import json
import os
import subprocess
import sys

try:
    import jsonschema
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
except ImportError as e:
    print(f"skipped: {e} (apt-get install python3-ruamel.yaml python3-jsonschema)")
    sys.exit(1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77)

# Broken in structure: the first word of the file's name, or the whole of it.
STRUCTURAL = {
    "version-missing", "version-newer", "version-text", "key-misspelt", "key-unknown",
    "key-of-a-later-version", "key-misspelt-in-service", "key-unknown-in-action", "name-missing",
    "name-with-space", "host-name-with-slash", "hosts-empty", "horizon-missing",
    "attached-and-lab", "process-and-netns", "value-missing", "list-for-mapping", "service-is-a-word", "host-without-a-kind",
    "include-mapping", "variable-list", "duration-without-unit", "duration-unknown-unit",
    "duration-negative", "duration-is-a-list", "percent-without-sign", "integer-with-fraction",
    "integer-quoted", "integer-zero", "integer-too-large", "integer-huge", "boolean-yes",
    "word-unknown", "words-unknown", "group-not-a-list", "between-of-nothing", "load-signal-unknown", "group-empty", "hook-of-two-kinds", "env-is-a-list", "compose-without-service",
    "env-secret-of-nothing", "command-empty", "probe-without-a-kind", "probe-of-two-kinds",
    "probe-without-interval", "step-without-action", "step-with-two-actions",
    "condition-unknown-key", "several-errors", "more-errors-than-shown", "yaml-list", "yaml-word",
    "dns-two-lies", "dns-without-lie", "http-without-fault", "tls-flaw-unknown",
    "bridge-key-misspelt", "bridge-without-through", "grudge-against-nobody", "grudge-empty",
    "grudge-is-a-list", "journal-priority-unknown", "maintenance-of-nobody",
    "maintenance-of-two", "partition-kind-unknown",
    "partition-packets-unknown", "partition-protocol-unknown", "partition-too-many-ports",
    "partition-key-misspelt", "partition-port-too-large",
    "network-bursts-incomplete", "network-direction-unknown", "network-distribution-unknown",
    "standing-rate-without-unit",
    "network-gap-without-share", "network-limit-zero", "network-loss-without-sign",
    "network-no-host", "network-overhead-without-unit", "network-port-not-one",
    "network-port-too-large", "network-rate-unknown-unit", "network-rate-without-unit",
    "pressure-io-by-nobody",
    "forecast-distribution-misspelt", "forecast-distribution-without-parameter",
    "forecast-negative", "forecast-range-of-one", "forecast-stage-not-indented",
    "forecast-stages-as-a-mapping", "forecast-uniform-of-three",
}


def read(text):
    return YAML(typ="safe", pure=True).load(text)  # YAML 1.2 is its default


def main():
    program, root = sys.argv[1:]
    schema = json.loads(subprocess.check_output([program]))
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema)
    validator = kind(schema)
    failed = 0

    good = sorted(glob.glob(root + "/scenarios/*/*.yaml") + glob.glob(root + "/tests/corpus/good/*.yaml"))
    texts = [(path, open(path, encoding="utf-8").read()) for path in good]
    texts.append(("the template", subprocess.check_output([program, "new"], text=True)))
    for path, text in texts:
        for error in validator.iter_errors(read(text)):
            print(f"{path}: {list(error.absolute_path)}: {error.message[:300]}")
            failed += 1

    seen = set()
    for path in sorted(glob.glob(root + "/tests/corpus/*.yaml")):
        name = os.path.basename(path)[:-5]
        if name.startswith("yaml-") and name not in STRUCTURAL:
            continue  # no YAML, or more of it than we take
        try:
            valid = validator.is_valid(read(open(path, encoding="utf-8").read()))
        except YAMLError:
            valid = False
        seen.add(name)
        if valid == (name in STRUCTURAL):
            print(f"{name}: the schema {'accepts' if valid else 'refuses'} it")
            failed += 1
    for name in STRUCTURAL - seen:
        print(f"{name}: there is no such file")
        failed += 1
    print(f"{len(texts)} right, {len(seen)} broken, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
