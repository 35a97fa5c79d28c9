"""Tell a command and a web address how a retrain has ended."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gradual.retraining.config import Notify

logger = logging.getLogger(__name__)


def notify(whom: Notify, record: Mapping[str, Any]) -> None:
    """Hand a record over: to a command's standard input, to a URL by POST, to both, or to nobody.

    What goes wrong there is a warning in the log, and never an error of the run. Addresses of
    webhooks often hold a secret, so no more of one than its host is ever logged.

    Args:
        whom: Command and URL, and how many seconds each may take. In a URL `$NAME` is replaced by
            that variable of the environment.
        record: What is sent, as JSON; what JSON does not know is sent as text.
    """
    body = json.dumps(record, default=str).encode()
    if whom.command is not None:
        _run(whom.command, body, whom.seconds)
    if whom.url is not None:
        _post(os.path.expandvars(whom.url), body, whom.seconds)


def _run(command: str, body: bytes, seconds: float) -> None:
    # A session of its own, so that what the shell has started ends with it.
    with subprocess.Popen(
        command,
        shell=True,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            said, _ = process.communicate(body, timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            logger.warning(
                "notify.command has not ended within %g seconds and was killed: %s",
                seconds, command,
            )  # fmt: skip
            return
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        logger.warning(
            "notify.command ended with status %d: %s%s",
            process.returncode, command, "".join(f"\n{line}" for line in last),
        )  # fmt: skip


def _post(url: str, body: bytes, seconds: float) -> None:
    host = "its host"
    headers = {"Content-Type": "application/json"}
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):  # a variable that is not set, or names a file
            raise ValueError("no address of the web")
        host = str(parts.hostname)
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=seconds):
            logger.debug("notify.url: %s has taken the record", host)
    except urllib.error.HTTPError as error:
        logger.warning("notify.url: %s refused the record with status %d", host, error.code)
    except (OSError, ValueError, http.client.HTTPException) as error:
        logger.warning("notify.url: %s did not take the record (%s)", host, type(error).__name__)
