"""Fetch a data set's arrays from a mirror: an npz archive or a folder of IDX files, over HTTP or on this machine."""

import logging
import re
import shutil
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import pooch
import requests

from classifier.data.catalogue import Mirror
from classifier.data.formats import IDX_FILES, Arrays, read_idx, read_npz

SEARCH_SECONDS = (
    10.0  # to find out whether a mirror answers, name resolution included; four mirrors take less than a minute
)
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
FETCH_SECONDS = 600.0  # for one whole mirror: 11 MB at 20 kB/s
RETRIES = 2  # pooch waits one second, then two
MOST_HEADERS = 2**16  # bytes of one answer; requests keeps those of all redirects
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

T = TypeVar("T")


def is_url(location: str) -> bool:
    """Whether a location is an http(s) URL rather than a path."""
    return location.lower().startswith(("http://", "https://"))


def shown(text: object) -> str:
    """Return a location, or a message that holds URLs, with `***` for user names, passwords and query strings."""
    # An @ after a ? may end a password or be part of a query string: nothing of such a URL is shown.
    without_both = re.sub(r"://\S*\?\S*@\S*", "://***", str(text))
    without_user = re.sub(r"://(?:\S*:\S*|[^/\s]*)@", "://***@", without_both)
    return re.sub(r"\?\S+?(?=[])}>:;,.'\"]*(?:\s|$))", "?***", without_user)


def check_location(location: str) -> None:
    """Raise ValueError or OSError unless `location` is an http(s) URL with a host, or a regular file or a folder."""
    if is_url(location):
        if len(location.split()) > 1:  # it is unclear which part is secret
            raise ValueError("a mirror's URL cannot hold white space; write %20 for a space")
        try:
            requests.Request("GET", location).prepare()
        except requests.RequestException as error:
            raise ValueError(f"{shown(location)} is not a valid URL: {shown(error)}") from None
    elif "://" in location:
        raise ValueError(f"{shown(location)}: a mirror must be an http or https URL or a path")
    elif not Path(location).exists():
        raise FileNotFoundError(f"{location}: no such file or folder")
    elif not (Path(location).is_file() or Path(location).is_dir()):
        raise ValueError(f"{location}: a mirror must be a regular file or a folder")


def fetch(mirror: Mirror, cap: int, folder: Path) -> Arrays:
    """Fetch a mirror's four arrays, unverified but for their form and the archive's published SHA-256.

    Args:
        mirror: what to fetch; a URL whose path ends in `.npz`, or a file, is an archive, else a folder of IDX files.
        cap: the most bytes that a file may have, as sent or unpacked.
        folder: where downloads lie meanwhile; made when absent, removed at the end.

    Raises:
        ConnectionError: no server, or no proxy, accepted a connection within SEARCH_SECONDS. A server that
            took one, however slow it is then, is there.
        ValueError: the mirror served something else than it should.
        OSError: it could not be read, or not in time. No message holds a password or a query string.
    """
    if not is_url(mirror.location):
        path = Path(mirror.location)
        return read_idx(path, cap) if path.is_dir() else read_npz(path, cap)
    if not _takes_connection(mirror.location):
        raise ConnectionError(f"{shown(mirror.location)} does not answer")
    try:
        return within(FETCH_SECONDS, lambda: _fetch_url(mirror, cap, folder))
    except requests.exceptions.ProxyError as error:
        raise ConnectionError(f"{shown(mirror.location)} does not answer: {shown(error)}") from None
    except TimeoutError as error:
        raise TimeoutError(shown(f"{mirror.location}: {error}")) from None
    except ValueError as error:
        raise ValueError(shown(error)) from None
    except OSError as error:
        raise OSError(shown(error)) from None
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


def _takes_connection(location: str) -> bool:
    """Whether the server, or the proxy in front of it, accepts a connection; no request is sent."""

    def connect() -> None:
        url = str(requests.Request("GET", location).prepare().url)
        proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        parts = urlsplit(url if not proxy else proxy if "://" in proxy else f"http://{proxy}")
        address = parts.hostname, parts.port or PORTS.get(parts.scheme, 80)
        socket.create_connection(address, CONNECT_SECONDS).close()

    try:
        within(SEARCH_SECONDS, connect)
    except ValueError:  # no address to try; `fetch` says why
        return True
    except OSError:
        return False
    return True


def _fetch_url(mirror: Mirror, cap: int, folder: Path) -> Arrays:
    url = urlsplit(mirror.location)
    if url.path.endswith(".npz"):
        return read_npz(_download(mirror.location, folder, "archive.npz", mirror.sha256, cap), cap)
    for name in IDX_FILES.values():
        _download(url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl(), folder, name, None, cap)
    return read_idx(folder, cap)


def _download(url: str, folder: Path, name: str, sha256: str | None, cap: int) -> Path:
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):  # their warnings quote URLs
        logger.setLevel("ERROR")
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
    """Do not retry 4xx or 206, and keep requests from reading or inflating a body before its size is checked."""
    if 400 <= response.status_code < 500 or response.status_code == 206:
        raise OSError(f"{response.url}: {response.status_code} {response.reason}")
    if sum(len(name) + len(value) for name, value in response.headers.items()) > MOST_HEADERS:
        raise OSError(f"{response.url}: sent headers of more than {MOST_HEADERS:,} bytes")
    if response.is_redirect:
        response.close()  # requests would read the whole body of a redirect; a closed response has none
    response.raw.headers.pop("Content-Encoding", None)  # some servers declare every .gz file as gzip-encoded


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
