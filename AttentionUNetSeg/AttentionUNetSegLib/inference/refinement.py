"""The network in the loop: clicks adapt it to this patient, and it tells again what it sees around them.

    refinement = refine(segmenter, ct, probability, attention, [RefinementClick((x, y, z), True)], reach_mm=15.0)

Back-propagating refinement in the manner of f-BRS (Sofiiuk et al., CVPR 2020) on one patch around the clicks, in two
steps: first the attention gates' biases, so that attention follows the clicks, then a weight per channel of the last
features and one bias. What it changes is faded out with the distance from the clicks (see `refined_fields`),
probability and attention alike.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from ..errors import BadInput, OutOfMemory
from ..imaging import Geometry, HUWindow, coarser_grid, image_on_grid, to_model_grid
from .adaptation import AdaptedPatch
from .click_aim import aim_of_clicks
from .click_fit import fit_clicks
from .device import ComputeDevice, repeatable
from .fallback import Attempt
from .observer import Observer, SilentObserver, StageProgress
from .refined_fields import Clicks, ReachingClick, box_around, refined_attention, refined_probability
from .segmenter import Segmenter

# The encoder sees this much more than what may change, along every axis.
CONTEXT_MM = 32.0
# No gate's bias is changed by more: that takes a coefficient of 0.5 to 0.95.
LARGEST_GATE_BIAS = 3.0
# Channels that hardly vary on the patch must not be blown up.
SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True, order=True)
class RefinementClick:
    """A place, LPS in mm, that belongs to the organ (`positive`) or does not."""

    position: tuple[float, float, float]
    positive: bool


@dataclass
class Refinement:
    """What the adapted network says.

    Attributes
    ----------
    probability : uint8 0..255, like the one that was refined; its box may be larger.
    attention : uint8 0..255 per gate, each on the grid of the one that was refined.
    gate_biases : what was added to the gates' biases, finest gate first.
    losses : before, after the gates, and in the end.
    device : where the network computed.
    timings : seconds per stage.
    """

    probability: sitk.Image
    attention: list[sitk.Image]
    gate_biases: tuple[float, ...]
    losses: tuple[float, float, float]
    device: ComputeDevice
    timings: dict[str, float] = field(default_factory=dict)


def refine(
    segmenter: Segmenter,
    ct: sitk.Image,
    probability: sitk.Image,
    attention: Sequence[sitk.Image],
    clicks: Sequence[RefinementClick],
    reach_mm: float,
    observer: Observer | None = None,
) -> Refinement:
    """Adapt the network to clicks and return the fields that it gives then.

    The result depends on the set of clicks, not on their sequence, and on the CT around them only. Beyond `FURTHEST`
    times the reach from every click, values stay as they are, exactly. Nothing that is passed in is changed.

    Parameters
    ----------
    segmenter : the loaded model.
    ct : HU, with its geometry; the part around the clicks is enough.
    probability : uint8 0..255 on the CT's voxels, cropped: the network's own.
    attention : uint8 0..255 per gate, finest first, each on its own grid; may be empty.
    clicks : at least one.
    reach_mm : what the network says then is taken over fully up to here, and fades out up to `FURTHEST` times it.

    Raises
    ------
    BadInput : no click, one outside the CT, or a reach that is not above 0.
    Cancelled : the observer asked for it.
    OutOfMemory : the patch does not fit into main memory. (What a device cannot do, the CPU does, and a warning says.)
    """
    observer = observer or SilentObserver()
    _check(ct, clicks, reach_mm)
    started = time.perf_counter()
    reached = [ReachingClick(click.position, click.positive, reach_mm) for click in sorted(set(clicks))]
    network = segmenter.network
    coarse = _around(ct, reached, segmenter.package.spacing_mm)
    patch = _Patch.of(coarse, reached, network.stride)
    window = HUWindow(*segmenter.package.window_hu)
    intensities = patch.cut(window.apply(sitk.GetArrayViewFromImage(coarse)))
    timings = {"resample": round(time.perf_counter() - started, 4)}
    passes = 4 + (len(network.gates) if network.gate_kind else 0)
    progress = StageProgress(observer, "Refining", 0.05, 0.85, passes)

    def adapt(attempt: Attempt) -> _Found:
        progress.restart(passes)
        with repeatable():
            return _adapt(segmenter, attempt.device, patch, intensities, probability, reached, progress)

    try:
        found = segmenter.refining.run(adapt, observer)
    except OutOfMemory as error:
        raise OutOfMemory(
            "There is not enough memory to refine with these clicks.", "Use fewer clicks or a smaller reach."
        ) from error
    timings["adapt"] = round(time.perf_counter() - started - timings["resample"], 4)
    observer.progress(0.85, "Back to the CT's grid")
    change, own = (image_on_grid(values, patch.inner_grid) for values in (found.change, found.own))
    refined = refined_probability(probability, Geometry.of(ct), change, own, reached)
    maps = []
    for level, (image, alpha) in enumerate(zip(attention, found.attention, strict=False)):
        level += network.gate_kind == "grid"
        maps.append(refined_attention(image, image_on_grid(alpha, coarser_grid(patch.inner_grid, level)), reached))
    timings["total"] = round(time.perf_counter() - started, 4)
    return Refinement(refined, maps, found.gate_biases, found.losses, found.device, timings)


@dataclass(frozen=True)
class _Patch:
    """Where the patch lies on the resampled CT, and its inner part, that is decoded, within it; KJI, voxels.

    start, stop : of the patch; both may lie beyond the CT, where there is air.
    inner : start and stop of the inner part, counted from the patch's first voxel; multiples of the stride.
    inner_grid : the inner part's geometry.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    inner: tuple[tuple[int, int], ...]
    inner_grid: Geometry

    @classmethod
    def of(cls, coarse: sitk.Image, clicks: Clicks, stride: int) -> _Patch:
        grid = Geometry.of(coarse)
        low, high = box_around(grid, clicks)
        size = -(-(high - low) // stride) * stride
        context = (np.ceil(CONTEXT_MM / np.asarray(grid.spacing) / stride) * stride).astype(int)
        return cls(
            tuple(int(n) for n in (low - context)[::-1]),
            tuple(int(n) for n in (low + size + context)[::-1]),
            tuple((int(c), int(c + n)) for c, n in zip(context[::-1], size[::-1], strict=True)),
            grid.cropped(tuple(int(n) for n in low), tuple(int(n) for n in size)),
        )

    def cut(self, values: np.ndarray) -> np.ndarray:
        """The patch of an array on the CT's resampled grid; 0 beyond it."""
        ends = list(zip(self.start, self.stop, values.shape, strict=True))
        inside = tuple(slice(max(0, a), min(b, n)) for a, b, n in ends)
        return np.pad(values[inside], [(max(0, -a), max(0, b - n)) for a, b, n in ends])


@dataclass(frozen=True)
class _Found:
    """On the inner part of the patch: the change of log odds, not faded; that of attention; the network's own odds."""

    change: np.ndarray
    own: np.ndarray
    attention: list[np.ndarray]
    gate_biases: tuple[float, ...]
    losses: tuple[float, float, float]
    device: ComputeDevice


def _adapt(
    segmenter: Segmenter,
    place: ComputeDevice,
    where: _Patch,
    intensities: np.ndarray,
    probability: sitk.Image,
    clicks: Clicks,
    progress: StageProgress,
) -> _Found:
    network, device = segmenter.network, place.device
    if place.kind != "cpu":
        network = copy.deepcopy(network).to(device)
    field = torch.from_numpy(intensities)[None, None].to(device).contiguous(memory_format=torch.channels_last_3d)
    patch = AdaptedPatch(network, field, where.inner, lambda: progress.advance(0.0))
    progress.advance(1.0)
    log_odds = _log_odds(segmenter)
    start = patch.decode([0.0] * patch.gate_count)
    progress.advance(1.0)
    own = log_odds(start.logits)
    aim, places = aim_of_clicks(own.numpy(), where.inner_grid, probability, clicks)

    def at(values: Tensor) -> Tensor:
        # To the CPU first: Metal knows no double precision.
        return values.reshape(*values.shape[:-3], -1)[..., places.to(values.device)].cpu().double()

    # One gate after the other is opened by 1: how the log odds change then is the direction that its bias stands for.
    directions = torch.zeros(len(places), patch.gate_count, dtype=torch.float64)
    for gate in range(patch.gate_count):
        opened = patch.decode([float(n == gate) for n in range(patch.gate_count)])
        directions[:, gate] = at(log_odds(opened.logits) - own)
        progress.advance(1.0)
    gates = fit_clicks(aim, torch.zeros(len(places), dtype=torch.float64), directions, LARGEST_GATE_BIAS)
    adapted = patch.decode(gates.amounts.tolist())
    progress.advance(1.0)
    by_gates = log_odds(adapted.logits) - own
    features = at(adapted.features).T
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0) + SMALLEST_DEVIATION
    channels = torch.cat(((features - mean) / deviation, torch.ones(len(places), 1, dtype=torch.float64)), dim=1)
    fit = fit_clicks(aim, at(by_gates), channels)
    change = torch.zeros(own.numel(), dtype=torch.float64)
    change[places] = at(by_gates) + channels @ fit.amounts
    progress.advance(1.0)
    attention = [
        (after - before).cpu().numpy() for after, before in zip(adapted.coefficients, start.coefficients, strict=True)
    ]
    losses = (gates.losses[0], fit.losses[0], fit.losses[1])
    changed = change.reshape(own.shape).numpy().astype(np.float32)
    return _Found(changed, own.numpy(), attention, tuple(gates.amounts.tolist()), losses, place)


