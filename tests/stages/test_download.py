"""The download stage with mirrors of every kind, over real HTTP on this machine."""

import errno
import gzip
import json
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from classifier import command
from classifier.data import mirrors
from classifier.data.catalogue import DATA_SETS, DIGITS, EMBEDDED, MNIST_5K
from classifier.data.description import DataSet, Mirror
from classifier.data.embedded import load_mnist_5k
from classifier.data.formats import Arrays, save_npz
from classifier.data.idx import IDX_FILES
from classifier.data.own import files
from classifier.paths import RAW, SOURCE
from stages import download
from tests.classifier.data.test_formats import members, write_idx, write_npz
from tests.whole_arrays import identities, read_npz

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Serves a reply for each path; `requests` lists the requested paths."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                server.replies.get(self.path, status(404))(self)

            do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # when a client closes the connection
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


def status(code: int) -> Reply:
    return lambda handler: handler.send_error(code)


def body(content: bytes, length: int | None = None) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        time.sleep(0.05)
        handler.wfile.write(b"P")


def redirect_to_itself(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def partial_content(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(206)
    handler.send_header("Content-Range", "bytes 0-1/1000")
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"PK")


def endless_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(bytes(2**16))


INFLATING = gzip.compress(bytes(50_000_000))


def inflating(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(INFLATING)))
    handler.end_headers()
    handler.wfile.write(INFLATING)


def redirect_with_a_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere.npz")
    handler.send_header("Content-Length", str(1000 * 2**16))
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(bytes(2**16))


def redirect_with_long_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    for number in range(90):
        handler.send_header(f"X-{number}", "x" * 60_000)
    handler.end_headers()


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: and more\r\n")


def not_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example.org ready\r\n")


def malformed_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nno colon\r\n\r\nPK")


def stall(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mirrors, "RETRIES", 0)
    monkeypatch.setattr(mirrors, "READ_SECONDS", 0.3)
    monkeypatch.setattr(mirrors, "FETCH_SECONDS", 3.0)
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def parameters(dataset: str, **changed: Any) -> str:
    """A params.yaml with the section download."""
    section = {"dataset": dataset, "fallback": None, "test_share": 0.2, "seed": 0, "resize": None, "most_gib": 1}
    return json.dumps({"download": section | changed})  # JSON is YAML


@pytest.fixture
def tiny(project: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the digits of `arrays` into the catalogue as `mnist`, with these mirrors."""

    def use(*locations: str, sha256: str | None = None) -> None:
        data_set = DataSet(
            "mnist", DIGITS, identities(arrays), mirrors=tuple(Mirror(each, sha256) for each in locations)
        )
        monkeypatch.setattr(download, "DATA_SETS", DATA_SETS | {"mnist": data_set})

    use(url_without_server())
    return use


def url_without_server() -> str:
    """A URL on this machine at a port without a server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/mnist.npz"


def npz(folder: Path, arrays: Arrays) -> bytes:
    return write_npz(folder / "source.npz", members(arrays)).read_bytes()


def fetch_from(location: str) -> None:
    with mirrors.fetch(Mirror(location), 0, Path("unused")):
        pass


def test_every_kind_of_source_gives_the_same_bytes(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_idx(project / "idx", arrays)
    server.replies["/mnist.npz"] = body(npz(project, arrays))
    for path in folder.iterdir():
        server.replies[f"/idx/{path.name}"] = body(path.read_bytes())
    written = set()
    for source in ["source.npz", "idx", server.url("/mnist.npz"), server.url("/idx/"), server.url("/idx")]:
        monkeypatch.setenv("DATASET_MIRROR", source)
        RAW.unlink(missing_ok=True)
        download.main()
        written.add(RAW.read_bytes())
        assert {path.name for path in RAW.parent.iterdir()} == {"mnist.npz", "dataset.json"}
    save_npz(project / "expected.npz", arrays)
    assert written == {(project / "expected.npz").read_bytes()}
    source = json.loads(SOURCE.read_text())
    assert (source["dataset"], source["requested"], source["image_shape"]) == ("mnist", "mnist", [28, 28, 1])
    assert source["classes"] == list("0123456789")
    assert source["arrays"]["x_test"] == {"shape": [8, 28, 28], "sha256": identities(arrays)["x_test"].sha256}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (status(404), "404 Not Found"),
        (status(500), "500 Server Error"),
        (stall, "Read timed out"),
        (body(b"PK", length=1000), "IncompleteRead"),
        (body(b"<html>Sign in</html>"), "not a whole npz archive: File is not a zip file"),
        (body(bytes(200_000)), "the server sent more"),
        (body(b"PK" * 1000, length=2), "not a whole npz archive"),
        (trickle, "gave up after 3 seconds"),
        (redirect_to_itself, "Exceeded 30 redirects"),
        (partial_content, "206 Partial Content"),
        (endless_body, "the server sent more"),
        (inflating, "not a whole npz archive"),
        (not_http, "BadStatusLine"),
        (redirect_with_a_body, "404 Not Found"),
        (endless_headers, "got more than 100 headers"),
    ],
)
def test_a_wrong_answer_of_a_mirror_is_refused_and_the_old_file_stays(
    tiny: Callable[..., None],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
    reply: Reply,
    message: str,
) -> None:
    RAW.parent.mkdir(parents=True)
    RAW.write_bytes(b"the old file")
    server.replies["/mnist.npz"] = reply
    monkeypatch.setenv("DATASET_MIRROR", server.url("/mnist.npz"))
    tracemalloc.start()
    try:
        line = refusal("download", download.main)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert line.startswith("download: ")
    assert message in line
    assert RAW.read_bytes() == b"the old file"
    assert [path.name for path in RAW.parent.iterdir()] == ["mnist.npz"]


