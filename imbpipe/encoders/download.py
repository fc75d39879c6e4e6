"""Fetching one file over HTTP: known within seconds not to come, or whole and checked."""

import hashlib
import os
import threading
import urllib.error
import urllib.request
import uuid
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from imbpipe.errors import WeightsError

CONNECT_SECONDS = 3.0
STALL_SECONDS = 10.0
CHUNK = 1 << 20


def probe(url: str, seconds: float = CONNECT_SECONDS) -> int:
    """HTTP status of `url` after redirections; 0 if no answer comes in `seconds`, name look-up included."""
    answers: list[int] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(_request(url, "HEAD"), timeout=seconds) as response:
                answers.append(response.status)
        except urllib.error.HTTPError as error:
            answers.append(error.code)
            error.close()
        except (OSError, HTTPException, ValueError):
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else 0


def download(
    url: str,
    target: Path,
    sha256: str = "",
    *,
    connect: float = CONNECT_SECONDS,
    stall: float = STALL_SECONDS,
) -> Path:
    """Fetch `url` into `target`, which appears whole or not at all; a bar on stderr if it is a terminal.

    sha256: the beginning of the file's, as much as is known.
    connect, stall: seconds to wait for an answer, and for the next bytes.

    Raises WeightsError: no answer, an HTTP error, a stall, fewer bytes than announced, another hash,
    nowhere to write.
    """
    if not probe(url, connect):
        raise WeightsError(f"{url} does not answer")
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(_request(url, "GET"), timeout=stall) as response:
            found = _save(response, part, target.name)
        if not found.startswith(sha256):
            raise WeightsError(f"{url} gave a file whose SHA-256 is {found}, not {sha256}…")
        os.replace(part, target)
    except urllib.error.HTTPError as error:
        error.close()
        raise WeightsError(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise WeightsError(f"{url} was not downloaded ({str(error) or type(error).__name__})") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _request(url: str, method: str) -> urllib.request.Request:
    return urllib.request.Request(url, method=method, headers={"User-Agent": "imbpipe"})


def _save(response: HTTPResponse, part: Path, name: str) -> str:
    from tqdm import tqdm

    size = int(response.headers.get("Content-Length") or 0)
    digest, received = hashlib.sha256(), 0
    with (
        part.open("wb") as file,
        tqdm(total=size or None, desc=name, unit="B", unit_scale=True, disable=None) as bar,
    ):
        while chunk := response.read(CHUNK):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if size and received != size:
        raise OSError(f"{received} of {size} bytes came")
    return digest.hexdigest()
