"""The cases of the JSON-Schema-Test-Suite for draft 2020-12: tests/fixtures/json_schema_suite.json.

    pip download --no-deps --no-binary jsonschema jsonschema==4.23.0
    python training/make_json_schema_fixture.py jsonschema-4.23.0.tar.gz

The suite (https://github.com/json-schema-org/JSON-Schema-Test-Suite, MIT, Copyright (c) 2012 Julian Berman; its licence is written into the fixture) lies in
the source of PyPI's jsonschema. All that a validator must pass is taken as it is, but for words about it: of each file its groups, of each group its
description, its schema, and its instances with whether they are valid.
"""

import hashlib
import json
import sys
import tarfile
from pathlib import Path

OUT = Path(__file__).parent.parent / "tests/fixtures/json_schema_suite.json"
SHA256 = "d71497fef26351a33265337fa77ffeb82423f3ea21283cd9467bb03999266bc4"
ROOT = "jsonschema-4.23.0/json/"
TESTS = ROOT + "tests/draft2020-12/"


def main(path):
    data = Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        sys.exit(f"{path} is another file than jsonschema 4.23.0's source: its SHA-256 is {found}")
    with tarfile.open(path) as archive:
        read = lambda name: archive.extractfile(name).read().decode()
        # What is below in folders is optional.
        names = sorted(name for name in archive.getnames() if name.startswith(TESTS) and name.endswith(".json") and "/" not in name[len(TESTS):])
        files = {
            name[len(TESTS):-len(".json")]: [
                {
                    "description": group["description"],
                    "schema": group["schema"],
                    "tests": [[test["data"], test["valid"]] for test in group["tests"]],
                }
                for group in json.loads(read(name))
            ]
            for name in names
        }
        licence = read(ROOT + "LICENSE")
    # A line a file: what changes can be seen.
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(groups, separators=(',', ':'))}" for name, groups in files.items())
    OUT.write_text(f'{{"licence": {json.dumps(licence)},\n"files": {{\n{lines}\n}}}}\n')
    print(f"{OUT}: {sum(map(len, files.values()))} schemas, {sum(len(group['tests']) for groups in files.values() for group in groups)} instances")


main(*sys.argv[1:])
