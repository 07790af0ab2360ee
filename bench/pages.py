"""Write a page of figures, with the figures as JSON beside it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.files import whole_file


def save(path: Path, page: str, figures: Any) -> None:
    """Write the page (.md) to `path`, and the dataclass `figures` to the file of this name with the ending .json."""
    for output, text in ((path, page), (path.with_suffix(".json"), json.dumps(asdict(figures), indent=2) + "\n")):
        with whole_file(output) as partial:
            partial.write_text(text)
