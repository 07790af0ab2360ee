"""The JSON schema of params.yaml, by which editors complete and check it: `python -m tests.schema` writes it."""

import json
from pathlib import Path

import msgspec

from stages import download, preprocess, train

SECTIONS = {"download": download.Parameters, "preprocess": preprocess.Parameters, "train": train.Parameters}
PATH = Path("params.schema.json")


def as_json() -> str:
    document = msgspec.defstruct("Params", list(SECTIONS.items()), forbid_unknown_fields=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(document)}
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_json())
