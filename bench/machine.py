"""The facts about the machine and the library versions on which the results depend."""

import platform
from importlib.metadata import version

import archspec.cpu
import psutil

from classifier.model import runtime


def describe() -> dict[str, str]:
    """Return the facts about this machine, by heading."""
    return {
        "processor": f"{archspec.cpu.brand_string() or 'unknown'} ({platform.machine()})",
        "kernels of oneDNN": runtime.level(runtime.instruction_sets()),
        "cores": str(runtime.threads()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": _system(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that take most of the time."""
    packages = ("tensorflow", "keras", "dvc", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
