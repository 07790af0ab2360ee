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

ANSWER_SECONDS = 10.0  # to look up a host and get an answer to HEAD; for four mirrors less than a minute
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
RETRIES = 2  # pooch waits one second before the first, two before the second


def fetch_arrays(location: str, most: int, folder: Path) -> Arrays:
    """Return the arrays at a URL or path; the caller compares them with the catalogue.

    A message names the host of a URL alone, because the rest may have a password or a token.

    Args:
        location: a file, or a URL whose path ends in `.npz`, is an archive; anything else is a folder of IDX files.
        most: bytes of a file, packed or unpacked. folder: for downloads; created and removed here.

    Raises:
        ConnectionError: neither server nor proxy answers. ValueError: the files are not the expected ones.
        OSError: the files could not be read, or not in time.
    """
    if "://" not in location:
        return read_arrays(Path(location).expanduser(), most)
    host = host_of(location)
    if not _answers(location):
        raise ConnectionError(f"{host} does not answer")
    try:
        url = urlsplit(location)
        if url.path.endswith(".npz"):
            return read_arrays(_download(location, folder, "archive.npz", most), most)
        for name in IDX_FILES.values():
            _download(url._replace(path=f"{url.path.rstrip('/')}/{name}").geturl(), folder, name, most)
        return read_arrays(folder, most)
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


def _download(url: str, folder: Path, name: str, most: int) -> Path:
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):  # their messages have URLs
        logger.setLevel("ERROR")
    store = pooch.create(path=folder, base_url="", registry={name: None}, urls={name: url}, retry_if_failed=RETRIES)
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=2**16,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        headers={"Accept-Encoding": "identity"},
    )

    def download(url: str, output_file: str, store: Any) -> None:
        with _CappedFile(io.FileIO(output_file, "w")) as file:
            file.most = most
            downloader(url, file, store)

    return Path(store.fetch(name, downloader=download))


class _CappedFile(io.BufferedWriter):
    most = 0

    def write(self, chunk: Any, /) -> int:
        if self.tell() + len(chunk) > self.most:
            raise OSError(f"expected at most {self.most:,} bytes, the server sent more")
        return super().write(chunk)
