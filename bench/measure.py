"""Run a command, append its time and memory to a file as a line of JSON, and exit with the command's status.

    python -IS bench/measure.py RECORD COMMAND [ARGUMENT...]

A line has `command` (a list), `seconds` of wall time and `peak_mib`, the most memory that was resident at once, in MiB:
the kernel's own figure, not a sample. A process inherits the peak of the process that started it. So this process must
be small: it imports a few small modules of the standard library and nothing else.
"""

import json
import os
import signal
import sys
import time

PEAK_UNITS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10  # getrusage(2): bytes on macOS, kilobytes elsewhere


def main() -> None:
    """Measure the command in the arguments; its name must be a path."""
    record, *command = sys.argv[1:]
    signal.signal(signal.SIGINT, lambda *_: None)  # the command gets it from the terminal too, and decides what to do
    began = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    with open(record, "a") as file:  # noqa: PTH123  # importing pathlib would slow this process down
        taken = {"command": command, "seconds": seconds, "peak_mib": usage.ru_maxrss / PEAK_UNITS_PER_MIB}
        file.write(json.dumps(taken) + "\n")
    code = os.waitstatus_to_exitcode(status)
    raise SystemExit(code if code >= 0 else 128 - code)  # as shells report a signal


if __name__ == "__main__":
    main()
