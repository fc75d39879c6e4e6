"""The open journal of one worker."""

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imbpipe.cache import disk
from imbpipe.cache.journal import SESSION, pack_record, scan
from imbpipe.cache.layout import Folder
from imbpipe.cache.spec import canonical
from imbpipe.errors import StoreError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Part:
    """A journal, locked, cut back to its last valid record, ready to append.

    Raises StoreError: another process writes it, it is of another spec, the disk is full.
    """

    def __init__(self, path: Path, key: bytes, session: Mapping[str, Any]) -> None:
        self.path = path
        self.key = key
        with disk.explained(self.path):
            self.fd = os.open(self.path, _FLAGS, 0o666)
            try:
                self._begin(session)
            except BaseException:
                self.close()
                raise
        _open_parts.add(self)

    def _begin(self, session: Mapping[str, Any]) -> None:
        if not disk.try_lock(self.fd):
            raise StoreError(
                f"another process is writing {self.path}",
                "Wait until it is done, or stop it, and run this again",
            )
        found = scan(self.fd, self.key)
        if found.damaged:
            self._set_aside()
            found = scan(self.fd, self.key)
        if found.size > found.end:
            os.ftruncate(self.fd, found.end)
        self.sequence = found.records[-1].sequence + 1 if found.records else 0
        self.end = found.end
        self.append(SESSION, [canonical(session)])
        disk.sync_data(self.fd)
        disk.sync_folder(self.path.parent)

    def _set_aside(self) -> None:
        """Keep a journal that is damaged in its middle for what is valid in it, and begin a new one."""
        os.rename(self.path, Folder(self.path.parent).unused_salvage())
        self.close()
        self.fd = os.open(self.path, _FLAGS | os.O_EXCL, 0o666)
        disk.try_lock(self.fd)

    def append(self, kind: int, payload: list[bytes | memoryview], rows: int = 0) -> None:
        """Append one record whole or not at all. Raises OSError."""
        self.end += disk.append(self.fd, pack_record(kind, self.key, self.sequence, payload, rows), self.end)
        self.sequence += 1

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


_open_parts: "weakref.WeakSet[Part]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    for part in list(_open_parts):
        part.close()


# or a data loader's child would keep the lock of a writer that is dead
os.register_at_fork(after_in_child=_let_go_in_child)
