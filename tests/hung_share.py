"""A share whose server has gone silent: a FUSE mount that takes every request and answers none."""

import ctypes
import os
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_HEADER = struct.Struct("<IIQQIIIHH")
"""Of a request: length, operation, number, and what does not matter here
(https://www.man7.org/linux/man-pages/man4/fuse.4.html)."""
_INIT = 26
_ANSWER = struct.Struct("<IiQ")
_INIT_ANSWER = struct.Struct("<IIIIHHI40x")
"""Version 7.31, no read-ahead, no flags, no background requests, a page per write."""
_DETACH = 2


class HungShare:
    """Mounted on a folder while the block runs; whoever touches the folder waits until its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._device = -1

    def __enter__(self) -> Self:
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        failed = self._libc.mount(
            b"silent", os.fsencode(self._folder), b"fuse", 0, options.encode()
        )
        if failed:
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "a FUSE file system cannot be mounted here")
        threading.Thread(target=self._take_requests, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Forced: all who wait get an error, and the thread an end.
        self._libc.umount2(os.fsencode(self._folder), 1)
        self._libc.umount2(os.fsencode(self._folder), _DETACH)

    def _take_requests(self) -> None:
        # A request that was taken cannot be given up by who made it, not even by SIGKILL.
        with suppress(OSError):
            while True:
                request = os.read(self._device, 1 << 20)
                _, operation, number, *_ = _HEADER.unpack_from(request)
                if operation == _INIT:
                    body = _INIT_ANSWER.pack(7, 31, 0, 0, 0, 0, 4096)
                    head = _ANSWER.pack(_ANSWER.size + len(body), 0, number)
                    os.write(self._device, head + body)
        os.close(self._device)
