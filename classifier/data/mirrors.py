"""Fetch the arrays of a data set from a mirror: an npz archive or a folder of IDX files, by URL or path."""

import logging
import re
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import pooch
import requests

from classifier.data.description import Mirror
from classifier.data.formats import Rows, open_npz
from classifier.data.idx import IDX_FILES, open_idx

SEARCH_SECONDS = 10.0  # to resolve a name and connect; for four mirrors less than a minute
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
FETCH_SECONDS = 600.0  # for all files of a mirror, and again for each 64 MiB of arrays: MNIST's 11 MB at 20 kB/s
RETRIES = 2  # pooch waits one second before the first, two before the second
MOST_HEADERS = 2**16  # bytes in one response; requests keeps the headers of all redirects
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

T = TypeVar("T")


def is_url(location: str) -> bool:
    """Return whether a location is an http(s) URL, not a path."""
    return location.lower().startswith(("http://", "https://"))


def shown(text: object) -> str:
    """Return a location or message with `***` for the user names, passwords and query strings of its URLs."""
    # An @ after a ? may end a password or be part of a query string, so such a URL is hidden completely.
    without_both = re.sub(r"://\S*\?\S*@\S*", "://***", str(text))
    without_user = re.sub(r"://(?:\S*:\S*|[^/\s]*)@", "://***@", without_both)
    return re.sub(r"\?\S+?(?=[])}>:;,.'\"]*(?:\s|$))", "?***", without_user)


def check_location(location: str) -> None:
    """Raise ValueError or OSError unless `location` is an http(s) URL with a host, or a regular file or a folder."""
    if is_url(location):
        if len(location.split()) > 1:  # it is unclear which part is secret
            raise ValueError("a mirror's URL must not contain white space; write %20 for a space")
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


@contextmanager
def fetch(mirror: Mirror, cap: int, folder: Path) -> Iterator[dict[str, Rows]]:
    """Fetch the four arrays, which the block reads; the caller compares them with the catalogue.

    No error message contains a password or a query string.

    Args:
        mirror: a file, or a URL whose path ends in `.npz`, is an archive; anything else is a folder of IDX files.
        cap: the limit in bytes of a file, packed or unpacked.
        folder: a temporary folder for downloads; created and removed here.

    Raises:
        ConnectionError: neither server nor proxy accepted a connection within SEARCH_SECONDS.
        ValueError: the files are not the expected ones.
        OSError: the files could not be read, or not in time.
    """
    try:
        path = _download_all(mirror, cap, folder) if is_url(mirror.location) else Path(mirror.location)
        if path.is_dir():
            yield open_idx(path, cap)
        else:
            with open_npz(path, cap) as arrays:
                yield arrays
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return or raise what `call` does, or TimeoutError; this limits name look-ups too, which have no time-out."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # raised below, in the thread of the caller
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(f"gave up after {seconds:g} seconds")
    return outcome[0]


def _accepts_connection(location: str) -> bool:
    """Return whether the server, or the proxy before it, accepts a connection; no request is sent."""

    def connect() -> None:
        url = str(requests.Request("GET", location).prepare().url)
        proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        parts = urlsplit(url if not proxy else proxy if "://" in proxy else f"http://{proxy}")
        address = parts.hostname, parts.port or PORTS.get(parts.scheme, 80)
        socket.create_connection(address, CONNECT_SECONDS).close()

    try:
        within(SEARCH_SECONDS, connect)
    except ValueError:  # the URL is invalid; the download reports why
        return True
    except OSError:
        return False
    return True


def _download_all(mirror: Mirror, cap: int, folder: Path) -> Path:
    """Download the files of a mirror into `folder`, in time; return the path of the archive, or of the folder."""
    if not _accepts_connection(mirror.location):
        raise ConnectionError(f"{shown(mirror.location)} does not answer")
    try:
        return within(FETCH_SECONDS * (1 + cap // 2**26), lambda: _download_files(mirror, cap, folder))
    except requests.exceptions.ProxyError as error:
        raise ConnectionError(f"{shown(mirror.location)} does not answer: {shown(error)}") from None
    except TimeoutError as error:
        raise TimeoutError(shown(f"{mirror.location}: {error}")) from None
    except ValueError as error:
        raise ValueError(shown(error)) from None
    except OSError as error:
        raise OSError(shown(error)) from None


def _download_files(mirror: Mirror, cap: int, folder: Path) -> Path:
    url = urlsplit(mirror.location)
    if url.path.endswith(".npz"):
        return _download(mirror.location, folder, "archive.npz", mirror.sha256, cap)
    for name in IDX_FILES.values():
        _download(url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl(), folder, name, None, cap)
    return folder


def _download(url: str, folder: Path, name: str, sha256: str | None, cap: int) -> Path:
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):  # their warnings contain URLs
        logger.setLevel("ERROR")
    store = pooch.create(path=folder, base_url="", registry={name: sha256}, urls={name: url}, retry_if_failed=RETRIES)
    return Path(store.fetch(name, downloader=_CappedDownload(cap)))


class _CappedDownload(pooch.HTTPDownloader):  # type: ignore[misc]  # pooch has no types
    """The HTTP downloader of pooch, with a limit on the bytes it writes."""

    def __init__(self, cap: int) -> None:
        super().__init__(
            progressbar=sys.stderr.isatty(),
            chunk_size=2**16,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            headers={"Accept-Encoding": "identity"},
            hooks={"response": _check_response},
        )
        self.cap = cap

    def __call__(self, url: str, output_file: str, store: Any) -> None:
        with Path(output_file).open("wb") as file:
            super().__call__(url, _CappedFile(file, self.cap, url), store)


def _check_response(response: requests.Response, **_: Any) -> None:
    """Do not retry 4xx or 206, and do not let requests read or inflate a body before its size is checked."""
    if 400 <= response.status_code < 500 or response.status_code == 206:
        raise OSError(f"{response.url}: {response.status_code} {response.reason}")
    if sum(len(name) + len(value) for name, value in response.headers.items()) > MOST_HEADERS:
        raise OSError(f"{response.url}: expected headers of at most {MOST_HEADERS:,} bytes, the server sent more")
    if response.is_redirect:
        response.close()  # else requests reads the whole body of a redirect
    response.raw.headers.pop("Content-Encoding", None)  # some servers declare every .gz file as gzip-encoded


class _CappedFile:
    """The methods of a file that pooch calls; `write` refuses more than `cap` bytes in total."""

    def __init__(self, file: IO[bytes], cap: int, url: str) -> None:
        self.file, self.left, self.url, self.cap = file, cap, url, cap

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise OSError(f"{self.url}: expected at most {self.cap:,} bytes, the server sent more")
        self.file.write(chunk)

    def flush(self) -> None:
        self.file.flush()
