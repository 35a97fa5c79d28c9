"""Those who are told of a retrain's end: a command and a web server that really run."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gradual.retraining.config import Notify
from gradual.retraining.notify import notify

RECORD = {"source": "adult", "decision": "promoted", "at": Path("a/page.html"), "gain": 0.01}
AS_SENT = {**RECORD, "at": "a/page.html"}


class Webhook(BaseHTTPRequestHandler):
    """Keeps what is posted to /fine, fails at /broken, answers nothing at /slow."""

    taken: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/slow"):
            time.sleep(1)
            return
        self.taken.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(500 if self.path.startswith("/broken") else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    taken: list[tuple[str, Any]] = []
    handler = type("Handler", (Webhook,), {"taken": taken})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()


def test_a_command_reads_the_record_and_a_server_is_sent_it(
    tmp_path: Path, webhook: tuple[str, list[tuple[str, Any]]]
) -> None:
    url, taken = webhook
    told = tmp_path / "told.json"
    notify(Notify(command=f"cat > '{told}'", url=f"{url}/fine"), RECORD)
    assert json.loads(told.read_text()) == AS_SENT
    assert taken == [("application/json", AS_SENT)]


def test_a_url_with_a_secret_is_read_from_the_environment_and_never_logged(
    webhook: tuple[str, list[tuple[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, taken = webhook
    monkeypatch.setenv("RETRAIN_WEBHOOK", f"{url}/broken/s3cret?token=s3cret")
    with caplog.at_level(logging.DEBUG):
        notify(Notify(url="$RETRAIN_WEBHOOK"), RECORD)
    assert [record for _, record in taken] == [AS_SENT]
    assert "127.0.0.1 refused the record with status 500" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cat > /dev/null; echo no route to the pager >&2; exit 7", "status 7"),
        ("exit 0 <&-", ""),  # it does not read the record
        ("sleep 60 & sleep 60", "within 0.5 seconds and was killed"),
        ("/nowhere/page_oncall", "status 127"),
    ],
)
def test_a_command_that_fails_is_logged_and_no_more(
    command: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = time.monotonic()
    notify(Notify(command=command, seconds=0.5), RECORD | {"long": "x" * 200_000})
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)
    assert time.monotonic() - before < 20


@pytest.mark.parametrize(
    ("path", "said"), [("/slow", "did not take the record"), ("/broken", "status 500")]
)
def test_a_server_that_fails_is_logged_and_no_more(
    path: str,
    said: str,
    webhook: tuple[str, list[tuple[str, Any]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    notify(Notify(url=webhook[0] + path, seconds=0.3), RECORD)
    assert said in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "http://[", "$UNSET", "file:///etc"])
def test_an_address_that_cannot_be_used_is_logged_and_no_more(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ADDRESS", address)
    notify(Notify(url="$ADDRESS"), RECORD)
    assert "notify.url" in caplog.text


def test_with_nobody_to_tell_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    notify(Notify(), RECORD)
    assert caplog.text == ""


def test_what_is_no_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="begin with https://") as error:
        Notify(url="ftp://user:s3cret@host")
    assert "s3cret" not in str(error.value)
    with pytest.raises(ValueError, match="seconds"):
        Notify(seconds=0)
