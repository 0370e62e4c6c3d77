"""The same API for programs with an event loop: each call runs in a thread of its own pool."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from dropload.api.synchronous import ReferenceDataAPI
from dropload.config import Config

P = ParamSpec("P")
R = TypeVar("R")
_THREADS = 4


def _in_thread(
    method: Callable[Concatenate[ReferenceDataAPI, P], R],
) -> Callable[Concatenate["AsyncReferenceDataAPI", P], Coroutine[Any, Any, R]]:
    """Return a method of the synchronous API as one that is awaited."""

    @functools.wraps(method)
    async def call(self: "AsyncReferenceDataAPI", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(functools.partial(method, self._api, *args, **kwargs))

    return call


class AsyncReferenceDataAPI:
    """`ReferenceDataAPI` with methods that are awaited and never block the event loop.

    At most `threads` calls run at the same time; the others wait their turn. Cancelling a task
    that awaits a call: one that waits for its turn is never begun; one that runs goes on to its
    end, and only its answer is lost, because half of it is nothing anybody wants. A load is
    stopped by `cancel`, from another task.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        actor: str = "",
        threads: int = _THREADS,
    ) -> None:
        """Work under a configuration as `ReferenceDataAPI` does."""
        self._api = ReferenceDataAPI(config, actor=actor)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dropload")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for the calls that run, drop those that wait, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._api.close()

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    inspect = _in_thread(ReferenceDataAPI.inspect)
    plan = _in_thread(ReferenceDataAPI.plan)
    load = _in_thread(ReferenceDataAPI.load)
    release = _in_thread(ReferenceDataAPI.release)
    history = _in_thread(ReferenceDataAPI.history)
    show = _in_thread(ReferenceDataAPI.show)
    duplicates = _in_thread(ReferenceDataAPI.duplicates)
    errors = _in_thread(ReferenceDataAPI.errors)
    audit = _in_thread(ReferenceDataAPI.audit)
    stats = _in_thread(ReferenceDataAPI.stats)
    undo = _in_thread(ReferenceDataAPI.undo)
    cancel = _in_thread(ReferenceDataAPI.cancel)
    retry = _in_thread(ReferenceDataAPI.retry)
    tables = _in_thread(ReferenceDataAPI.tables)
    table_info = _in_thread(ReferenceDataAPI.table_info)
    read_table = _in_thread(ReferenceDataAPI.read_table)
    init = _in_thread(ReferenceDataAPI.init)
    status = _in_thread(ReferenceDataAPI.status)
    health = _in_thread(ReferenceDataAPI.health)
