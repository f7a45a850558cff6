"""The pipeline: a CT goes in, the pancreas probability and the attention coefficients come out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import BadModel
from ..imaging import (
    HUWindow,
    Volume,
    body_box,
    coarser_grid,
    image_on_grid,
    probability_to_input_grid,
    to_model_grid,
    volume_ml,
)
from ..imaging.geometry import Geometry
from ..models import ModelPackage, verify_weights
from ..network import AttentionUNet, build_network
from .device import ComputeDevice, choose_device
from .field import FieldPredictor
from .fusion import FusedNetwork
from .observer import Observer, SilentObserver, StageProgress
from .result import Segmentation

LOWEST_PROBABILITY = 0.01
# Test-time augmentation: the field begins this many voxels earlier along K, J, I. Other pooling windows see each
# place then, so that the mean depends less on where the grid happens to lie.
SHIFTS = ((0, 0, 0), (1, 1, 1), (3, 2, 1), (2, 3, 3))


@dataclass(frozen=True)
class SegmentOptions:
    """What a person can choose for one run.

    Attributes
    ----------
    tta : test-time augmentation: the mean over four small shifts; four times the work of the network.
    max_memory_mb : upper limit in MB for one forward pass, or None for what the device allows.
    """

    tta: bool = False
    max_memory_mb: float | None = None


class Segmenter:
    """A model, loaded and ready on a device; one instance serves any number of volumes.

    Parameters
    ----------
    package : the model package; its weights' hash is verified first.
    device : see `choose_device`.

    Raises
    ------
    BadModel : weights missing, damaged, or not those of the manifest's network.
    UnavailableDevice : there is no such device.
    """

    def __init__(self, package: ModelPackage, device: str = "auto") -> None:
        self.package = package
        chosen = choose_device(device)
        network = self.network = load_network(package)  # plain, on the CPU: what `refine` adapts
        self.predictor = FieldPredictor(lambda where: _fused(network, where), chosen)

    @property
    def device(self) -> ComputeDevice:
        """Where the network computes now."""
        return self.predictor.device

    def segment(
        self, volume: Volume, options: SegmentOptions | None = None, observer: Observer | None = None
    ) -> Segmentation:
        """Segment one CT.

        Parameters
        ----------
        volume : CT in HU with its geometry; it is not changed.
        options : defaults where None.
        observer : sees progress and warnings, and can cancel.

        Returns
        -------
        Segmentation, on the voxel grid of `volume` (probability) and on the gates' own grids (attention).

        Raises
        ------
        Cancelled : the observer asked for it.
        OutOfMemory : neither the device nor main memory suffices for the smallest tile.
        """
        options, observer = options or SegmentOptions(), observer or SilentObserver()
        package, timings = self.package, {}
        warnings = _Warnings(observer, [*volume.warnings, *self._mismatch(volume)])

        with _stage(timings, "resample", observer, 0.02, "Resampling"):
            coarse = to_model_grid(volume.image, package.spacing_mm)
            box = body_box(coarse)
            intensities = HUWindow(*package.window_hu).apply(sitk.GetArrayViewFromImage(coarse)[box])
        with _stage(timings, "network", observer, 0.10, "Network"):
            self.predictor.memory_limit_mb = options.max_memory_mb
            progress = StageProgress(observer, "Network", 0.10, 0.90)
            shifts = SHIFTS if options.tta else SHIFTS[:1]
            probability, attention, tile_count = self._probability(intensities, shifts, warnings, progress)
        with _stage(timings, "restore", observer, 0.90, "Back to the CT's grid"):
            grid = Geometry.of(coarse)
            start, size = [part.start for part in reversed(box)], intensities.shape[::-1]
            grid = grid.cropped(start, size)
            restored = probability_to_input_grid(image_on_grid(probability, grid), volume.image, LOWEST_PROBABILITY)
            maps = [_attention_image(alpha, coarser_grid(grid, level)) for level, alpha in attention]
            volumes = self._volumes(restored)
        if not any(volumes.values()):
            warnings.warning(f"No pancreas was found: nothing in the CT reaches the threshold {package.threshold:g}.")
        observer.progress(0.97, "Back to the CT's grid")
        return Segmentation(
            restored, maps, self.device.kind, self.device.name, package.threshold, timings, warnings.texts, volumes,
            tile_count,
        )  # fmt: skip

    def _mismatch(self, volume: Volume) -> list[str]:
        if self.package.is_phantom_only and not volume.is_phantom:
            return [
                f'The model "{self.package.name}" knows only computer-made phantoms, and this is no such phantom: '
                "DO NOT USE THIS RESULT; choose a model that was made for CT."
            ]
        return []

    def _probability(
        self, intensities: np.ndarray, shifts: tuple, observer: Observer, progress: StageProgress
    ) -> tuple[np.ndarray, list[tuple[int, np.ndarray]], int]:
        """Mean probability of the first label over the shifts, the attention of the unshifted pass, and its tiles."""
        total, first = None, None
        for (start, stop), shift in zip(
            pairwise(np.linspace(progress.start, progress.stop, len(shifts) + 1)), shifts, strict=True
        ):
            shifted = np.pad(intensities, [(amount, 0) for amount in shift]) if any(shift) else intensities
            share = StageProgress(progress.observer, progress.stage, float(start), float(stop))
            prediction = self.predictor.predict(shifted, observer, share)
            first = first or prediction
            inside = tuple(slice(amount, None) for amount in shift)
            probability = self._first_label(prediction.logits)[inside]
            total = probability if total is None else np.add(total, probability, out=total)
        total /= len(shifts)
        return total, first.attention, first.tile_count

    def _first_label(self, logits: np.ndarray) -> np.ndarray:
        """Probability (K, J, I) of the first label from logits (C, K, J, I)."""
        channel = self.package.labels[0].get("channel", 0)
        tensor = torch.from_numpy(logits)
        if self.package.manifest["output"]["activation"] == "softmax":
            return torch.softmax(tensor, dim=0)[channel].numpy().copy()
        return torch.sigmoid(tensor[channel]).numpy()

    def _volumes(self, probability: sitk.Image) -> dict[str, float]:
        """Volume in mL of the first label: voxels whose probability reaches the model's threshold."""
        reached = sitk.GetArrayViewFromImage(probability) >= self.package.threshold * 255
        return {self.package.labels[0]["name"]: round(volume_ml(reached, probability.GetSpacing()), 3)}


def load_network(package: ModelPackage) -> AttentionUNet:
    """The package's network with its weights, float32, evaluation mode, on the CPU.

    Raises
    ------
    BadModel : the file's hash, its content, or a tensor's shape is not what the manifest says; the sentence names it.
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

    def __init__(self, observer: Observer, texts: list[str]) -> None:
        self.observer, self.texts = observer, []
        for text in texts:
            self.warning(text)

    def warning(self, message: str) -> None:
        self.texts.append(message)
        self.observer.warning(message)


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
