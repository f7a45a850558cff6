"""`attention-unet-seg cohort`: many CTs to a folder a case, one table and one page."""

from __future__ import annotations

import os
import sys
import uuid
from argparse import Namespace
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import check_threshold
from ..errors import BadInput, Cancelled
from ..models import ModelPackage
from .chosen_model import chosen_model
from .clock import Clock
from .terminal import ProgressLine, Terminal

if TYPE_CHECKING:
    from ..cohort import Case, Cluster, Order, Outcome, Progress


def run(options: Namespace, terminal: Terminal) -> None:
    """Run every case of `options.input` that is not done, and write the table and the page of all.

    They are written too where the run is stopped; what is done stays done.

    Raises
    ------
    AttentionUNetSegError : no case can run, or the output cannot be written.
    KeyboardInterrupt : the person asked to stop.
    """
    with terminal.interrupts.deferred():
        from ..cohort import find_cases, part_of, run_cases

    package = chosen_model(options.model)
    _check(options)
    clock, output = Clock(), Path(os.path.abspath(options.output))
    with terminal.progress() as line:
        line.show(0.0, "Looking for CTs")
        with clock.measure("find"):
            listed = sys.stdin if options.input == "-" else ()
            cases = part_of(find_cases(options.input, listed, output), options.part)
        _make(output)
        line.show(0.0, "Starting the workers")
        with _cluster(options) as cluster:
            line.device(cluster.dashboard)
            terminal.note(f"Dask's dashboard: {cluster.dashboard}" if cluster.dashboard else "")
            orders = _orders(options, cases, package, output, cluster)
            unwritten: list[Outcome] = []
            try:
                with clock.measure("run"):
                    unwritten = run_cases(orders, cluster, lambda told: _show(line, told), options.retry_failed)
            except KeyboardInterrupt:
                raise Cancelled("Cancelled.", "The same command goes on where this one stopped.") from None
            finally:
                answer, text = _conclude(options, cases, output, unwritten, clock)
    terminal.answer(answer, text)


def _check(options: Namespace) -> None:
    if options.threshold is not None:
        check_threshold(options.threshold)
    if options.processes is not None and options.processes < 1:
        raise BadInput(f"{options.processes} processes cannot do anything.", "Give 1 or more.")
    if options.scheduler is not None and options.processes is not None:
        raise BadInput("The workers of a scheduler are not started here.", "Leave out --processes or --scheduler.")
    if options.dicom_seg or options.fractional:
        from ..dicom_out import missing_library

        if missing := missing_library():
            raise BadInput(missing)
    if options.part is not None:
        from ..cohort.case import read_part

        read_part(options.part)


def _make(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The output folder {output} cannot be made ({error.strerror}).") from None
    if not os.access(output, os.W_OK | os.X_OK):
        raise BadInput(f"The output folder {output} cannot be written.")


def _cluster(options: Namespace) -> AbstractContextManager[Cluster]:
    from ..cohort import joined_cluster, local_cluster

    if options.scheduler is not None:
        return joined_cluster(options.scheduler)
    return local_cluster(options.processes, options.device)


def _orders(
    options: Namespace, cases: list[Case], package: ModelPackage, output: Path, cluster: Cluster
) -> list[Order]:
    from ..cohort import Order

    token = uuid.uuid4().hex
    return [
        Order(
            case=case, output=str(output), model=str(package.folder), sha256=package.weights_sha256, run=token,
            gpus=cluster.gpus, threads=cluster.threads, picture=not options.no_picture,
            dicom=options.dicom_seg or options.fractional, fractional=options.fractional,
            device=options.device, tta=options.tta, max_memory_mb=options.max_memory,
            threshold=options.threshold, keep_largest=options.keep_largest,
        )
        for case in cases
    ]  # fmt: skip


def _show(line: ProgressLine, told: Progress) -> None:
    over = told.earlier + told.done
    words = f"{over} of {told.total}"
    if told.failed:
        words += f", {told.failed} without result"
    if not told.workers:
        words += ", waiting for workers"
    elif told.seconds_left is not None:
        minutes, seconds = divmod(round(told.seconds_left), 60)
        words += f", {told.per_minute:.1f} a minute, {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
    line.show(over / told.total if told.total else 1.0, words)


def _conclude(
    options: Namespace, cases: list[Case], output: Path, unwritten: list[Outcome], clock: Clock
) -> tuple[dict[str, Any], str]:
    """Write table and page of what there is; return the command's answer."""
    from ..cohort import by_doubt, rows_of, write_page, write_table

    name = "cohort" if options.part is None else f"cohort.{options.part.replace('/', '-of-')}"
    rows = rows_of(cases, output, unwritten)
    rows = by_doubt(rows) if options.by_doubt else rows
    files = write_table(rows, output / f"{name}.csv")
    page = output / f"{name}.html"
    write_page(rows, page, f"Cohort {output.name}")
    count = {state: sum(row["state"] == state for row in rows) for state in ("done", "failed", "not run")}
    answer = {
        "cases": len(rows),
        "done": count["done"],
        "failed": count["failed"],
        "not_run": count["not run"],
        "timings": {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        "folder": str(output),
        "files": [path.name for path in (*files, page)],
    }
    text = f"{count['done']} of {len(rows)} cases segmented"
    text += f", {count['failed']} without a result (the table says why)" if count["failed"] else ""
    text += f", {count['not run']} not run" if count["not run"] else ""
    if options.dicom_seg or options.fractional:
        with_objects = answer["with_dicom_objects"] = sum(bool(row.get("dicom_objects")) for row in rows)
        text += f", {with_objects} with DICOM objects (the table says why others have none)"
    return answer, f"{text}, in {clock.seconds['total']:.0f} s.\nLook at these first: {page}\nTable: {files[0]}"
