"""Training from labelled scans to a model package."""

from __future__ import annotations

import json
import platform
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, cast

import numpy as np
import torch

from ...errors import BadInput, Cancelled, CannotWrite
from ...imaging import HUWindow
from ...inference import ComputeDevice, choose_device
from ...models import ModelPackage, load_package
from ...network import AttentionUNet, build_network
from ..labelled_scan import LabelledScan
from ..synthesis.part_map import PartMap
from .best_weights import BestWeights
from .checkpoint import (
    Checkpoint,
    check_same_run,
    has_second_look,
    initial_weights,
    load_what_fits,
    read_checkpoint,
    write_checkpoint,
)
from .configuration import AUGMENTATIONS, TrainingConfiguration
from .export import check_model_card, check_package_size, export_package
from .optimization import Optimization
from .preparation import PreparedCase, available_processes, prepare_cases
from .processes import Processes, connected
from .progress import StepReport, TrainingLog, TrainingReporter, has_tensorboard
from .sampling import BatchStream, PatchSampler, TrainingCase, data_set_of
from .step_times import RECENT, StepTimes
from .validation import pancreas_dice, settled

# Steps from here on draw the patches that batch statistics are settled over: no run gets there.
SETTLING_STEP = 2**40


def train(
    configuration: TrainingConfiguration, scans: Sequence[LabelledScan], reporter: TrainingReporter | None = None
) -> ModelPackage:
    """Train a network on labelled scans and write its model package.

    A run that was interrupted goes on where its last checkpoint was written (see `TrainingConfiguration.resume`).
    Under torchrun all processes train one network; all of them return when the first has written the package.

    Parameters
    ----------
    configuration : what to train and how.
    scans : of all data sets; those of `leave_out` and `validate_on` are told apart here, by patient.
    reporter : is told of the progress.

    Raises
    ------
    BadInput : nothing to train on, an unknown patient or data set, or a checkpoint of another run.
    Cancelled : SIGINT or SIGTERM came; a checkpoint was written.
    InternalError : the training diverged, or a file could not be written.
    """
    device = training_device(configuration.device)
    reporter = reporter or TrainingReporter()
    training, validation = split(configuration, scans)
    check_model_card(configuration, training)
    on_cuda = device.kind == "cuda"
    if on_cuda:
        torch.backends.cudnn.benchmark = True  # every step has the same shapes: the fastest algorithm is worth a search
    processes = Processes.started()
    with _threads(configuration.threads), _stop_requests() as stop:
        if not processes.is_first:
            reporter = TrainingReporter()
        if device.kind == "cuda" and processes.count > 1:
            device = replace(device, device=torch.device("cuda", processes.local_rank))
        package = _Run(configuration, training, validation, device, processes, reporter, stop).complete()
        return package or load_package(configuration.out)


def training_device(requested: str) -> ComputeDevice:
    """The device to train on; "auto" never takes MPS, which has gaps in 3D training.

    Raises
    ------
    UnavailableDevice : there is no such device.
    """
    device = choose_device(requested)
    return choose_device("cpu") if requested == "auto" and device.kind == "mps" else device


def split(
    configuration: TrainingConfiguration, scans: Sequence[LabelledScan]
) -> tuple[list[LabelledScan], list[LabelledScan]]:
    """The scans to train on and to validate on.

    Raises
    ------
    BadInput : a patient or data set that no scan belongs to, or nothing to train on.
    """
    patients, data_sets = {scan.patient for scan in scans}, {data_set_of(scan) for scan in scans}
    for patient in (*configuration.leave_out, *configuration.validate_on):
        if patient not in patients:
            shown = ", ".join(sorted(patients)[:10])
            raise BadInput(f"No scan is of the patient {patient!r}.", f"Patients are: {shown} (of {len(patients)}).")
    for name in configuration.shares:
        if name not in data_sets:
            raise BadInput(f"A share is given for {name!r}, which is no data set of this run.",
                           f"They are: {', '.join(sorted(data_sets))}.")  # fmt: skip
    apart = {*configuration.leave_out, *configuration.validate_on}
    training = [scan for scan in scans if scan.patient not in apart]
    validation = [
        scan for scan in scans
        if scan.patient in configuration.validate_on and scan.patient not in configuration.leave_out
    ]  # fmt: skip
    if not training:
        raise BadInput("There is no scan to train on.", "Name data sets with --dataset, or leave out fewer patients.")
    return training, validation


