"""Fetch the arrays of a data set from a mirror: an npz archive or a folder of IDX files, by URL or path."""

import io
import logging
import shutil
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests

from classifier.data.arrays import IDX_FILES, Arrays, read_arrays

MOST = 2**27  # bytes of a download, packed or unpacked; MNIST has 55 MB
ANSWER_SECONDS = 10.0  # to look up a host and get an answer to HEAD; for four mirrors less than a minute
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
RETRIES = 2  # pooch waits one second before the first, two before the second


def fetch_arrays(location: str, folder: Path) -> Arrays:
    """Return the arrays at a URL or path; the caller compares them with the catalogue.

    A URL whose path ends in `.npz` is an archive; any other is a folder of IDX files. A message names the host of a URL
    alone, because the rest may have a password or a token. `folder` is for downloads; it is created and removed here.

    Raises:
        ConnectionError: neither server nor proxy answers. ValueError: the files are not the expected ones.
        OSError: the files could not be read, or not in time.
    """
    if "://" not in location:
        return read_arrays(Path(location).expanduser(), MOST)
    host = host_of(location)
    if not _answers(location):
        raise ConnectionError(f"{host} does not answer")
    try:
        url = urlsplit(location)
        if url.path.endswith(".npz"):
            return read_arrays(_download(location, folder, "archive.npz"), MOST)
        for name in IDX_FILES.values():
            _download(url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl(), folder, name)
        return read_arrays(folder, MOST)
    except requests.HTTPError as error:
        raise OSError(f"{host}: the answer has the HTTP status {error.response.status_code}") from None
    except requests.RequestException as error:
        raise OSError(f"{host}: the download failed with {type(error).__name__}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{host}: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def host_of(location: str) -> str:
    """Return the host of a URL, or a path as it is."""
    return urlsplit(location).hostname or "the mirror's URL" if "://" in location else location


def _answers(url: str) -> bool:
    """Return whether there is any answer in ANSWER_SECONDS; requests limits each address, and no look-up of a name."""
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(requests.head(url, timeout=CONNECT_SECONDS))
        except requests.RequestException as error:
            if isinstance(error, requests.exceptions.SSLError) or not isinstance(error, requests.ConnectionError):
                answers.append(error)  # the download fails with the same

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return bool(answers)


def _download(url: str, folder: Path, name: str) -> Path:
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):  # their messages have URLs
        logger.setLevel("ERROR")
    timeout, headers = (CONNECT_SECONDS, READ_SECONDS), {"Accept-Encoding": "identity"}
    write = pooch.HTTPDownloader(sys.stderr.isatty(), chunk_size=2**16, timeout=timeout, headers=headers)

    def download(url: str, output_file: str, store: Any) -> None:
        with _CappedFile(io.FileIO(output_file, "w")) as file:
            write(url, file, store)

    store = pooch.create(path=folder, base_url="", registry={name: None}, urls={name: url}, retry_if_failed=RETRIES)
    return Path(store.fetch(name, downloader=download))


class _CappedFile(io.BufferedWriter):
    def write(self, chunk: Any, /) -> int:
        if self.tell() + len(chunk) > MOST:
            raise OSError(f"expected at most {MOST:,} bytes, the server sent more")
        return super().write(chunk)
