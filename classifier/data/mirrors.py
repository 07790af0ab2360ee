"""Fetch the arrays of a data set from a mirror: an npz archive or a folder of IDX files, by URL or path."""

import io
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests

from classifier.data.arrays import IDX_FILES, Arrays, check_arrays, read_arrays
from classifier.data.data_set import DataSet

MOST = 2**27  # bytes of a download, packed or unpacked; MNIST has 55 MB
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
RETRIES = 2  # pooch waits one second before the first, two before the second


def fetch_arrays(location: str, data_set: DataSet) -> Arrays:
    """Return the arrays of a data set from a path or URL, each verified by its SHA-256.

    Raises:
        ConnectionError: neither server nor proxy answers. ValueError, OSError: the mirror does not serve these arrays.
    """
    if "://" in location:
        arrays = _download(location)
    elif Path(location).expanduser().exists():
        arrays = read_arrays(Path(location).expanduser(), MOST)
    else:
        raise ValueError(f"{location} does not exist; expected an npz archive or a folder of IDX files, or a URL")
    check_arrays(arrays, data_set, host_of(location))
    return arrays


def host_of(location: str) -> str:
    """Return the host of a URL, because the rest may have a password or a token; or a path as it is."""
    return urlsplit(location).hostname or "the mirror's URL" if "://" in location else location


def _download(location: str) -> Arrays:
    """Return the arrays in an archive, if the path of the URL ends in `.npz`, or in IDX files."""
    host, url = host_of(location), urlsplit(location)
    packed = url.path.endswith(".npz")
    paths = {"mnist.npz": ""} if packed else {name: f"/{name}" for name in IDX_FILES.values()}
    urls = {name: url._replace(path=url.path.rstrip("/") + path).geturl() for name, path in paths.items()}
    if not _answers(location):
        raise ConnectionError(f"{host} does not answer")
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):  # their messages have URLs
        logger.setLevel("ERROR")
    try:
        with TemporaryDirectory() as folder:
            store = pooch.create(folder, base_url="", registry=dict.fromkeys(urls), urls=urls, retry_if_failed=RETRIES)
            for name in urls:
                store.fetch(name, downloader=_write)
            return read_arrays(Path(folder, "mnist.npz" if packed else ""), MOST)
    except requests.RequestException as error:
        status = "" if error.response is None else f", HTTP status {error.response.status_code}"
        raise OSError(f"{host}: the download failed with {type(error).__name__}{status}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{host}: {error}") from None


def _answers(url: str) -> bool:
    """Return whether anything answers, so that without a network no file is tried again and again."""
    try:
        requests.head(url, timeout=CONNECT_SECONDS)
    except requests.RequestException as error:  # an untrusted certificate is an answer
        return isinstance(error, requests.exceptions.SSLError) or not isinstance(error, requests.ConnectionError)
    return True


def _write(url: str, path: str, store: Any) -> None:
    timeout, headers = (CONNECT_SECONDS, READ_SECONDS), {"Accept-Encoding": "identity"}
    write = pooch.HTTPDownloader(sys.stderr.isatty(), chunk_size=2**16, timeout=timeout, headers=headers)
    with _CappedFile(io.FileIO(path, "w")) as file:
        write(url, file, store)


class _CappedFile(io.BufferedWriter):
    def write(self, chunk: Any, /) -> int:
        if self.tell() + len(chunk) > MOST:
            raise OSError(f"expected at most {MOST:,} bytes, the server sent more")
        return super().write(chunk)
