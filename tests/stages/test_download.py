"""The download stage with mirrors of every kind, over real HTTP on this machine, and with own data."""

import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import command
from classifier.data import mirrors
from classifier.data.arrays import IDX_FILES, Arrays, check_arrays, identify, read_npz, save_npz
from classifier.data.catalogue import DATA_SETS, DIGITS, MNIST_5K
from classifier.data.data_set import DataSet, own_data_changed, read_data_set
from classifier.paths import RAW, SOURCE
from stages import download
from tests.classifier.data.test_arrays import packed, write_idx
from tests.clone import PATIENCE

Reply = Callable[[BaseHTTPRequestHandler], None]
Use = Callable[..., None]
Patch = pytest.MonkeyPatch

NO_SERVER = "http://127.0.0.1:1/mnist.npz"


class Server(ThreadingHTTPServer):
    """Serves a reply for each path, whatever its query; `requests` lists the paths of GET requests, with theirs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def serve(self, *files: Path) -> None:
        self.replies |= {f"/files/{path.name}": body(path.read_bytes()) for path in files}

    def handle_error(self, *_: object) -> None:  # a client closes the connection
        pass


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.replies.get(self.path.split("?")[0], status(404))(self)

    def log_message(self, *_: object) -> None:
        pass


def status(code: int) -> Reply:
    return lambda handler: handler.send_error(code)


def body(content: bytes, length: int | None = None) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mirrors, "RETRIES", 0)
    monkeypatch.setattr(mirrors, "MOST", 100_000)
    with Server() as server:
        yield server
        server.shutdown()


def parameters(dataset: str, **changed: Any) -> str:
    """A params.yaml with the section download."""
    section = {"dataset": dataset, "fallback": None, "test_share": 0.2, "seed": 0, "resize": None, "most_gib": 1}
    return json.dumps({"download": section | changed})  # JSON is YAML


@pytest.fixture
def tiny(project, arrays, monkeypatch) -> Use:
    """Put the digits of `arrays` into the catalogue as `mnist`, with these mirrors."""

    def use(*locations: str) -> None:
        data_set = DataSet("mnist", DIGITS, identify(arrays), mirrors=locations)
        monkeypatch.setattr(download, "DATA_SETS", DATA_SETS | {"mnist": data_set})

    use(NO_SERVER)
    return use


def test_every_kind_of_mirror_gives_the_same_bytes_and_shows_no_secret(
    tiny, server, project, arrays, monkeypatch, capfd
):
    save_npz(project / "source.npz", arrays)
    server.serve(packed(project, arrays), *write_idx(project / "idx", arrays).iterdir())
    urls = [server.url(path) for path in ("/files/a.npz", "/files/", "/files")]
    secret = [f"{url}?token=s3cr3t".replace("://", "://user:s3cr3t@") for url in urls]
    for source in ["source.npz", "idx", *urls, *secret]:
        monkeypatch.setenv("DATASET_MIRROR", source)
        RAW.unlink(missing_ok=True)
        download.main()
        assert RAW.read_bytes() == (project / "source.npz").read_bytes()
        assert {path.name for path in RAW.parent.iterdir()} == {"mnist.npz", "dataset.json"}
        assert "s3cr3t" not in SOURCE.read_text()
    assert server.requests[9:] == [f"{path}?token=s3cr3t" for path in server.requests[:9]]
    data_set = read_data_set()
    assert (data_set.name, data_set.warning(), data_set.image_shape) == ("mnist", None, (28, 28, 1))
    assert (data_set.classes, data_set.arrays) == (DIGITS, identify(arrays))
    printed = capfd.readouterr()
    assert printed.err == ""
    assert "s3cr3t" not in printed.out
    assert printed.out.count("from 127.0.0.1 -> ") == 6


WRONG: dict[str, tuple[Reply | None, str]] = {
    "404": (status(404), "the download failed with HTTPError, HTTP status 404"),
    "no answer in time": (lambda _: time.sleep(PATIENCE), "the download failed with ReadTimeout"),
    "cut": (body(b"PK", length=1000), "the download failed with ChunkedEncodingError"),
    "too much": (body(bytes(200_000)), "the server sent more"),
    "no certificate": (None, "the download failed with SSLError"),
}


@pytest.mark.parametrize("named", [True, False], ids=["named", "in the catalogue"])
@pytest.mark.parametrize(("reply", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_of_a_mirror_is_refused_and_the_old_file_stays(
    tiny, server, monkeypatch, capfd, reply, message, named
):
    if "ReadTimeout" in message:
        monkeypatch.setattr(mirrors, "READ_SECONDS", 0.3)
    RAW.parent.mkdir(parents=True)
    RAW.write_bytes(b"the old file")
    server.replies["/mnist.npz"] = reply or status(200)
    location = server.url("/mnist.npz?token=s3cr3t&user=p@s3cr3t").replace("://", "://user:s3cr3t@")
    if not reply:
        location = location.replace("http:", "https:")
    if named:
        monkeypatch.setenv("DATASET_MIRROR", location)
    else:
        tiny(NO_SERVER, location)  # the fallback is not used, because a mirror answered
    with pytest.raises(SystemExit):
        command.run("download", download.main)
    printed = "".join(capfd.readouterr())
    assert message in printed
    assert "127.0.0.1: " in printed
    assert "s3cr3t" not in printed
    assert "Traceback" not in printed
    assert RAW.read_bytes() == b"the old file"
    assert [path.name for path in RAW.parent.iterdir()] == ["mnist.npz"]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("~/nowhere.npz", "download: ~/nowhere.npz does not exist; expected an npz archive or a folder of IDX"),
        ("other.npz", "download: other.npz: x_test is not that of mnist, "),
        ("ftp://user:s3cr3t@example.org/mnist.npz?s3cr3t", "example.org: the download failed with InvalidSchema"),
    ],
)
def test_a_wrong_mirror_and_other_images_are_refused(tiny, project, arrays, monkeypatch, refusal, location, message):
    save_npz(project / "other.npz", arrays | {"x_test": 255 - arrays["x_test"]})
    monkeypatch.setattr(mirrors, "RETRIES", 0)
    monkeypatch.setenv("DATASET_MIRROR", location)
    line = refusal("download", download.main)
    assert message in line
    assert "s3cr3t" not in line
    assert not RAW.exists()


def test_after_mirrors_without_an_answer_or_with_wrong_data_the_next_is_used(tiny, server, project, arrays, capsys):
    server.serve(packed(project, arrays | {"x_test": 255 - arrays["x_test"]}))
    server.serve(*write_idx(project / "idx", arrays).iterdir())
    tiny(NO_SERVER, server.url("/files/a.npz"), server.url("/files/"))
    download.main()
    printed = capsys.readouterr()
    assert "127.0.0.1 does not answer; trying the next mirror of mnist" in printed.err
    assert "127.0.0.1: x_test is not that of mnist" in printed.err
    assert "from 127.0.0.1" in printed.out
    assert server.requests[1:] == [f"/files/{name}" for name in IDX_FILES.values()]


def test_a_request_that_fails_is_sent_again_and_none_if_the_arrays_are_there(
    tiny, server, project, arrays, monkeypatch
):
    monkeypatch.setattr(mirrors, "RETRIES", 1)
    replies = iter([status(503), body(packed(project, arrays).read_bytes())])
    server.replies["/mnist.npz"] = lambda handler: next(replies)(handler)
    tiny(server.url("/mnist.npz"))
    download.main()
    download.main()
    assert server.requests == ["/mnist.npz", "/mnist.npz"]


def test_without_a_network_the_embedded_digits_are_used_with_a_warning(tiny, capsys):
    download.main()
    check_arrays(read_npz(RAW, mirrors.MOST), MNIST_5K, "the fallback")
    stand_in = read_data_set()
    assert (stand_in.name, stand_in.requested, stand_in.requested_images) == ("mnist-5k", "mnist", 16)
    warning = capsys.readouterr().err
    assert "download: warning: mnist-5k is used instead of mnist, which no mirror served" in warning
    assert "run `dvc repro --force download` online, or set DATASET_MIRROR" in warning


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_without_a_network_and_a_data_set_that_may_stand_in_the_stage_stops(tiny, project, refusal, monkeypatch, name):
    unreachable = replace(DATA_SETS["fashion-mnist"], mirrors=(NO_SERVER,))
    monkeypatch.setitem(download.DATA_SETS, "fashion-mnist", unreachable)
    (project / "params.yaml").write_text(parameters(name, fallback=None if name == "mnist" else "mnist-5k"))
    line = refusal("download", download.main)
    assert f"no mirror served {name}: 127.0.0.1 does not answer; for the full set, run `dvc repro --force" in line
    assert not RAW.exists()


def save_own(project: Path, arrays: Arrays) -> None:
    """Write an npz, which is the data set of params.yaml."""
    np.savez(project / "own.npz", **arrays)  # type: ignore[arg-type]
    (project / "params.yaml").write_text(parameters("own.npz"))


def own(project: Path, images: int = 12, shade: int = 0, classes: int = 3) -> None:
    """Write an npz of images of 9x10 in colour."""
    pixels = np.random.default_rng(1).integers(shade, 256, (images + 6, 9, 10, 3), np.uint8)
    labels = np.arange(images + 6) % classes
    arrays = {"x_train": pixels[6:], "y_train": labels[6:], "x_test": pixels[:6], "y_test": labels[:6]}
    arrays["x_test"][0] = arrays["x_train"][0]
    save_own(project, arrays)


def test_own_data_are_described_and_need_no_network(project, capsys, monkeypatch):
    own(project)
    monkeypatch.setattr(download, "fingerprint", lambda _: "10,000 files, MD5 0")
    download.main()
    printed = capsys.readouterr()
    assert "own.npz, 12 train and 6 test images of 9x10x3 in 3 classes, from 10,000 files -> " in printed.out
    assert printed.err == "download: warning: own.npz: 1 of 6 test images are in train too, with the same pixels\n"
    assert (read_data_set().name, read_data_set().classes) == ("own.npz", ("0", "1", "2"))


def test_a_copy_of_a_known_data_set_is_treated_as_that_set_until_it_changes(tiny, project, arrays, capsys, refusal):
    save_own(project, arrays | {"y_test": arrays["y_test"].astype(int)})
    download.main()
    assert "own.npz is mnist, by the SHA-256 of its arrays, and is treated as such\n" in capsys.readouterr().err
    copy = read_data_set()
    assert (copy.name, copy.requested, copy.classes, copy.warning()) == ("mnist", "own.npz", DIGITS, None)
    assert not own_data_changed()
    save_own(project, arrays | {"x_test": 255 - arrays["x_test"]})
    assert own_data_changed()
    assert "own.npz has changed since" in refusal("download", download.main)


@pytest.mark.parametrize(("shade", "inverted"), [(0, False), (100, True)])
def test_light_images_are_described_as_inverted_and_the_arrays_are_those_of_the_file(project, arrays, shade, inverted):
    arrays["x_train"] = arrays["x_train"] // 2 + np.uint8(shade)
    save_own(project, arrays)
    download.main()
    assert json.loads(SOURCE.read_text()).get("inverted", False) is read_data_set().inverted is inverted
    check_arrays(arrays, read_data_set(), "own.npz")


def test_own_data_above_the_limit_are_refused_and_the_line_names_the_parameter(project, refusal):
    own(project)
    with zipfile.ZipFile(project / "own.npz", "a") as archive:
        archive.filelist[0].file_size = 2**30  # as the list of members has it, which is written anew
        archive.writestr("more.npy", b"")
    assert "download.most_gib in params.yaml is the limit" in refusal("download", download.main)


@pytest.mark.parametrize("changed", [{"images": 15}, {"shade": 1}, {"classes": 4}])
def test_changed_own_data_are_refused_until_the_description_is_removed(project, refusal, changed):
    own(project)
    download.main()
    before = RAW.read_bytes(), SOURCE.read_bytes()
    assert not own_data_changed()
    own(project, **changed)
    assert own_data_changed()
    line = refusal("download", download.main)
    assert line.startswith("download: own.npz has changed since data/raw/dataset.json described it: restore the files")
    assert line.endswith("accept the change with `rm data/raw/dataset.json` and `dvc repro`")
    assert (RAW.read_bytes(), SOURCE.read_bytes()) == before
    SOURCE.unlink()
    download.main()
    assert RAW.read_bytes() != before[0]


def test_another_parameter_or_another_source_is_not_a_change_of_own_data(project):
    own(project)
    download.main()
    (project / "params.yaml").write_text(parameters("own.npz", resize=[8, 8]))
    download.main()
    assert read_data_set().image_shape == (8, 8, 3)
    own(project, images=15)
    (project / "own.npz").rename(project / "other.npz")
    (project / "params.yaml").write_text(parameters("other.npz"))
    download.main()
    assert read_data_set().arrays["x_train"].shape == (15, 9, 10, 3)
