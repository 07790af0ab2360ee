"""Fetch a data set's arrays from a mirror: an npz archive or a folder of IDX files, over HTTP or on this machine."""

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import pooch
import requests
from urllib3.exceptions import NewConnectionError

from stages.archive import IDX_FILES, Arrays, read_idx, read_npz
from stages.catalogue import Mirror

SEARCH_SECONDS = 10.0  # to learn whether a mirror answers, name resolution included; four mirrors fit into a minute
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
FETCH_SECONDS = 600.0  # for one mirror altogether: 11 MB at 20 kB/s
RETRIES = 2  # pooch waits one second, then two

T = TypeVar("T")


def is_url(location: str) -> bool:
    """Tell an http(s) URL from a path."""
    return location.startswith(("http://", "https://"))


def check_location(location: str) -> None:
    """Raise ValueError or OSError unless `location` is an http(s) URL with a host, or a path that exists."""
    if is_url(location):
        try:
            requests.Request("GET", location).prepare()
        except requests.RequestException as error:
            raise ValueError(f"{location} is not a valid URL: {error}") from error
    elif "://" in location:
        raise ValueError(f"{location}: a mirror must be an http or https URL or a path")
    elif not Path(location).exists():
        raise FileNotFoundError(f"{location}: no such file or folder")


def answers(location: str) -> bool:
    """Tell whether anybody is there: a path, or a server that takes a connection within SEARCH_SECONDS.

    A server that is there and answers wrongly counts as an answer; what it serves is judged by `fetch`.
    """
    if not is_url(location):
        return True
    try:
        return within(SEARCH_SECONDS, lambda: _takes_connection(location))
    except TimeoutError:
        return False


def fetch(mirror: Mirror, cap: int, folder: Path) -> Arrays:
    """Fetch a mirror's four arrays, unverified but for their form and the archive's published SHA-256.

    Args:
        mirror: what to fetch; a URL or path that ends in `.npz`, or is a file, is an archive, else a folder of IDX.
        cap: the most bytes that a file may have, as sent or unpacked.
        folder: where downloads lie meanwhile; made when absent, removed at the end.

    Raises:
        ValueError: the mirror served something else than it should.
        OSError: it could not be read, or not in time; requests' errors are among these.
    """
    if not is_url(mirror.location):
        path = Path(mirror.location)
        return read_idx(path, cap) if path.is_dir() else read_npz(path, cap)
    try:
        return within(FETCH_SECONDS, lambda: _fetch_url(mirror, cap, folder))
    except TimeoutError as error:
        raise TimeoutError(f"{mirror.location}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, raise what it raises, or TimeoutError: a name look-up takes no time-out."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # handed to the caller's thread, which raises it
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(f"gave up after {seconds:g} seconds")
    return outcome[0]


def _takes_connection(url: str) -> bool:
    try:
        requests.head(url, timeout=CONNECT_SECONDS)
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError):
        return False
    except requests.ConnectionError as error:
        cause = error.args[0] if error.args else None
        return not isinstance(getattr(cause, "reason", cause), NewConnectionError)
    except requests.RequestException:
        return True
    return True


def _fetch_url(mirror: Mirror, cap: int, folder: Path) -> Arrays:
    if mirror.location.endswith(".npz"):
        return read_npz(_download(mirror.location, folder, "archive.npz", mirror.sha256, cap), cap)
    for name in IDX_FILES.values():
        _download(f"{mirror.location.rstrip('/')}/{name}", folder, name, None, cap)
    return read_idx(folder, cap)


def _download(url: str, folder: Path, name: str, sha256: str | None, cap: int) -> Path:
    pooch.get_logger().setLevel("ERROR")
    store = pooch.create(path=folder, base_url="", registry={name: sha256}, urls={name: url}, retry_if_failed=RETRIES)
    return Path(store.fetch(name, downloader=_CappedDownload(cap)))


class _CappedDownload(pooch.HTTPDownloader):  # type: ignore[misc]  # pooch has no types
    """pooch's own downloader, with a cap on what it writes."""

    def __init__(self, cap: int) -> None:
        super().__init__(
            progressbar=sys.stderr.isatty(),
            chunk_size=2**16,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            headers={"Accept-Encoding": "identity"},
            hooks={"response": _take_as_sent},
        )
        self.cap = cap

    def __call__(self, url: str, output_file: str, store: Any) -> None:
        with Path(output_file).open("wb") as file:
            super().__call__(url, _CappedFile(file, self.cap, url), store)


def _take_as_sent(response: requests.Response, **_: Any) -> None:
    """Refuse what another try would not mend, and keep requests from inflating what the cap has not seen."""
    if 400 <= response.status_code < 500 or response.status_code == 206:
        raise OSError(f"{response.url}: {response.status_code} {response.reason}")
    response.raw.headers.pop("Content-Encoding", None)  # some servers say gzip of every .gz file


class _CappedFile:
    """The few methods of a file that pooch calls; `write` refuses more than `cap` bytes altogether."""

    def __init__(self, file: IO[bytes], cap: int, url: str) -> None:
        self.file, self.left, self.url, self.cap = file, cap, url, cap

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise OSError(f"{self.url}: sent more than the {self.cap:,} bytes expected at most")
        self.file.write(chunk)

    def flush(self) -> None:
        self.file.flush()
