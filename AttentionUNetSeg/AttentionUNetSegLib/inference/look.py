"""One network that looks at a field, once or several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..imaging import HUWindow
from ..network import AttentionUNet
from .augmentation import Pass, mean_and_spread
from .device import ComputeDevice
from .field import FieldPredictor
from .fusion import FusedNetwork
from .observer import Observer, StageProgress


@dataclass(frozen=True)
class Seen:
    """What a network says of a field; arrays are KJI.

    Attributes
    ----------
    probability : np.ndarray
        float32, 0..1, of one label; the mean over the passes.
    spread : np.ndarray | None
        Standard deviation over the passes, where it was wanted and there are several.
    attention : list[tuple[int, np.ndarray]]
        Of the first pass, per gate, finest first: how often its grid is halved, and its coefficients in 0..1.
    tile_count : int
        Of the first pass: 1 where the whole field was computed at once.
    """

    probability: np.ndarray
    spread: np.ndarray | None
    attention: list[tuple[int, np.ndarray]]
    tile_count: int


class Look:
    """A network on a device, and how its input and output are to be understood.

    Parameters
    ----------
    network : AttentionUNet
        In evaluation mode.
    device : ComputeDevice
        Where it begins to compute.
    window_hu : tuple[float, float]
        Intensities that become 0 and 1.
    channel, is_softmax : of the label that is wanted, and how logits become probabilities.
    """

    def __init__(
        self,
        network: AttentionUNet,
        device: ComputeDevice,
        window_hu: tuple[float, float],
        channel: int = 0,
        is_softmax: bool = False,
    ) -> None:
        self.network, self.window_hu, self.channel, self.is_softmax = network, window_hu, channel, is_softmax
        self.predictor = FieldPredictor(lambda where: _fused(network, where), device)

    def at(
        self,
        hu: np.ndarray,
        passes: tuple[Pass, ...],
        with_spread: bool,
        observer: Observer,
        progress: StageProgress,
    ) -> Seen:
        """Look at a field (K, J, I) of HU.

        Raises
        ------
        Cancelled
            The observer asked for it.
        OutOfMemory
            Not even the smallest tile fits into main memory.
        """
        first: list[tuple[list[tuple[int, np.ndarray]], int]] = []
        low, high = self.window_hu

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
                probability = prediction.probability(self.channel, self.is_softmax).numpy()
                yield probability[tuple(slice(amount, None) for amount in look.shift)]

        mean, spread = mean_and_spread(probabilities(), with_spread)
        return Seen(mean, spread, *first[0])


def _fused(network: AttentionUNet, device: ComputeDevice) -> FusedNetwork:
    return FusedNetwork(network, device.transposed_upsampling).on(device)