def test_redirects_with_long_headers_do_not_fill_the_memory(
    tiny: Callable[..., None], server: Server, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    server.replies["/mnist.npz"] = redirect_with_long_headers
    monkeypatch.setenv("DATASET_MIRROR", server.url("/mnist.npz"))
    assert "expected headers of at most 65,536 bytes, the server sent more" in refusal("download", download.main)
    assert len(server.requests) == 1


def test_a_valid_archive_with_other_digits_is_refused(
    tiny: Callable[..., None],
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
) -> None:
    arrays["x_test"] = 255 - arrays["x_test"]
    npz(project, arrays)
    monkeypatch.setenv("DATASET_MIRROR", "source.npz")
    assert "source.npz: x_test is not that of mnist: expected SHA-256" in refusal("download", download.main)
    assert not RAW.exists()


def test_an_archive_with_another_number_of_images_is_refused(
    tiny: Callable[..., None],
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
) -> None:
    arrays["x_test"] = arrays["x_test"][:7]
    npz(project, arrays)
    monkeypatch.setenv("DATASET_MIRROR", "source.npz")
    assert "x_test of mnist must have the shape (8, 28, 28), found (7, 28, 28)" in refusal("download", download.main)


def test_fashion_mnist_is_read_from_the_files_of_its_publisher(
    server: Server, project: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in write_idx(project / "idx", arrays).iterdir():
        server.replies[f"/{path.name}"] = body(path.read_bytes())
    of_the_catalogue = DATA_SETS["fashion-mnist"]
    assert {urlsplit(mirror.location).path[-1] for mirror in of_the_catalogue.mirrors} == {"/"}  # folders, not archives
    served = replace(of_the_catalogue, arrays=identities(arrays), mirrors=(Mirror(server.url("/")),))
    monkeypatch.setattr(download, "DATA_SETS", DATA_SETS | {"fashion-mnist": served})
    (project / "params.yaml").write_text(parameters("fashion-mnist"))
    download.main()
    source = json.loads(SOURCE.read_text())
    assert (source["dataset"], source["licence"]) == ("fashion-mnist", "MIT")
    assert source["classes"][8:] == ["Bag", "Ankle boot"]
    assert server.requests == [f"/{name}" for name in IDX_FILES.values()]


@pytest.mark.parametrize("name", [name for name in DATA_SETS if name not in EMBEDDED])
def test_other_images_in_the_shape_of_a_data_set_are_not_taken_for_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], name: str
) -> None:
    black = {member: np.zeros(array.shape, np.uint8) for member, array in DATA_SETS[name].arrays.items()}
    save_npz(project / "black.npz", black)
    (project / "params.yaml").write_text(parameters(name))
    monkeypatch.setenv("DATASET_MIRROR", "black.npz")
    digest = DATA_SETS[name].arrays["x_train"].sha256
    assert f"black.npz: x_train is not that of {name}: expected SHA-256 {digest}" in refusal("download", download.main)
    assert not RAW.exists()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("nowhere.npz", "nowhere.npz: no such file or folder"),
        ("ftp://example.org/mnist.npz", "a mirror must be an http or https URL or a path"),
        ("http://", "is not a valid URL"),
        ("params.yaml", "not a whole npz archive"),
        (".", "expected the IDX file train-images-idx3-ubyte.gz"),
        ("/dev/zero", "/dev/zero: a mirror must be a regular file or a folder"),
    ],
)
def test_a_wrong_name_of_a_mirror_is_refused(
    tiny: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
    location: str,
    message: str,
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", location)
    assert message in refusal("download", download.main)


def test_after_an_archive_with_a_wrong_hash_the_next_mirror_is_used(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.replies["/mnist.npz"] = body(npz(project, arrays))
    for path in write_idx(project / "idx", arrays).iterdir():
        server.replies[f"/idx/{path.name}"] = body(path.read_bytes())
    tiny(server.url("/mnist.npz"), sha256="0" * 64)
    with pytest.raises(ValueError, match="answered with an error or wrong data"):
        download.main()
    download.DATA_SETS["mnist"] = DataSet(
        "mnist",
        DIGITS,
        identities(arrays),
        mirrors=(Mirror(server.url("/mnist.npz"), "0" * 64), Mirror(server.url("/idx/"))),
    )
    download.main()
    printed = capsys.readouterr()
    assert "SHA256 hash of downloaded file" in printed.err
    assert "trying the next mirror" in printed.err
    assert f"from {server.url('/idx/')}" in printed.out


def test_a_request_that_fails_is_sent_again(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirrors, "RETRIES", 1)
    content = npz(project, arrays)

    def fail_once(handler: BaseHTTPRequestHandler) -> None:
        (body(content) if server.requests.count("/mnist.npz") > 1 else status(503))(handler)

    server.replies["/mnist.npz"] = fail_once
    tiny(server.url("/mnist.npz"))
    download.main()
    assert server.requests == ["/mnist.npz", "/mnist.npz"]
    assert RAW.exists()


def test_without_a_network_the_embedded_digits_are_used_with_a_warning(
    tiny: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    download.main()
    MNIST_5K.check(identities(read_npz(RAW, MNIST_5K.size)), "the fallback")
    source = json.loads(SOURCE.read_text())
    assert (source["dataset"], source["requested"]) == ("mnist-5k", "mnist")
    warning = capsys.readouterr().err
    assert "download: warning: mnist-5k is used instead of mnist, which no mirror served" in warning
    assert "run `dvc repro --force download` once online, or set DATASET_MIRROR" in warning


def test_digits_do_not_stand_in_for_another_data_set(
    project: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = replace(DATA_SETS["fashion-mnist"], mirrors=(Mirror(url_without_server()),))
    monkeypatch.setattr(download, "DATA_SETS", DATA_SETS | {"fashion-mnist": unreachable})
    (project / "params.yaml").write_text(parameters("fashion-mnist", fallback="mnist-5k"))
    assert "no mirror served fashion-mnist" in refusal("download", download.main)
    assert not RAW.exists()


def test_the_fallback_is_not_used_after_wrong_data(
    tiny: Callable[..., None], server: Server, refusal: Callable[..., str]
) -> None:
    server.replies["/mnist.npz"] = body(b"<html>Sign in</html>")
    tiny(url_without_server(), server.url("/mnist.npz"))
    line = refusal("download", download.main)
    assert "no mirror served mnist" in line
    assert "does not answer" in line
    assert "answered with an error or wrong data" in line
    assert not RAW.exists()


def test_without_a_network_and_a_fallback_the_stage_stops(
    tiny: Callable[..., None], project: Path, refusal: Callable[..., str]
) -> None:
    (project / "params.yaml").write_text(parameters("mnist"))
    assert "does not answer; for the full set, run `dvc repro --force download` once online" in refusal(
        "download", download.main
    )


def test_if_a_named_mirror_does_not_answer_the_others_are_tried_with_a_warning(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.replies["/mnist.npz"] = body(npz(project, arrays))
    tiny(server.url("/mnist.npz"))
    monkeypatch.setenv("DATASET_MIRROR", url_without_server())
    download.main()
    assert "does not answer; trying the mirrors of mnist" in capsys.readouterr().err
    assert RAW.exists()


def test_a_name_look_up_without_an_answer_ends_with_an_error(
    tiny: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    forever = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: forever.wait(30))
    monkeypatch.setattr(mirrors, "SEARCH_SECONDS", 0.2)
    with pytest.raises(ConnectionError, match=r"nowhere\.invalid/mnist\.npz does not answer"):
        fetch_from("http://nowhere.invalid/mnist.npz")
    forever.set()


HIDDEN = [
    ("http://user:p%40ss@host/mnist.npz", "http://***@host/mnist.npz"),
    ("HTTPS://user:p@s/s#w@host:8080/mnist.npz", "HTTPS://***@host:8080/mnist.npz"),
    ("http://user:p?ss@host/mnist.npz", "http://***"),
    ("http://s3cr3t@host/mnist.npz", "http://***@host/mnist.npz"),
    ("http://host/@scope/mnist.npz", "http://host/@scope/mnist.npz"),
    ("http://host/mnist.npz?token=p@ss", "http://***"),
    ("failed with url: /a.npz?token=p@ss (Caused by", "failed with url: /a.npz?*** (Caused by"),
    ("404 for url: http://u:p@host/a?b=c&d=e; next", "404 for url: http://***@host/a?***; next"),
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_a_url_is_shown_without_its_user_password_and_query(text: str, shown: str) -> None:
    assert mirrors.shown(text) == shown


@pytest.mark.parametrize(
    "reply",
    [
        status(404),
        status(500),
        stall,
        trickle,
        not_http,
        redirect_to_itself,
        partial_content,
        body(b"PK", length=1000),
        body(bytes(200_000)),
        body(b"not an archive"),
        endless_headers,
        malformed_headers,
    ],
)
def test_no_secret_of_a_mirror_is_shown(
    tiny: Callable[..., None],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    reply: Reply,
) -> None:
    path = "/mnist.npz?token=s3cr3t&user=p@s3cr3t"
    server.replies[path] = reply
    monkeypatch.setattr(mirrors, "FETCH_SECONDS", 0.8)
    location = server.url(path).replace("://", "://user:s3cr3t@")
    monkeypatch.setenv("DATASET_MIRROR", location)
    with pytest.raises(SystemExit):
        command.run("download", download.main)
    monkeypatch.delenv("DATASET_MIRROR")
    tiny(location, url_without_server().replace("://", "://user:s3cr3t@") + "?s3cr3t")
    with pytest.raises(SystemExit):
        command.run("download", download.main)
    assert server.requests
    printed = "".join(capfd.readouterr())
    assert "mirror" in printed
    assert "s3cr3t" not in printed


@pytest.mark.parametrize(
    "location", ["http://user:s3cr3t@", "http://user:s3 s3cr3t@host/a", "ftp://user:s3cr3t@host/a?s3cr3t"]
)
def test_no_secret_of_an_invalid_location_is_shown(
    tiny: Callable[..., None], monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], location: str
) -> None:
    monkeypatch.setenv("DATASET_MIRROR", location)
    assert "s3cr3t" not in refusal("download", download.main)


def test_a_password_and_a_token_are_used_but_not_stored(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server.replies["/mnist.npz?token=s3cr3t"] = body(npz(project, arrays))
    for path in write_idx(project / "idx", arrays).iterdir():
        server.replies[f"/idx/{path.name}?token=s3cr3t"] = body(path.read_bytes())
    for path in ("/mnist.npz?token=s3cr3t", "/idx?token=s3cr3t", "/idx/?token=s3cr3t"):
        monkeypatch.setenv("DATASET_MIRROR", server.url(path).replace("://", "://user:s3cr3t@"))
        RAW.unlink(missing_ok=True)
        download.main()
        printed = capfd.readouterr()
        assert printed.err == ""
        assert f"{path.split('?')[0]}?***" in printed.out
        assert "s3cr3t" not in printed.out
        assert all(b"s3cr3t" not in kept.read_bytes() for kept in RAW.parent.iterdir())


def test_the_stage_waits_for_a_slow_server(
    tiny: Callable[..., None],
    server: Server,
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def slow_headers(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.0 200 OK\r\nX-Slow: yes\r\n":
            handler.wfile.write(bytes([byte]))
            time.sleep(0.02)
        handler.wfile.write(b"\r\n" + content)

    content = npz(project, arrays)
    server.replies["/mnist.npz"] = slow_headers
    monkeypatch.setattr(mirrors, "SEARCH_SECONDS", 0.3)
    tiny(server.url("/mnist.npz"))
    download.main()
    assert capsys.readouterr().err == ""
    assert '"dataset": "mnist"' in SOURCE.read_text()


def test_the_fallback_is_not_used_for_a_server_that_is_too_slow(
    tiny: Callable[..., None], server: Server, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    server.replies["/mnist.npz"] = stall
    tiny(server.url("/mnist.npz"))
    assert "no mirror served mnist" in refusal("download", download.main)
    monkeypatch.setenv("DATASET_MIRROR", server.url("/mnist.npz"))
    assert "Read timed out" in refusal("download", download.main)
    assert not RAW.exists()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_behind_a_proxy_only_the_proxy_must_accept_a_connection(
    tiny: Callable[..., None], server: Server, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(f"{scheme}_proxy", url_without_server().removesuffix("/mnist.npz"))
    with pytest.raises(ConnectionError, match="does not answer"):
        fetch_from(f"{scheme}://nowhere.invalid/mnist.npz")
    monkeypatch.setenv(f"{scheme}_proxy", server.url("").replace("://", "://user:s3cr3t@"))
    with pytest.raises(OSError, match=r"404|405|501|does not answer") as refused:
        fetch_from(f"{scheme}://nowhere.invalid/mnist.npz")
    assert isinstance(refused.value, ConnectionError) == (scheme == "https")  # an https request ends at the proxy
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "port"), [("http://a.invalid", 80), ("https://a.invalid", 443), ("https://a.invalid:8443", 8443)]
)
def test_the_port_is_that_of_the_url_or_the_default_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, host: str, port: int
) -> None:
    tried = []

    def refuse(address: tuple[str, int], timeout: float) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ConnectionError, match="does not answer"):
        fetch_from(f"{host}/mnist.npz")
    assert tried == [("a.invalid", port)]


def test_the_search_over_all_mirrors_takes_less_than_a_minute() -> None:
    assert (1 + max(len(each.mirrors) for each in DATA_SETS.values())) * mirrors.SEARCH_SECONDS < 60


def test_a_verified_file_of_an_earlier_run_is_used_without_a_network(
    tiny: Callable[..., None], arrays: Arrays, capsys: pytest.CaptureFixture[str]
) -> None:
    RAW.parent.mkdir(parents=True)
    save_npz(RAW, arrays)
    download.main()
    assert "from the file of an earlier run" in capsys.readouterr().out
    np.testing.assert_array_equal(read_npz(RAW, 10**6)["x_train"], arrays["x_train"])


def test_the_embedded_data_set_has_equally_many_images_of_each_digit() -> None:
    labels = load_mnist_5k()
    assert np.bincount(labels["y_train"]).tolist() == [400] * 10
    assert np.bincount(labels["y_test"]).tolist() == [100] * 10


def own(project: Path, images: int = 12, shade: int = 0, classes: int = 3) -> None:
    """Write an npz of images of 9x10 in colour, which is the data set of params.yaml."""
    random = np.random.default_rng(1)
    arrays = {
        "x_train": random.integers(0, 256, (images, 9, 10, 3), np.uint8),
        "y_train": np.arange(images) % classes,
        "x_test": np.random.default_rng(2).integers(shade, 256, (6, 9, 10, 3), np.uint8),
        "y_test": np.arange(6) % classes,
    }
    np.savez(project / "own.npz", **arrays)
    (project / "params.yaml").write_text(parameters("own.npz"))


def test_own_data_are_described_and_need_no_network(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(project)
    download.main()
    printed = "own.npz, 12 train and 6 test images of 9x10x3 in 3 classes, from 1 file -> data/raw/mnist.npz"
    assert printed in capsys.readouterr().out
    source = json.loads(SOURCE.read_text())
    assert (source["dataset"], source["requested"], source["image_shape"]) == ("own.npz", "own.npz", [9, 10, 3])
    assert source["classes"] == ["0", "1", "2"]
    assert source["files"].startswith("1 file, MD5 ")
    assert read_npz(RAW, 10**6)["x_train"].shape == (12, 9, 10, 3)


def test_own_data_above_the_limit_are_refused_and_the_line_names_the_parameter(
    project: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own(project)
    with (project / "own.npz").open("ab") as file:
        file.truncate(2**30 + 1)  # a sparse file
    line = refusal("download", download.main)
    assert "own.npz: has 1,073,741,825 bytes, expected at most 1,073,741,824; download.most_gib in params.yaml" in line
    (project / "params.yaml").write_text(parameters("own.npz", most_gib=2))
    assert "own.npz: not a whole npz archive" in refusal("download", download.main)
    assert not RAW.exists()


def test_a_full_disk_is_not_a_fault_of_the_mirror(
    tiny: Callable[..., None],
    project: Path,
    arrays: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
) -> None:
    tiny(str(write_npz(project / "a.npz", members(arrays))))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "save_npz", full)
    assert "data/raw/mnist.npz could not be written: No space left on device" in refusal("download", download.main)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 15}, "x_train has the shape (15, 9, 10, 3), not (12, 9, 10, 3); y_train has the shape (15,), not "),
        ({"shade": 1}, "has changed since data/raw/dataset.json described it: x_test has other contents; restore"),
        ({"classes": 4}, "3 is new; y_train has other contents; y_test has other contents; restore"),
        ({"classes": 2}, "2 is gone; y_train has other contents"),
    ],
)
def test_changed_own_data_are_named_and_refused_until_the_description_is_removed(
    project: Path, refusal: Callable[..., str], changed: dict[str, int], message: str
) -> None:
    own(project)
    download.main()
    before = RAW.read_bytes(), SOURCE.read_bytes()
    assert not files.changed()
    own(project, **changed)
    assert files.changed()
    line = refusal("download", download.main)
    assert message in line
    assert line.endswith("accept the change with `rm data/raw/dataset.json` and `dvc repro`")
    assert (RAW.read_bytes(), SOURCE.read_bytes()) == before
    SOURCE.unlink()
    download.main()
    assert RAW.read_bytes() != before[0]


def test_another_parameter_or_another_source_is_not_a_change_of_own_data(project: Path) -> None:
    own(project)
    download.main()
    (project / "params.yaml").write_text(parameters("own.npz", resize=[8, 8]))
    download.main()
    assert json.loads(SOURCE.read_text())["image_shape"] == [8, 8, 3]
    own(project, images=15)
    (project / "own.npz").rename(project / "other.npz")
    (project / "params.yaml").write_text(parameters("other.npz"))
    download.main()
    assert json.loads(SOURCE.read_text())["arrays"]["x_train"]["shape"] == [15, 9, 10, 3]


def test_a_path_without_data_is_refused(project: Path, refusal: Callable[..., str]) -> None:
    (project / "params.yaml").write_text(parameters("./nowhere"))
    assert "nowhere: cannot be read: No such file or directory" in refusal("download", download.main)
