"""Watch the anonymous memory of the processes below this one, of each `python -m MODULE` with its children.

Linux counts a page of a mapped file as resident memory of the process too, although it can take the page back at any
time. Anonymous memory is what a process really needs: the kernel cannot take it back without swap.
"""

import threading
from collections.abc import Iterator
from os import getpid
from pathlib import Path
from types import TracebackType

SECONDS = 0.01  # between two looks; a shorter peak may be missed


class Watch:
    """While the block runs, look at the processes; `peak_mib` then has the peak of each module in MiB."""

    def __init__(self) -> None:
        self.peak_mib: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        modules: dict[int, str] = {}
        while not self._ended.wait(SECONDS):
            for process in descendants(getpid()):
                if process not in modules:
                    # A process that has just been forked still has the command line of its parent.
                    if not (name := module(process)):
                        continue
                    modules[process] = name
                total = anonymous(process) + sum(map(anonymous, descendants(process)))
                self.peak_mib[modules[process]] = max(self.peak_mib.get(modules[process], 0), total)


def descendants(process: int) -> Iterator[int]:
    """Yield the processes that a process started, and theirs."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
    except OSError:  # it has ended
        return
    for thread in threads:
        for child in map(int, _text(thread / "children").split()):
            yield child
            yield from descendants(child)


def module(process: int) -> str | None:
    """Return the MODULE of a process `python -m MODULE`, else None."""
    command = _text(Path(f"/proc/{process}/cmdline")).split("\0")
    if "measure.py" in "".join(command[:3]) or "-m" not in command[:-1]:
        return None
    return command[command.index("-m") + 1]


def anonymous(process: int) -> float:
    """Return the anonymous memory of a process in MiB."""
    for line in _text(Path(f"/proc/{process}/status")).splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 2**10
    return 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""
