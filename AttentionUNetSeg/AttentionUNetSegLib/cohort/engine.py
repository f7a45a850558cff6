"""Gives the orders of a cohort to a cluster, a few at a time, and follows what becomes of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import AttentionUNetSegError, InternalError
from .case_run import FAILED, SUSPECT, Order, Outcome, run_case
from .cluster import Cluster

if TYPE_CHECKING:
    from distributed import Future

_TRIES_ALONE = 4  # the process may die before it can even mark the case
_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_BETWEEN_COUNTS = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a cohort is.

    Attributes
    ----------
    total : cases.
    earlier : of these, done by an earlier run.
    done : of these, ended in this run, failed ones included.
    failed : of those, without a result.
    under_way : given to workers.
    workers : there are now.
    seconds : since this run began.
    """

    total: int
    earlier: int
    done: int
    failed: int
    under_way: int
    workers: int
    seconds: float

    @property
    def per_minute(self) -> float:
        """Cases in a minute, in this run."""
        return 60.0 * self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this speed; None as long as nothing is done."""
        left = self.total - self.earlier - self.done
        return left * self.seconds / self.done if self.done else None


def run_cases(
    orders: Sequence[Order],
    cluster: Cluster,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    retry_failed: bool = False,
    run: Callable[[Order], Outcome] = run_case,
) -> list[Outcome]:
    """Run all orders that are not finished; return the outcomes whose report could not be written.

    At most one order more than there are workers is under way, so that memory does not grow with the cohort. A case
    whose process died is tried again when nothing else is under way.

    Parameters
    ----------
    on_progress : called often, from this thread.
    retry_failed : try cases again that failed in an earlier run.
    run : what a worker does with an order.

    Raises
    ------
    BadModel, UnavailableDevice : no case can run.
    InternalError : the scheduler is gone. What is done stays; the same command goes on.
    """
    return _Run(orders, cluster, on_progress, retry_failed, run).to_the_end()


class _Run:
    def __init__(
        self,
        orders: Sequence[Order],
        cluster: Cluster,
        on_progress: Callable[[Progress], None],
        retry_failed: bool,
        run: Callable[[Order], Outcome],
    ) -> None:
        self._cluster, self._on_progress, self._run = cluster, on_progress, run
        self._total = len(orders)
        self._waiting = deque(order for order in orders if not order.finished(retry_failed))
        self._earlier = self._total - len(self._waiting)
        if retry_failed:
            self._waiting = deque(replace(order, again=True) for order in self._waiting)
        self._suspects: deque[Order] = deque()
        self._under_way: dict[Future[Outcome], Order] = {}
        self._tries: dict[str, int] = {}
        self._done = self._failed = self._submitted = 0
        self._unwritten: list[Outcome] = []
        self._started = time.monotonic()
        self._workers, self._counted = 0, -_SECONDS_BETWEEN_COUNTS

    def to_the_end(self) -> list[Outcome]:
        try:
            while self._waiting or self._suspects or self._under_way:
                self._count_workers()
                self._submit()
                self._tell()
                self._wait()
            self._tell()
        except BaseException:
            self._let_go()
            raise
        return self._unwritten

    def _submit(self) -> None:
        while self._waiting and len(self._under_way) < self._workers + 1:
            self._give(self._waiting.popleft())
        if not self._waiting and not self._under_way and self._suspects:
            self._give(replace(self._suspects.popleft(), alone=True))

    def _give(self, order: Order) -> None:
        self._submitted += 1
        key = f"{order.case.folder_name}-{order.run}-{self._submitted}"
        self._under_way[self._cluster.client.submit(self._run, order, key=key, pure=False)] = order

    def _wait(self) -> None:
        from distributed import wait

        try:
            ended = wait(list(self._under_way), timeout=_SECONDS_BETWEEN_LOOKS, return_when="FIRST_COMPLETED").done
        except (TimeoutError, asyncio.TimeoutError):  # two classes before Python 3.11
            ended = set()
        except (CancelledError, asyncio.CancelledError, OSError):
            ended = {future for future in self._under_way if future.status != "pending"}
        if self._cluster.client.status in ("closed", "closing", "connecting"):
            raise self._scheduler_is_gone()
        for future in ended:
            self._take(future, self._under_way.pop(future))

    def _take(self, future: Future[Outcome], order: Order) -> None:
        from distributed.scheduler import KilledWorker

        try:
            error = future.exception() if future.status == "error" else None
            outcome = future.result() if future.status == "finished" else None
        except (CancelledError, asyncio.CancelledError, TimeoutError, OSError):  # it went away this very moment
            raise self._scheduler_is_gone() from None
        if isinstance(error, KilledWorker):
            self._suspect(order)
        elif isinstance(error, AttentionUNetSegError):
            raise error
        elif error is not None:
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise InternalError(f"A worker cannot run cases: {type(error).__name__}: {reason}.") from error
        elif outcome is None:  # cancelled, or lost
            raise self._scheduler_is_gone()
        elif outcome.state == SUSPECT:
            self._suspect(order)
        else:
            self._end(outcome)
        future.release()

    def _suspect(self, order: Order) -> None:
        tries = self._tries[order.case.id] = self._tries.get(order.case.id, 0) + 1
        if tries < _TRIES_ALONE:
            self._suspects.append(order)
            return
        error = {"code": "process_died", "message": "The process that segmented it died again and again.", "hint": ""}
        self._end(Outcome(order.case.id, FAILED, {"case": {"id": order.case.id}, "error": error}))

    def _end(self, outcome: Outcome) -> None:
        self._done += 1
        self._failed += outcome.state == FAILED
        if outcome.report is not None:
            self._unwritten.append(outcome)

    def _count_workers(self) -> None:
        now = time.monotonic()
        if now - self._counted >= _SECONDS_BETWEEN_COUNTS or not self._workers:
            try:
                self._workers, self._counted = self._cluster.worker_count, now
            except (OSError, TimeoutError, RuntimeError):
                raise self._scheduler_is_gone() from None

    def _tell(self) -> None:
        seconds = time.monotonic() - self._started
        self._on_progress(
            Progress(self._total, self._earlier, self._done, self._failed, len(self._under_way), self._workers, seconds)
        )

    def _let_go(self) -> None:
        """Take back what is under way; local workers end at once, and what they had begun counts as never begun."""
        self._cluster.kill_workers()
        for future, order in self._under_way.items():
            future.release()
            if self._cluster.local is not None:
                order.folder.forget(order.run)

    def _scheduler_is_gone(self) -> InternalError:
        done = self._earlier + self._done
        return InternalError(
            f"The Dask scheduler is gone; {done} of {self._total} cases are done.",
            "Run the same command again with a scheduler: it goes on where it stopped.",
        )
