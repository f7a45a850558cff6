"""Which patch comes next, and the patch itself.

Every random number is a function of the run's seed, the step and the patch's place in the batch. So a resumed run
draws what the uninterrupted one would have drawn, processes that share a batch need not talk to each other, and
patches can be made ahead of time by any number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...imaging import HUWindow
from ...inference.mirrored_surroundings import MIRRORED_MM
from ..labelled_scan import LabelledScan
from ..synthesis.anatomy import GRID_MM
from ..synthesis.generator import LABELS
from ..synthesis.part_map import PartMap
from ..synthesis.patch_painting import paint_patch
from .augmentation import Augmentation, SpatialDraw, draw_spatial, mirrored, sample_volume
from .contrast import vary_intensities
from .loss import PatchBatch
from .preparation import PreparedCase

# At most this share of the patches is centred about any structure, and no more than lie anywhere.
ABOUT_ANY_STRUCTURE = 0.2
# How far the place it is centred about may be from the patch's centre, as a part of the patch.
OFF_CENTRE = 0.25
AIR_HU = -1024
# The pancreas label of a voxel counts where less of it than this is ignored.
MOST_IGNORED = 0.5


@dataclass(frozen=True)
class TrainingCase:
    """A prepared case and what the scan says about its labels.

    Attributes
    ----------
    case : images on the model's grid, or a part map on its own, which is painted anew for every patch.
    data_set : name of the data set, for its share of the patches.
    weight : how much the case counts in the loss.
    smoothing : label smoothing, 0 for manual and synthetic labels.
    """

    case: PreparedCase | PartMap
    data_set: str
    weight: float = 1.0
    smoothing: float = 0.0

    @classmethod
    def of(cls, scan: LabelledScan, case: PreparedCase | PartMap, label_smoothing: float) -> TrainingCase:
        """Join a scan and its images; `label_smoothing` applies where another model made the labels."""
        return cls(case, data_set_of(scan), scan.weight, label_smoothing if scan.is_labelled_by_a_model else 0.0)


def data_set_of(scan: LabelledScan) -> str:
    """Name of the data set a scan belongs to: what comes before the slash in its name."""
    return scan.name.split("/", 1)[0]


_NOWHERE = np.zeros((0, 3))  # places, none


class PatchSampler:
    """Random, augmented patches of cases.

    Parameters
    ----------
    cases : to draw from.
    structures : the channels of the targets.
    patch : (K, J, I) in voxels.
    window_hu : intensities that become 0 and 1.
    shares : part of the patches per data set; the rest goes to the other data sets by their number of cases.
    augmentation : what is varied, and how much.
    seed : of everything that is drawn.
    device : where patches are made and stay.
    spacing_mm : of the patches; part maps have a grid of their own.
    about_the_pancreas : share of the patches that are centred about a place in it.
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        structures: Sequence[str],
        patch: tuple[int, int, int],
        window_hu: tuple[float, float],
        shares: Mapping[str, float],
        augmentation: Augmentation,
        seed: int,
        device: torch.device,
        spacing_mm: float = 2.5,
        about_the_pancreas: float = 0.6,
    ) -> None:
        self.spacing_mm, self.about_the_pancreas = spacing_mm, about_the_pancreas
        self.cases, self.structures, self.patch = list(cases), tuple(structures), patch
        self.window = HUWindow(*window_hu)
        self.augmentation, self.seed, self.device = augmentation, seed, device
        self.probabilities = case_probabilities([case.data_set for case in cases], shares)

    def batch(self, step: int, places: Sequence[int]) -> PatchBatch:
        """The patches at these `places` of the batch of `step`."""
        patches = [self.patch_at(step, place) for place in places]
        columns = {name: [getattr(patch, name) for patch in patches] for name in PatchBatch.__dataclass_fields__}
        return PatchBatch(**{name: torch.cat(tensors) for name, tensors in columns.items()})

    def patch_at(self, step: int, place: int) -> PatchBatch:
        """One patch, as a batch of one."""
        rng = np.random.default_rng([self.seed, step, place])
        chosen = self.cases[int(rng.choice(len(self.cases), p=self.probabilities))]
        case = chosen.case
        spatial = draw_spatial(rng, self.augmentation, self.patch)
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        if isinstance(case, PartMap):
            hu, target, certain = self._painted(case, spatial, rng, generator)
            known = torch.ones((1, len(self.structures)), device=self.device)
        else:
            hu, target, certain = self._sampled(case, spatial, rng)
            known = torch.tensor([[float(name in case.masks) for name in self.structures]], device=self.device)
        image = vary_intensities(hu, target, self.window, self.augmentation, rng, generator)
        return PatchBatch(
            image[None, None], target[None], certain[None], known,
            torch.tensor([chosen.weight], device=self.device), torch.tensor([chosen.smoothing], device=self.device),
        )  # fmt: skip

    def _painted(
        self, case: PartMap, spatial: SpatialDraw, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A patch of a part map, painted; the map's voxels are smaller or larger than the patch's."""
        factor = self.spacing_mm / GRID_MM
        spatial = spatial.scaled(factor)
        shape = case.parts.shape
        centre = self._centre(rng, case.places, shape, np.array(self.patch) * factor)
        grid, certain, far = self._field_of_view(spatial.grid(centre, self.device), case.places, shape, rng, factor)
        lowest, highest = grid.reshape(-1, 3).amin(0), grid.reshape(-1, 3).amax(0)
        low = lowest.floor().clamp_min(0).long().cpu().numpy()
        high = np.minimum(highest.ceil().long().cpu().numpy() + 1, shape)
        window = tuple(slice(a, max(a + 1, b)) for a, b in zip(low, high, strict=True))
        parts = torch.from_numpy(np.ascontiguousarray(case.parts[window])).to(self.device)
        places = (grid - torch.tensor(low, device=self.device)).round().long()
        k, j, i = (places[..., axis].clamp(0, parts.shape[axis] - 1) for axis in range(3))
        parts, hu = paint_patch(parts[k, j, i].long(), self.spacing_mm, rng, generator)
        hu = torch.where(far > 0, float(AIR_HU), hu)
        target = torch.stack([parts == int(LABELS[name][1]) for name in self.structures]).float()
        return hu, target, certain[None].expand(target.shape) if self.augmentation.cut else certain[None]

    def _centre(
        self, rng: np.random.Generator, places: Mapping[str, np.ndarray], shape: tuple[int, ...], patch: np.ndarray
    ) -> np.ndarray:
        """Voxel (KJI, not whole) at the patch's centre, so that the patch lies in the field where it fits."""
        size = np.array(shape)
        low, high = np.minimum(patch / 2, size / 2), np.maximum(size - patch / 2, size / 2)
        chosen = self._places(rng, places)
        if not len(chosen):
            return rng.uniform(low, high) - 0.5
        about = chosen[int(rng.integers(len(chosen)))] + rng.uniform(-OFF_CENTRE, OFF_CENTRE, 3) * patch
        return np.clip(about, low - 0.5, high - 0.5)

    def _places(self, rng: np.random.Generator, places: Mapping[str, np.ndarray]) -> np.ndarray:
        """The voxels about one of which the patch is centred; none where it lies anywhere."""
        kind = rng.random()
        pancreas = places.get("pancreas", _NOWHERE)
        share = self.about_the_pancreas
        if kind < share and len(pancreas):
            return pancreas
        if kind < share + min(ABOUT_ANY_STRUCTURE, (1 - share) / 2):
            annotated = [places[name] for name in self.structures if len(places.get(name, ()))]
            # One structure after the other, not all voxels together, which would be the liver most of the time.
            return annotated[int(rng.integers(len(annotated)))] if annotated else _NOWHERE
        return _NOWHERE

    def _field_of_view(
        self,
        grid: Tensor,
        places: Mapping[str, np.ndarray],
        shape: tuple[int, ...],
        rng: np.random.Generator,
        scale: float = 1.0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`grid`, mirrored at the borders of the field, which may be cut first; where it lay inside, and where too far.

        Both float32, 0 or 1. Too far is what inference does not mirror: the network sees nothing there.
        """
        low, high = np.zeros(3), np.array(shape) - 1.0
        pancreas = places.get("pancreas", _NOWHERE)
        if self.augmentation.cut and len(pancreas) and rng.random() < self.augmentation.cut:
            margin = rng.uniform(-2, 16, (2, 3))
            is_cut = rng.random((2, 3)) < rng.choice((0.2, 0.5, 1.0))
            low = np.where(is_cut[0], np.clip(pancreas.min(axis=0) - margin[0], 0, high), low)
            high = np.where(is_cut[1], np.clip(pancreas.max(axis=0) + margin[1], low, high), high)
            low, high = np.minimum(low, high - 7).clip(0), np.maximum(high, low + 7)
        if not self.augmentation.cut:
            everywhere = torch.ones(grid.shape[:-1], device=self.device)
            return grid, everywhere, 1 - everywhere
        first, last = (torch.tensor(end, device=self.device, dtype=torch.float32) for end in (low, high))
        folded, inside, far = mirrored(grid, first, last, MIRRORED_MM / self.spacing_mm * scale)
        return folded, inside.float(), far.float()

    def _sampled(
        self, case: PreparedCase, spatial: SpatialDraw, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """HU (K, J, I), targets (C, K, J, I) and where the labels count (1 or C, K, J, I)."""
        centre = self._centre(rng, case.places, case.hu.shape, np.array(self.patch))
        if spatial.is_identity:
            centre = np.rint(centre - 0.5 * (np.array(self.patch) % 2 == 0)) + 0.5 * (np.array(self.patch) % 2 == 0)
        grid, inside, far = self._field_of_view(spatial.grid(centre, self.device), case.places, case.hu.shape, rng)
        if self.augmentation.cut:  # mirrored: where the patch reaches cannot be told without its grid
            lowest, highest = (end.cpu().numpy() for end in (grid.amin((0, 1, 2)), grid.amax((0, 1, 2))))
        else:
            lowest, highest = spatial.extent(centre)
        size = np.array(case.hu.shape)
        low = np.clip(np.floor(lowest).astype(int) - 1, 0, size - 1)
        high = np.clip(np.ceil(highest).astype(int) + 2, low + 1, size)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        names = [name for name in self.structures if name in case.masks]
        stored = [case.masks[name].window(low, high) for name in names]
        if case.ignore:
            stored.append(case.ignore.window(low, high))
        labels = torch.from_numpy(np.stack(stored)).to(self.device).float() / 255
        hu = torch.from_numpy(case.hu[window]).to(self.device).float() - AIR_HU
        volume = sample_volume(torch.cat((hu[None], labels)), grid - torch.tensor(low, device=self.device))
        target = torch.zeros((len(self.structures), *self.patch), device=self.device)
        for number, name in enumerate(names, start=1):
            target[self.structures.index(name)] = volume[number].clamp(0, 1)
        certain = inside[None].expand(target.shape).clone() if self.augmentation.cut else inside[None]
        if case.ignore:
            certain = certain.clone()
            certain[:1] *= volume[-1] < MOST_IGNORED
        return volume[0] * (1 - far) + AIR_HU, target, certain


class BatchStream:
    """The batches from a step on, made ahead by threads where there are any.

    Use it as a context; `next` gives the batch of `step`, then of the step after it, and so on. On a GPU each thread
    works in a CUDA stream of its own, so that patches are made beside the training steps and not between them.
    """

    def __init__(self, sampler: PatchSampler, places: Sequence[int], step: int, workers: int) -> None:
        self.sampler, self.places, self.workers = sampler, tuple(places), workers
        self._ahead: list[Future[PatchBatch]] = []
        self._step = step
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._own = threading.local()

    def __enter__(self) -> BatchStream:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[PatchBatch]:
        return self

    def __next__(self) -> PatchBatch:
        if not self._pool:
            self._step += 1
            return self.sampler.batch(self._step - 1, self.places)
        while len(self._ahead) <= self.workers:
            self._ahead.append(self._pool.submit(self._made, self._step))
            self._step += 1
        batch = self._ahead.pop(0).result()
        if self.sampler.device.type == "cuda":
            for tensor in vars(batch).values():
                # Its memory is another stream's, which must not use it again before this one is done with it.
                tensor.record_stream(torch.cuda.current_stream(self.sampler.device))
        return batch

    def _made(self, step: int) -> PatchBatch:
        if self.sampler.device.type != "cuda":
            return self.sampler.batch(step, self.places)
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self.sampler.device)
        with torch.cuda.stream(self._own.stream):
            batch = self.sampler.batch(step, self.places)
        self._own.stream.synchronize()
        return batch


def case_probabilities(data_sets: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """How probable each case is, from its data set's share."""
    counts = {name: data_sets.count(name) for name in dict.fromkeys(data_sets)}
    given = {name: share for name, share in shares.items() if name in counts}
    others = sum(count for name, count in counts.items() if name not in given)
    rest = 1 - sum(given.values())
    weights = np.array([
        given[name] / counts[name] if name in given else rest / others for name in data_sets
    ])  # fmt: skip
    return weights / weights.sum()
