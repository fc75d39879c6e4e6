"""A label file's text, whatever program wrote it."""

import codecs
import os
import shlex
import unicodedata
from pathlib import Path

from imbpipe.errors import DatasetError

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_text(path: Path) -> str:
    """The file's text in Unicode form C; UTF-8, with or without a byte order mark.

    Raises DatasetError: no such file, not a regular or readable one, empty, another encoding.
    """
    data = _read(path)
    encoding = _other_encoding(data)
    if encoding:
        raise _not_utf8(path, f"is written in {encoding}, not in UTF-8", encoding)
    if b"\0" in data:
        raise DatasetError(f"{path} holds NUL bytes: it is no text file", "Save it as CSV in UTF-8")
    try:
        text = unicodedata.normalize("NFC", data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fact = f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8; the file may be in Latin-1"
        raise _not_utf8(path, fact, "LATIN1") from None
    if not text.strip(" \t\r\n,;"):
        raise DatasetError(f"{path} is empty", "It needs a row an image")
    return text


def require_file(path: Path) -> None:
    """Raises DatasetError: nothing there, or a folder, pipe or device."""
    if not os.path.exists(path):
        raise DatasetError(f"there is no file {path}", "Check the path")
    if not os.path.isfile(path):
        raise DatasetError(f"{path} is not a regular file", "Name a file that holds the labels")


def _read(path: Path) -> bytes:
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"cannot read {path}: {error.strerror}", "Check the file and its permissions"
        ) from None


def _other_encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    for encoding, high_bytes in (("UTF-16LE", data[1::2]), ("UTF-16BE", data[::2])):
        if high_bytes.count(0) > len(high_bytes) / 2:
            return encoding
    return ""


def _not_utf8(path: Path, fact: str, encoding: str) -> DatasetError:
    return DatasetError(
        f"{path} {fact}" if fact.startswith("is") else f"{path}, {fact}",
        f"Run: iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > labels-utf8.csv",
    )
