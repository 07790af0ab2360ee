"""Check changes of parameters before anything runs, as the stages check params.yaml."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from shutil import copy

from classifier.files.paths import PARAMS
from classifier.running.command import one_line

# A section is checked by the dataclass Parameters of the stage with its name, if there is one.
CHECK = """
import importlib, sys
from pathlib import Path
from classifier.running import parameters, yaml_values
for path in sys.argv[1:]:
    for section in yaml_values.parse(Path(path).read_bytes()):
        stage = Path(f"stages/{section}.py")
        if not stage.exists() or "class Parameters" not in stage.read_text():
            continue
        try:
            parameters.load(section, importlib.import_module(f"stages.{section}").Parameters, Path(path))
        except ValueError as error:
            sys.exit(str(error).replace(path, "params.yaml"))
"""


def check_parameters(changes: Iterable[str]) -> None:
    """Check each change of a parameter as the stage would.

    Raises:
        ValueError: there is no such parameter, or the stage refuses the value.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, change in enumerate(sorted(set(changes))):
            paths.append(path := Path(folder) / f"{number}.yaml")
            copy(PARAMS, path)
            try:
                apply_overrides(path, [change])
            except DvcException as error:
                why = str(error.__cause__ or error).splitlines()[0]
                raise ValueError(f"-S {change}: expected KEY=VALUE of a parameter in {PARAMS}: {why}") from None
        command = [sys.executable, "-c", CHECK, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(one_line(done.stderr.strip().rpartition("\n")[2]))
