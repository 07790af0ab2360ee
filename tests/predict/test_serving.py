"""The example of docs/serving.md, where FastAPI is installed."""

import re

import pytest

from tests.classifier.data.pictures import encoded
from tests.conftest import REPOSITORY
from tests.predict.hand import line, on_paper


@pytest.mark.model
def test_the_server_of_the_document_reads_a_posted_picture_and_refuses_a_text(templates, tmp_path, monkeypatch):
    pytest.importorskip("fastapi", reason="FastAPI is not installed")
    testclient = pytest.importorskip("fastapi.testclient", reason="httpx, for FastAPI's test client, is missing")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/model.onnx").symlink_to(templates)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"(?s)```python\n(.*?)```", (REPOSITORY / "docs/serving.md").read_text())
    names: dict[str, object] = {"__name__": "server"}
    exec(compile(example, "server.py", "exec"), names)
    client = testclient.TestClient(names["app"])
    headers = {"Content-Type": "application/octet-stream"}
    answer = client.post("/read", content=encoded(on_paper(line("7", (90, 90)))), headers=headers)
    assert answer.status_code == 200
    assert [digit["class"] for digit in answer.json()] == ["7"]
    refusal = client.post("/read", content=b"a text", headers=headers)
    assert (refusal.status_code, refusal.json()) == (400, {"detail": "not a PNG or JPEG picture"})
