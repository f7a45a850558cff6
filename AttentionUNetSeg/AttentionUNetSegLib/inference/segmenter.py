"""The pipeline: a CT goes in, the pancreas probability and the attention coefficients come out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import SimpleITK as sitk
import torch

from ..contracts import RunOptions
from ..errors import BadModel
from ..imaging import (
    HUWindow,
    Volume,
    body_box,
    coarser_grid,
    field_of_view_doubts,
    image_on_grid,
    on_grid_of,
    probability_to_input_grid,
    to_model_grid,
    volume_ml,
)
from ..imaging.geometry import Geometry
from ..models import Catalogue, ModelPackage, SegmentLabel, verify_weights
from ..network import AttentionUNet, build_network
from .augmentation import PASSES, SPREAD_SCALE, Pass, mean_and_spread
from .device import ComputeDevice, choose_device
from .device_grids import DeviceGrids
from .field import FieldPredictor
from .fusion import FusedNetwork
from .islands import FAR_MM, without_far_islands
from .mirrored_surroundings import Mirrored
from .observer import Observer, SilentObserver, StageProgress
from .quality import FoundSegment, assess_quality, phantom_only_warning
from .result import Segmentation

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
        network = self.network = load_network(package)
        self.predictor = FieldPredictor(lambda where: _fused(network, where), chosen)
        self.grids = DeviceGrids(chosen) if chosen.kind == "cuda" else None
        # While a GPU computes, the host is free to look at the CT. A CPU has nothing to spare.
        self._beside = ThreadPoolExecutor(1, "checks") if chosen.kind == "cuda" else None

    @property
    def device(self) -> ComputeDevice:
        """Where the network computes now."""
        return self.predictor.device

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
            self.predictor.memory_limit_mb = options.max_memory_mb
            progress = StageProgress(observer, "Network", 0.10, 0.90)
            hu = sitk.GetArrayViewFromImage(coarse)[box]
            surroundings = Mirrored.about(box, coarse.GetSize()[::-1], package.spacing_mm, self.network.stride)
            # The spread of the model's own few passes says little: it is not computed.
            passes, with_spread = (PASSES, True) if options.tta else (PASSES[: package.passes], False)
            probability, spread, (attention, tile_count) = self._predict(
                surroundings.padded(hu), passes, with_spread, warnings, progress
            )
            probability = self._one_organ(surroundings.cropped(probability), warnings)
            spread = None if spread is None else surroundings.cropped(spread)
            attention = [(level, surroundings.cropped(alpha, level)) for level, alpha in attention]
        with _stage(timings, "restore", observer, 0.90, "Back to the CT's grid"):
            grid = Geometry.of(coarse).cropped([part.start for part in reversed(box)], hu.shape[::-1])
            restored = probability_to_input_grid(
                image_on_grid(probability, grid),
                volume.image,
                LOWEST_PROBABILITY,
                self.grids.interpolated if self.grids else None,
            )
            spread_image = spread if spread is None else on_grid_of(image_on_grid(spread, grid), restored, SPREAD_SCALE)
            maps = [_attention_image(alpha, coarser_grid(grid, level)) for level, alpha in attention]
            volumes = self._volumes(restored)
            volume_found = next(iter(volumes.values()))
            found = FoundSegment(coarse, box, probability, spread, volume_found, options.is_part, doubts)
            quality = assess_quality(found, package, volume.is_phantom)
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
            tile_count=tile_count,
            quality=quality,
        )

    def _one_organ(self, probability: np.ndarray, warnings: _Warnings) -> np.ndarray:
        """Without what lies far from the pancreas and cannot be a part of it; other labels are left alone."""
        if not SegmentLabel.of_manifest(self.package.labels[0]).is_pancreas:
            return probability
        kept, left_out_ml = without_far_islands(probability, self.package.threshold, self.package.spacing_mm[::-1])
        if left_out_ml:
            warnings.warning(
                f"{left_out_ml:.1f} mL more than {FAR_MM:g} mm from the segment looked like pancreas to the network; "
                "they were left out, because the pancreas is one organ."
            )
        return kept

    def _predict(
        self,
        hu: np.ndarray,
        passes: tuple[Pass, ...],
        with_spread: bool,
        observer: Observer,
        progress: StageProgress,
    ) -> tuple[np.ndarray, np.ndarray | None, tuple[list[tuple[int, np.ndarray]], int]]:
        """Mean probability of the first label, its spread where wanted; attention and tiles of the first pass."""
        first: list[tuple[list[tuple[int, np.ndarray]], int]] = []
        low, high = self.package.window_hu

        def probabilities() -> Iterator[np.ndarray]:
            ends = np.linspace(progress.start, progress.stop, len(passes) + 1)
            for (start, stop), look in zip(pairwise(ends), passes, strict=True):
                # The window is moved instead of the values: what lies below it stays exactly 0, which is air.
                intensities = HUWindow(low - look.hu, high - look.hu).apply(hu)
                if any(look.shift):
                    intensities = np.pad(intensities, [(amount, 0) for amount in look.shift])
                share = StageProgress(progress.observer, progress.stage, float(start), float(stop))
                prediction = self.predictor.predict(intensities, observer, share, go_on=bool(first))
                if not first:
                    attention = [(level, alpha.numpy()) for level, alpha in prediction.attention]
                    first.append((attention, prediction.tile_count))
                probability = prediction.probability(self._channel, self._is_softmax).numpy()
                yield probability[tuple(slice(amount, None) for amount in look.shift)]

        return (*mean_and_spread(probabilities(), with_spread), first[0])

    @property
    def _channel(self) -> int:
        """The output channel of the first label."""
        return self.package.labels[0].get("channel", 0)

    @property
    def _is_softmax(self) -> bool:
        return self.package.manifest["output"]["activation"] == "softmax"

    def _volumes(self, probability: sitk.Image) -> dict[str, float]:
        """Volume in mL of the first label: voxels whose probability reaches the model's threshold."""
        reached = sitk.GetArrayViewFromImage(probability) >= self.package.threshold * 255
        return {self.package.labels[0]["name"]: round(volume_ml(reached, probability.GetSpacing()), 3)}