@dataclass
class _StopRequest:
    came: bool = False


class _Run:
    def __init__(
        self, configuration: TrainingConfiguration, training: Sequence[LabelledScan],
        validation: Sequence[LabelledScan], device: ComputeDevice, processes: Processes, reporter: TrainingReporter,
        stop: _StopRequest,
    ) -> None:  # fmt: skip
        self.configuration, self.training, self.validation = configuration, training, validation
        self.device, self.processes, self.reporter, self.stop = device, processes, reporter, stop
        self.places = processes.part_of(configuration.batch)
        self.work = configuration.work_folder
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"The folder {self.work} cannot be made: {error.strerror or error}.") from error
        self.identity = {
            **configuration.identity(),
            "scans": [[scan.name, scan.weight, scan.labels_by] for scan in training],
            "processes": processes.count,
        }
        self.identity = json.loads(json.dumps(self.identity))
        self.step, self.seconds = 0, 0.0
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.times = StepTimes()
        self.best = BestWeights()

    def complete(self) -> ModelPackage | None:
        """Everything, from the checkpoint on if there is one; the package, in the first process only."""
        network, checkpoint = self._network(), self._checkpoint()
        cases = self._cases(self.training)
        validation = [scan for scan in self.validation if scan.part_map is None]
        self.validation_cases = [case for case in self._prepare(validation) if "pancreas" in case.masks]
        self.sampler = PatchSampler(
            cases, self.configuration.structures, self.configuration.patch, self.configuration.window_hu,
            self.configuration.shares,
            replace(AUGMENTATIONS[self.configuration.augmentation], flip_left_right=self.configuration.flip_left_right),
            self.configuration.seed, self.device.device, self.configuration.spacing_mm,
            self.configuration.about_the_pancreas,
        )  # fmt: skip
        with connected(self.processes, self.device.kind == "cuda") as self.processes:
            self.optimization = self._optimization(network)
            if self.configuration.precision == "bfloat16" and self.optimization.reduced is None:
                self.reporter.note(f"{self.device.name} has no instructions for bfloat16: this is trained in float32.")
            self._resume(checkpoint)
            package = checkpoint = None  # the checkpoint's tensors are as large as the run's
            if self.processes.is_first:
                if not has_tensorboard():
                    self.reporter.note("TensorBoard is not installed: the course is in log.csv only.")
                with TrainingLog(self.work, self.step) as log:
                    self._loop(log)
                package = self._export()
            else:
                self._loop(None)
            self.processes.wait()  # for the package
            return package

    def _network(self) -> AttentionUNet:
        torch.manual_seed(self.configuration.seed)
        network = build_network(self.configuration.network)
        check_package_size(network, self.configuration.largest_package_mb)
        if self.configuration.start_from:
            fresh = load_what_fits(network, initial_weights(self.configuration.start_from))
            words = f"; new are {', '.join(fresh)}" if fresh else ""
            self.reporter.note(f"The first weights are those of {self.configuration.start_from}{words}.")
            if has_second_look(self.configuration.start_from):
                self.reporter.note("Its second look is not trained on: what comes out looks at the whole scan alone.")
        return network

    def _optimization(self, network: AttentionUNet) -> Optimization:
        if self.device.kind == "cuda" and self.processes.count > 1:
            network = cast("AttentionUNet", torch.nn.SyncBatchNorm.convert_sync_batchnorm(network))
        return Optimization(self._on_device(network).train(), self.configuration, self.device, self.processes)

    def _on_device(self, network: Any) -> AttentionUNet:
        # Any: torch's own types do not know `memory_format` here.
        return network.to(self.device.device, memory_format=self.device.memory_format)

    def _checkpoint(self) -> Checkpoint | None:
        """What to go on with; refused, if it is of another run, before anything takes long."""
        if self.configuration.resume == "no":
            return None
        checkpoint = read_checkpoint(self.work)
        if checkpoint is None:
            if self.configuration.resume == "yes":
                raise BadInput(f"There is no checkpoint in {self.work} to go on with.")
            return None
        ignored = ("scans", "shares") if self.configuration.accept_other_scans else ()
        check_same_run(checkpoint, self.identity, self.work, ignored)
        return checkpoint

    def _resume(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            return
        self.optimization.load(vars(checkpoint))
        self.optimization.skipped = checkpoint.skipped
        self.best = BestWeights(checkpoint.best)
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.reporter.note(f"Going on from step {self.step} ({self.seconds / 60:.1f} minutes) of {self.work}.")

    def _cases(self, scans: Sequence[LabelledScan]) -> list[TrainingCase]:
        cases = iter(self._prepare([scan for scan in scans if scan.part_map is None]))
        return [
            TrainingCase.of(
                scan, PartMap.read(scan.part_map) if scan.part_map else next(cases), self.configuration.label_smoothing
            )
            for scan in scans
        ]

    def _prepare(self, scans: Sequence[LabelledScan]) -> list[PreparedCase]:
        return prepare_cases(
            scans, self.configuration.spacing_mm, self.configuration.cache_folder, available_processes(),
            self._prepared, (self.processes.rank, self.processes.count),
        )  # fmt: skip

    def _prepared(self, done: int, total: int, name: str) -> None:
        self.reporter.prepared(done, total, name)
        if self.stop.came:
            raise Cancelled("Stopped while the scans were prepared.", "The same command goes on from there.")

    def _loop(self, log: TrainingLog | None) -> None:
        started = time.monotonic() - self.seconds
        saved = validated = self.seconds
        with BatchStream(self.sampler, self.places, self.step, self._workers()) as batches:
            while True:
                self.seconds = time.monotonic() - started
                done = max(self.step / self.configuration.steps, self.seconds / (60 * self.configuration.minutes))
                fraction, stopped = self.processes.largest(done, float(self.stop.came))
                if stopped and fraction < 1:
                    self._save()
                    raise Cancelled(
                        f"Stopped after step {self.step}; the checkpoint is in {self.work}.",
                        "The same command goes on from there.",
                    )
                if fraction >= 1:
                    break
                with self.times.waiting():
                    batch = next(batches)
                with self.times.stepping():
                    loss = self.optimization.step(batch, fraction)
                self.step += 1
                self.seconds = time.monotonic() - started
                dice = float("nan")
                # All decide alike, by the clock that runs fastest: who does not validate has to know that it waits.
                minutes = (self.seconds - validated) / 60
                interval = self.configuration.validation_minutes
                if self.validation_cases and self.processes.largest(minutes)[0] > interval:
                    dice = self._validate() if self.processes.is_first else dice
                    self.processes.wait()
                    validated = time.monotonic() - started
                if log is None:
                    continue
                report = self._report(loss, fraction, dice)
                log.write(report)
                self.reporter.stepped(report)
                if self.seconds - saved > 60 * self.configuration.checkpoint_minutes:
                    self._save()
                    saved = self.seconds
        self._save()
        if self.times.steps:
            self.reporter.note(self.times.sentence())

    def _workers(self) -> int:
        """Threads that make patches: beside a GPU they only start its work, on a CPU they share its cores."""
        if self.configuration.workers is not None:
            return self.configuration.workers
        beside_a_gpu = max(1, available_processes() // self.processes.count - 1)
        return beside_a_gpu if self.device.kind == "cuda" else 1

    def _report(self, loss: float, fraction: float, dice: float) -> StepReport:
        if np.isfinite(loss):
            self.recent.append(loss)
        mean = float(np.mean(self.recent)) if self.recent else float("nan")
        return StepReport(
            self.step, loss, mean, self.optimization.rate, self.seconds, fraction, self.optimization.skipped, dice,
            *self.times.last, *self.times.recent,
        )  # fmt: skip

    def _save(self) -> None:
        if self.processes.is_first:
            state = self.optimization.state()
            write_checkpoint(
                self.work,
                Checkpoint(
                    self.identity, self.step, self.seconds, self.optimization.skipped, **state, best=self.best.state
                ),
            )

    def _settled(self, batches: int) -> AttentionUNet:
        places = range(self.configuration.batch)
        drawn = (self.sampler.batch(SETTLING_STEP + number, places) for number in range(batches))
        # Built anew, because synchronous batch normalization would wait for the other processes.
        network = build_network(self.configuration.network)
        network.load_state_dict(self.optimization.averaged.module.state_dict())
        return settled(self._on_device(network), drawn)

    def _validate(self) -> float:
        network = self._settled(min(20, self.configuration.settling_batches))
        scores = self._scores(network)
        self.best.offer(self.step, scores, network)
        return float(np.mean(scores))

    def _scores(self, network: AttentionUNet) -> list[float]:
        return pancreas_dice(network, self.validation_cases, HUWindow(*self.configuration.window_hu), self.device)

    def _export(self) -> ModelPackage:
        self.reporter.note("Settling the statistics of batch normalization and writing the package.")
        network = self._settled(self.configuration.settling_batches)
        if self.validation_cases:
            self.best.offer(self.step, self._scores(network), network)
            network = self.best.put_into(network)
            scores = zip(self.validation_cases, self.best.scores, strict=True)
            listed = ", ".join(f"{case.name} {dice:.3f}" for case, dice in scores)
            self.reporter.note(f"{self._choice()} ({listed}).")
        return export_package(network, self.configuration, self.training, self._summary())

    def _choice(self) -> str:
        return (
            f"The weights are those of step {self.best.step} of {self.step}, the best of {self.best.validations} "
            f"validations: Dice on the model's grid {self.best.dice:.3f} over {len(self.validation_cases)} scans"
        )

    def _summary(self) -> str:
        chosen = self.configuration
        threads = f"{torch.get_num_threads()} CPU threads" if self.device.kind == "cpu" else self.device.name
        choice = f"{self._choice()}; " if self.validation_cases else ""
        shares = "".join(f"; {name} is {share:.0%} of the patches" for name, share in chosen.shares.items())
        return (
            f"{self.step} steps of {chosen.batch} patches of {'x'.join(map(str, chosen.patch))} voxels (KJI) at "
            f"{chosen.spacing_mm:g} mm from {len(self.training)} scans{shares}; {chosen.optimizer} with a "
            f"{chosen.schedule} rate from {chosen.rate:g}, soft Dice and cross-entropy over "
            f"{len(chosen.structures)} structures with deep supervision, averaged weights; "
            f"{self.optimization.skipped} steps skipped; {choice}{self.seconds / 60:.0f} minutes on {threads}"
            f"{f' in {self.processes.count} processes' if self.processes.count > 1 else ''}, seed {chosen.seed}, "
            f"torch {torch.__version__}, Python {platform.python_version()}."
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with so many CPU threads while the block runs; 0 leaves torch its own choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _stop_requests() -> Iterator[_StopRequest]:
    """While the block runs, SIGINT, SIGTERM and SIGHUP are noted, for the loop to end between two steps.

    A second one interrupts at once. In a thread other than the main one, signals are left alone.
    """
    request = _StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def take(number: int, frame: FrameType | None) -> None:
        if request.came:
            raise KeyboardInterrupt
        request.came = True

    kinds = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        kinds.append(signal.SIGHUP)
    previous = {kind: signal.signal(kind, take) for kind in kinds}
    try:
        yield request
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
