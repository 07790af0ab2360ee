"""What a file of Python code imports."""

import ast
from pathlib import Path

from tests.conftest import REPOSITORY


def imported_modules(path: Path) -> set[str]:
    """The names after `import`, at the top of the file or in a function; `from a import b` gives both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def imported_files(path: Path) -> set[Path]:
    """The files of the project that the file imports."""
    files = {(REPOSITORY / name.replace(".", "/")).with_suffix(".py") for name in imported_modules(path)}
    return {file for file in files if file.is_file()}