def load_network(package: ModelPackage) -> AttentionUNet:
    """The package's network with its weights, float32, evaluation mode, on the CPU.

    Raises
    ------
    BadModel
        The file's hash, its content, or a tensor's shape is not what the manifest says; the sentence names it.
    """
    verify_weights(package)
    network = build_network(package.network)
    if package.network.get("spatial_dims") != 3 or package.network.get("in_channels") != 1:
        raise BadModel(f'The model "{package.id}" is no 3D network with one input channel; only such models can run.')
    try:
        weights = torch.load(package.weights_path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadModel(
            f'The weights of the model "{package.id}" cannot be read: {type(error).__name__}.',
            "Install the model again.",
        ) from error
    _check_weights(package.id, network.state_dict(), weights)
    network.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor
                             for name, tensor in weights.items()})  # fmt: skip
    return network.eval().requires_grad_(False)


def _check_weights(model: str, expected: Mapping[str, torch.Tensor], weights: object) -> None:
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise BadModel(f'The weights file of the model "{model}" holds no state dict.')
    for name, tensor in expected.items():
        if name not in weights:
            raise BadModel(f'The weights of the model "{model}" lack {name!r}, which its network needs.')
        if weights[name].shape != tensor.shape:
            raise BadModel(
                f'In the weights of the model "{model}", {name!r} has shape {tuple(weights[name].shape)}; '
                f"its network needs {tuple(tensor.shape)}."
            )
    unknown = sorted(set(weights) - set(expected))
    if unknown:
        raise BadModel(f'The weights of the model "{model}" hold {unknown[0]!r}, which its network does not have.')


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


def _fused(network: AttentionUNet, device: ComputeDevice) -> FusedNetwork:
    return FusedNetwork(network, device.transposed_upsampling).on(device)


def _attention_image(alpha: np.ndarray, grid: Geometry) -> sitk.Image:
    return image_on_grid(np.rint(alpha * 255).astype(np.uint8), grid)
