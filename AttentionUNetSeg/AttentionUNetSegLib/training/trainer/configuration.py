"""What a training run is: every choice that a person can make, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import BadInput
from ..labelled_scan import STRUCTURES
from .augmentation import Augmentation

GATES = ("additive", "grid", "none")
SCHEDULES = ("polynomial", "cosine", "halving")
OPTIMIZERS = ("adamw", "sgd")
NORMS = ("batch", "instance")
PRECISIONS = ("auto", "bfloat16")
AUGMENTATIONS = {
    "usual": Augmentation(),
    "wide": Augmentation(cut=0.3, far_shift=0.12, clip=0.2, scale=(0.8, 1.25)),
    "strong": Augmentation(rotation_degrees=30.0, scale=(0.7, 1.4)),
    "affine": Augmentation(
        rotation_degrees=15.0, scale=(0.7, 1.3), anisotropy=0.0, elastic=0.0, organ_probability=0.0,
        contrast=(1.0, 1.0), shift_hu=0.0, low_resolution=0.0, blur=0.0, noise=0.0, gamma=0.0, window_hu=0.0,
    ),
}  # fmt: skip

# A run goes on with other values of these: they change where it ends or how it is run, not what it computes.
FREE_ON_RESUME = {
    "out", "work", "cache", "steps", "minutes", "device", "threads", "workers", "start_from", "id", "name",
    "description", "licence", "command", "resume", "accept_other_scans", "checkpoint_minutes", "largest_package_mb",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingConfiguration:
    """Everything a run depends on beside its scans.

    Attributes
    ----------
    out : model package folder to write.
    work : folder for the checkpoint and the log; None: ``<out>-training`` beside `out`.
    cache : folder of prepared scans, which several runs may share; None: ``cache`` in the work folder.
    spacing_mm : isotropic spacing of the model's grid.
    window_hu : intensities that become 0 and 1.
    patch : patch (K, J, I) in voxels; the network pads it to a multiple of ``2 ** (levels - 1)``, so one that is
        such a multiple is best used.
    structures : what the network learns, "pancreas" first; the exported model keeps the pancreas only.
    features, gate, norm : of the network, see `AttentionUNet`; gate "none" is a plain U-Net.
    steps, minutes : the run ends with whichever comes first, and the learning rate follows the larger share done.
    batch : patches per step, over all processes together.
    rate, schedule, optimizer, weight_decay : of the optimization.
    averaging : decay per step of the moving average of the weights, which is what is exported.
    precision : "auto" computes in half precision on CUDA only, "bfloat16" on a CPU too, where that has instructions for
        it: three times as fast. Another trains in float32: emulated, a step took 12 times as long as that.
    attention_weight : how much the supervised attention counts (see `attention_loss`); 0: gates are left alone.
    augmentation : "usual"; "strong": turned by up to 30 degrees, sizes of 0.7 to 1.4; "affine": turned and scaled only;
        "wide": fields of view cut at random and mirrored beyond, sizes of 0.8 to 1.25, soft tissue up to 60 HU off, HU
        below 0 and above 255 lost.
    label_smoothing : how far a label that another model made is from certain (0: as certain as a manual one).
    pancreas_weight : how much the pancreas counts in the loss against each other structure.
    shares : part of the patches that come from a data set, by its name; what is left goes to the others by their
        number of cases. Together at most 1.
    about_the_pancreas : share of the patches that are centred about a place in it; a network that looks only at its
        surroundings needs few others.
    flip_left_right : mirror patches. Off: the abdomen is not symmetric, and the side is a cue.
    leave_out : patients that are neither trained nor validated on.
    validate_on : patients that are only validated on; their scans are not trained on.
    device, threads, workers : where and with how many CPU threads (0: torch's own choice); `workers` threads make
        patches ahead (0: in turn with the steps; None: one on a CPU, up to eight beside a GPU).
    seed : of all that is random.
    start_from : a checkpoint, the work folder of an earlier run, or a model package, whose weights are the first.
    resume : "auto" goes on with a checkpoint in `work`, "yes" insists on one, "no" starts anew.
    accept_other_scans : go on with a checkpoint although the scans or their shares have changed since.
    validation_minutes, checkpoint_minutes : time between two validations or checkpoints. The averaged weights that did
        best of all validations, the one at the end included, are those of the package.
    settling_batches : batches over which the statistics of batch normalization are taken in the end.
    largest_package_mb : a network whose float16 weights would be larger is refused before training.
    id, name, description, licence, command : for the model card.
    """

    out: Path
    work: Path | None = None
    cache: Path | None = None
    spacing_mm: float = 2.0
    window_hu: tuple[float, float] = (-160.0, 240.0)
    patch: tuple[int, int, int] = (48, 64, 64)
    structures: tuple[str, ...] = STRUCTURES
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    gate: str = "additive"
    norm: str = "batch"
    steps: int = 10_000
    minutes: float = math.inf
    batch: int = 2
    rate: float = 2e-3
    schedule: str = "polynomial"
    optimizer: str = "adamw"
    weight_decay: float = 1e-3
    averaging: float = 0.998
    precision: str = "auto"
    attention_weight: float = 0.0
    augmentation: str = "usual"
    label_smoothing: float = 0.05
    pancreas_weight: float = 3.0
    shares: Mapping[str, float] = field(default_factory=dict)
    about_the_pancreas: float = 0.6
    flip_left_right: bool = False
    leave_out: tuple[str, ...] = ()
    validate_on: tuple[str, ...] = ()
    device: str = "auto"
    threads: int = 0
    workers: int | None = None
    seed: int = 0
    start_from: Path | None = None
    resume: str = "auto"
    accept_other_scans: bool = False
    validation_minutes: float = 10.0
    checkpoint_minutes: float = 2.0
    settling_batches: int = 60
    largest_package_mb: float = 13.0
    id: str = "pancreas-ct"
    name: str = "Pancreas on CT"
    description: str = "Attention U-Net for the pancreas on abdominal CT."
    licence: str = "Apache-2.0"
    command: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises
        ------
        BadInput : a value is out of range; the sentence names it.
        """
        checks = (
            (0.5 <= self.spacing_mm <= 10, f"The spacing of {self.spacing_mm:g} mm is not within 0.5 to 10 mm."),
            (
                len(self.features) >= 2 and all(count >= 1 for count in self.features),
                "The network needs the features of two levels or more, each 1 or more.",
            ),
            (
                len(self.patch) == 3 and min(self.patch) >= 8,
                f"The patch {' x '.join(map(str, self.patch))} is not three lengths of 8 voxels or more.",
            ),
            (
                self.structures[:1] == ("pancreas",) and len(set(self.structures)) == len(self.structures),
                "The structures have to begin with pancreas, each named once.",
            ),
            (set(self.structures) <= set(STRUCTURES), f"Known structures are {', '.join(STRUCTURES)}."),
            (self.gate in GATES, f"The gate {self.gate!r} is none of {', '.join(GATES)}."),
            (self.norm in NORMS, f"The norm {self.norm!r} is none of {', '.join(NORMS)}."),
            (self.schedule in SCHEDULES, f"The schedule {self.schedule!r} is none of {', '.join(SCHEDULES)}."),
            (self.optimizer in OPTIMIZERS, f"The optimizer {self.optimizer!r} is none of {', '.join(OPTIMIZERS)}."),
            (self.steps >= 1 and self.minutes > 0, "A run needs at least one step and more than 0 minutes."),
            (self.batch >= 1, "A batch has at least one patch."),
            (0 < self.rate < 10, f"The learning rate {self.rate:g} is not between 0 and 10."),
            (0 <= self.averaging < 1, f"The averaging {self.averaging:g} is not within 0 and below 1."),
            (
                self.precision in PRECISIONS,
                f"The precision {self.precision!r} is none of {', '.join(PRECISIONS)}.",
            ),
            (self.attention_weight >= 0, "The weight of the attention is negative."),
            (
                self.attention_weight == 0 or self.gate != "none",
                "A network without gates has no attention to supervise.",
            ),
            (
                self.augmentation in AUGMENTATIONS,
                f"The augmentation {self.augmentation!r} is none of {', '.join(AUGMENTATIONS)}.",
            ),
            (0 <= self.label_smoothing < 1, "The label smoothing is not within 0 and below 1."),
            (0 <= self.about_the_pancreas <= 1, "The share of patches about the pancreas is not within 0 to 1."),
            (self.pancreas_weight > 0, "The weight of the pancreas has to be above 0."),
            (self.seed >= 0, f"The seed {self.seed} is negative."),
            (self.workers is None or self.workers >= 0, f"{self.workers} workers are fewer than none."),
            (self.resume in ("auto", "yes", "no"), f"resume is auto, yes or no, not {self.resume!r}."),
            (
                all(0 < share <= 1 for share in self.shares.values()) and sum(self.shares.values()) <= 1 + 1e-9,
                "The shares of the data sets have to be above 0 and at most 1 together.",
            ),
        )
        for fine, sentence in checks:
            if not fine:
                raise BadInput(sentence)

    @property
    def work_folder(self) -> Path:
        """Where the checkpoint and the log lie."""
        return self.work or self.out.with_name(f"{self.out.name}-training")

    @property
    def cache_folder(self) -> Path:
        """Where the prepared scans lie."""
        return self.cache or self.work_folder / "cache"

    @property
    def network(self) -> dict[str, Any]:
        """Configuration of the network in training, for ``network.build_network``."""
        attention = self.gate != "none"
        return {
            "architecture": "AttentionUNet" if attention else "UNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": len(self.structures),
            "features": list(self.features),
            **({"gate": self.gate} if attention else {}),
            "norm": self.norm,
            "deep_supervision": True,
        }

    def identity(self) -> dict[str, Any]:
        """What has to be the same for a checkpoint to be this run's, as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in FREE_ON_RESUME
        }