def _log_odds(segmenter: Segmenter) -> Callable[[Tensor], Tensor]:
    """Make the function from logits (C, K, J, I) to the log odds (K, J, I) of the first label, on the CPU."""
    channel = segmenter.package.labels[0].get("channel", 0)
    is_softmax = segmenter.package.manifest["output"]["activation"] == "softmax"

    def log_odds(logits: Tensor) -> Tensor:
        if not is_softmax:
            return logits[channel].float().cpu()
        others = [n for n in range(len(logits)) if n != channel]
        return (logits[channel] - torch.logsumexp(logits[others], dim=0)).float().cpu()

    return log_odds


def _around(ct: sitk.Image, clicks: Clicks, spacing_mm: Sequence[float]) -> sitk.Image:
    """The CT around the clicks on the model's grid."""
    low, high = box_around(Geometry.of(ct), clicks, CONTEXT_MM)
    return to_model_grid(ct[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))], spacing_mm)


def _check(ct: sitk.Image, clicks: Sequence[RefinementClick], reach_mm: float) -> None:
    if not clicks:
        raise BadInput("There is no click to refine with.", "Make at least one click.")
    if not 0.0 < reach_mm < np.inf:
        raise BadInput(f"A reach of {reach_mm} mm cannot be used: it must be above 0.")
    grid = Geometry.of(ct)
    outside = []
    for click in sorted(clicks):
        place = grid.index(click.position)
        if np.any(place < -0.5 - 1e-6) or np.any(place > np.asarray(grid.size) - 0.5 + 1e-6):
            x, y, z = click.position
            outside.append(f"the {'Add' if click.positive else 'Remove'} click at ({-x:.1f}, {-y:.1f}, {z:.1f}) mm RAS")
    if outside:
        verb = "lies" if len(outside) == 1 else "lie"
        listed = " and ".join(outside)
        raise BadInput(f"{listed[0].upper()}{listed[1:]} {verb} outside the CT.", "Click inside the CT.")
