# SPDX-License-Identifier: BSD-2-Clause
"""schema.py SCHEMA FILE...: ok-*.json must be valid, bad-*.json must not."""
import json
import os
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as f:
    schema = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
failed = False
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as f:
        errors = list(validator.iter_errors(json.load(f)))
    name = os.path.basename(path)
    if name.startswith("bad-") != bool(errors):
        failed = True
        print(f"{name}: {'valid' if not errors else errors[0]}")
        with open(path, encoding="utf-8") as f:
            print(f.read())
print(f"{len(sys.argv) - 2} files against the schema")
sys.exit(1 if failed else 0)
