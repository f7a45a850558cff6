"""The pipeline: a CT goes in, the pancreas probability and the attention coefficients come out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk

from ..contracts import RunOptions
from ..imaging import (
    Volume,
    body_box,
    coarser_grid,
    field_of_view_doubts,
    image_on_grid,
    linearly_on,
    on_grid_of,
    probability_to_input_grid,
    to_model_grid,
    volume_ml,
)
from ..imaging.geometry import Geometry
from ..models import Catalogue, ModelPackage, SegmentLabel
from ..network import AttentionUNet
from .augmentation import PASSES, SPREAD_SCALE
from .device import ComputeDevice, choose_device
from .device_grids import DeviceGrids
from .islands import FAR_MM, without_far_islands
from .look import Look
from .mirrored_surroundings import Mirrored
from .observer import Observer, SilentObserver, StageProgress
from .quality import FoundSegment, assess_quality, phantom_only_warning
from .result import Segmentation
from .second_look import FinerLook
from .weights import load_networks

LOWEST_PROBABILITY = 0.01


class Segmenter:
    """A model, loaded and ready on a device; one instance serves any number of volumes.

    Parameters
    ----------
    model : ModelPackage or str
        The model package, or the id of one that is installed (``"pancreas-ct"``). Its weights' hash is verified first.
    device : str
        Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``, see `choose_device`.

    Raises
    ------
    BadModel
        No model with this id is installed; or weights missing, damaged, or not those of the manifest's network.
    UnavailableDevice
        There is no such device.

    Examples
    --------
    >>> from AttentionUNetSegLib import Segmenter, read_volume
    >>> segmentation = Segmenter("pancreas-ct").segment(read_volume("ct.nii.gz"))  # doctest: +SKIP
    >>> segmentation.volume_ml  # doctest: +SKIP
    {'Pancreas': 81.27}
    """

    def __init__(self, model: ModelPackage | str, device: str = "auto") -> None:
        package = self.package = Catalogue().get(model) if isinstance(model, str) else model
        chosen = choose_device(device)
        network, finer_network = load_networks(package)
        channel, is_softmax = package.labels[0].get("channel", 0), package.activation == "softmax"
        self.first = Look(network, chosen, package.window_hu, channel, is_softmax)
        self.grids = DeviceGrids(chosen) if chosen.kind == "cuda" else None
        self.finer: FinerLook | None = None
        if finer_network is not None and package.second_look is not None:
            look = Look(finer_network, chosen, package.window_hu)
            self.finer = FinerLook(look, package.second_look, self.grids)
        # While a GPU computes, the host is free to look at the CT. A CPU has nothing to spare.
        self._beside = ThreadPoolExecutor(1, "checks") if chosen.kind == "cuda" else None

    @property
    def device(self) -> ComputeDevice:
        """Where the network computes now."""
        return self.first.predictor.device

    @property
    def network(self) -> AttentionUNet:
        """The network of the first look, which sees the whole abdomen."""
        return self.first.network

    def warm_up(self) -> Iterator[None]:
        """Let each network compute once over next to nothing, and yield before each.

        The first computation on a device makes what all others use: kernels, handles, threads; on a GPU that takes
        seconds. What belongs to the size of a field is left to its first run: sizes are as many as patients.

        Raises
        ------
        RuntimeError
            The device cannot compute, or has no memory even for that. `segment` falls back then, and says so.
        """
        for look in (self.first, self.finer.look) if self.finer else (self.first,):
            yield
            look.predictor.warm_up()

    def segment(
        self, volume: Volume, options: RunOptions | None = None, observer: Observer | None = None
    ) -> Segmentation:
        """Segment one CT.

        Parameters
        ----------
        volume : Volume
            CT in HU with its geometry; it is not changed.
        options : RunOptions | None
            Defaults where None. `device` is the segmenter's own, `any_intensity` and what says how a segment is made
            are not asked for here.
        observer : Observer | None
            Sees progress and warnings, and can cancel.

        Returns
        -------
        Segmentation, on the voxel grid of `volume` (probability, spread) and on the gates' own grids (attention).

        Raises
        ------
        Cancelled
            The observer asked for it.
        OutOfMemory
            Neither the device nor main memory suffices for the smallest tile.
        """
        options, observer = options or RunOptions(), observer or SilentObserver()
        package = self.package
        timings: dict[str, float] = {}
        warnings = _Warnings(observer, volume.warnings)
        if package.is_phantom_only and not volume.is_phantom:
            warnings.warning(phantom_only_warning(package))

        with _stage(timings, "resample", observer, 0.02, "Resampling"):
            coarse = to_model_grid(volume.image, package.spacing_mm, self.grids.resampled if self.grids else None)
            box = body_box(coarse)
        is_judged = not (volume.is_phantom or package.is_phantom_only or options.is_part)
        doubts = self._beside.submit(field_of_view_doubts, coarse).result if self._beside and is_judged else None
        with _stage(timings, "network", observer, 0.10, "Network"):
            self.first.predictor.memory_limit_mb = options.max_memory_mb
            progress = StageProgress(observer, "Network", 0.10, 0.75 if self.finer else 0.90)
            hu = sitk.GetArrayViewFromImage(coarse)[box]
            surroundings = Mirrored.about(box, coarse.GetSize()[::-1], package.spacing_mm, self.network.stride)
            # The spread of the model's own few passes says little: it is not computed.
            passes, with_spread = (PASSES, True) if options.tta else (PASSES[: package.passes], False)
            seen = self.first.at(surroundings.padded(hu), passes, with_spread, warnings, progress)
            probability = self._one_organ(surroundings.cropped(seen.probability), package.spacing_mm, warnings)
            spread = None if seen.spread is None else surroundings.cropped(seen.spread)
            attention = [(level, surroundings.cropped(alpha, level)) for level, alpha in seen.attention]
            grid = Geometry.of(coarse).cropped([part.start for part in reversed(box)], hu.shape[::-1])
            found = image_on_grid(probability, grid)
        if self.finer is not None:
            with _stage(timings, "second_look", observer, 0.75, "Second look"):
                self.finer.look.predictor.memory_limit_mb = options.max_memory_mb
                progress = StageProgress(observer, "Second look", 0.75, 0.90)
                found = self.finer.improved(volume.image, found, Geometry.of(coarse), passes, warnings, progress)
                finer = sitk.GetArrayViewFromImage(found)
                found = image_on_grid(self._one_organ(finer, found.GetSpacing(), warnings), found)
                # Doubts are looked for on the grid of the whole scan.
                probability = linearly_on(found, grid)
        with _stage(timings, "restore", observer, 0.90, "Back to the CT's grid"):
            restored = probability_to_input_grid(
                found,
                volume.image,
                LOWEST_PROBABILITY,
                self.grids.interpolated if self.grids else None,
            )
            spread_image = spread if spread is None else on_grid_of(image_on_grid(spread, grid), restored, SPREAD_SCALE)
            maps = [_attention_image(alpha, coarser_grid(grid, level)) for level, alpha in attention]
            volumes = self._volumes(restored)
            volume_found = next(iter(volumes.values()))
            segment = FoundSegment(coarse, box, probability, spread, volume_found, options.is_part, doubts)
            quality = assess_quality(segment, package, volume.is_phantom)
        for reason in quality.reasons:
            warnings.warning(reason)
        observer.progress(0.97, "Back to the CT's grid")
        return Segmentation(
            probability=restored,
            attention=maps,
            device=self.device.kind,
            device_name=self.device.name,
            threshold=package.threshold,
            spread=spread_image,
            timings=timings,
            warnings=warnings.texts,
            volume_ml=volumes,
            tile_count=seen.tile_count,
            quality=quality,
        )

    def _one_organ(
        self, probability: np.ndarray, spacing_mm: tuple[float, float, float], warnings: _Warnings
    ) -> np.ndarray:
        """Without what lies far from the pancreas and cannot be a part of it; other labels are left alone."""
        if not SegmentLabel.of_manifest(self.package.labels[0]).is_pancreas:
            return probability
        kept, left_out_ml = without_far_islands(probability, self.package.threshold, spacing_mm[::-1])
        if left_out_ml:
            warnings.warning(
                f"{left_out_ml:.1f} mL more than {FAR_MM:g} mm from the segment looked like pancreas to the network; "
                "they were left out, because the pancreas is one organ."
            )
        return kept

    def _volumes(self, probability: sitk.Image) -> dict[str, float]:
        """Volume in mL of the first label: voxels whose probability reaches the model's threshold."""
        reached = sitk.GetArrayViewFromImage(probability) >= self.package.threshold * 255
        return {self.package.labels[0]["name"]: round(volume_ml(reached, probability.GetSpacing()), 3)}


class _Warnings:
    """Passes everything on to an observer and keeps the warnings for the result."""

    def __init__(self, observer: Observer, texts: Iterable[str]) -> None:
        self.observer = observer
        self.texts: list[str] = []
        for text in texts:
            self.warning(text)

    def warning(self, message: str) -> None:
        if message not in self.texts:
            self.texts.append(message)
            self.observer.warning(message)

    def progress(self, fraction: float, stage: str) -> None:
        self.observer.progress(fraction, stage)

    def cancelled(self) -> bool:
        return self.observer.cancelled()


@contextmanager
def _stage(timings: dict[str, float], key: str, observer: Observer, start: float, words: str) -> Iterator[None]:
    StageProgress(observer, words, start, start)
    started = time.perf_counter()
    yield
    timings[key] = round(time.perf_counter() - started, 4)


def _attention_image(alpha: np.ndarray, grid: Geometry) -> sitk.Image:
    return image_on_grid(np.rint(alpha * 255).astype(np.uint8), grid)
