"""Our inference against the network as it was trained and against MONAI's sliding window, on one field in one run.

    python -m research.benchmarks.inference [--slices 200 400] [--model FOLDER] [--rows WORD ...] [--write [NAME]]

A phantom of 512 x 512 x `slices` voxels is brought to the model's grid once and cropped to the patient. The very same
field then goes through
  - ours: the fused network, whole or in tiles as memory allows (`FieldPredictor`), in float32 and in the device's type,
  - the network as it was trained, in one pass: float32 in both memory layouts, and the device's type,
  - `monai.inferers.sliding_window_inference`, ROI 96 x 96 x 96, Gaussian importance, overlap 0.25 and 0.5, likewise,
  - what a runtime makes of the network as it was trained, in one pass: `torch.compile`, and where they are installed
    (`pip install onnx onnxruntime openvino`) ONNX Runtime and OpenVINO; compiling and one run come before the clock.
The table leads with what is alike in type: ratios are those to ours in float32. Then it says what comes from where:
from fusing, from the layout, from the type, from one pass instead of overlapping windows. Each row runs in a process of
its own, the peak of whose resident memory is read at the end; times are medians, by the clock and of the processors,
after one small warm-up pass. Differences are those of the probability, of the segment at 0.5 and of the finest gate's
attention to the network as it was trained, with trained weights: random ones say nearly the same everywhere. "Peak" is
the share that the network's convolutions, counted by torch on the network as it was trained, take of what a product of
two matrices of 4096 x 4096 reaches in the row's type on the same processor, measured once before the rows. `--rows`
measures those alone whose names hold one of the words, and the two that all others are compared with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Engine:
    """How a row computes: whose way, whether in the device's own type, in which layout, with which overlap."""

    kind: str
    own_type: bool = False
    channels_last: bool = True
    overlap: float = 0.0


ENGINES = {
    "ours, float32": Engine("ours"),
    "as trained, float32, channels last": Engine("plain"),
    "as trained, float32, contiguous": Engine("plain", channels_last=False),
    "MONAI 0.25, float32, channels last": Engine("MONAI", overlap=0.25),
    "MONAI 0.25, float32, contiguous": Engine("MONAI", channels_last=False, overlap=0.25),
    "MONAI 0.5, float32, contiguous": Engine("MONAI", channels_last=False, overlap=0.5),
    "ours, own type": Engine("ours", own_type=True),
    "as trained, own type, channels last": Engine("plain", own_type=True),
    "MONAI 0.25, own type, channels last": Engine("MONAI", own_type=True, overlap=0.25),
    "torch.compile, float32": Engine("torch.compile"),
    "torch.compile, own type": Engine("torch.compile", own_type=True),
    "ONNX Runtime, float32": Engine("onnxruntime"),
    "OpenVINO, float32": Engine("openvino"),
    "OpenVINO, own type": Engine("openvino", own_type=True),
}
# They compile for the shapes that they meet: a run over the whole field comes before the clock.
COMPILING = {"torch.compile", "onnxruntime", "openvino"}
FAIR, EXACT = "ours, float32", "as trained, float32, channels last"


def main() -> None:
    """Measure, print, and keep the numbers with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[200, 400])
    parser.add_argument("--pixels", type=int, default=512, help="of a slice along both sides")
    parser.add_argument("--model", type=Path, help="model package (default: the bundled model for CT)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=[""], metavar="WORD", help="rows whose names hold it (all)")
    parser.add_argument(
        "--write", nargs="?", const="inference", metavar="NAME", help="keep the numbers in results/NAME-<device>.json"
    )
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--field", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peak", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure(arguments)))
        return
    engines = [name for name in ENGINES if name in (FAIR, EXACT) or any(word in name for word in arguments.rows)]
    engines = [name for name in engines if _is_here(ENGINES[name], arguments.device)]
    peaks = {own_type: _peak(arguments.device, own_type) for own_type in (False, True)}
    results = [compare(arguments, engines, peaks, slices) for slices in arguments.slices]
    if arguments.write:
        from .machine import write_results

        print("written to", write_results(f"{arguments.write}-{arguments.device}", results))


def compare(arguments: argparse.Namespace, engines: list[str], peaks: dict[bool, float], slices: int) -> dict:
    """These engines on one field; prints a table and returns the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        field = Path(folder) / "field.npy"
        shape = make_field(field, arguments, slices)
        rows = {}
        for engine in engines:
            program = [sys.executable, "-m", "research.benchmarks.inference", *sys.argv[1:], "--engine", engine]
            command = [*program, "--field", str(field), "--peak", str(peaks[ENGINES[engine].own_type])]
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode:
                raise SystemExit(f"{engine} failed:\n{finished.stderr}")
            rows[engine] = json.loads(finished.stdout.splitlines()[-1])
        for engine, row in rows.items():
            row.update(_differences(field, engine))
    size = f"{arguments.pixels} x {arguments.pixels} x {slices}"
    print(f"\n{size}, field {' x '.join(map(str, shape[::-1]))} voxels, {arguments.device}")
    columns = ("seconds", "ratio", "cpu seconds", "ratio", "memory MB", "ratio", "peak", "max |dp|", "Dice", "max |da|")
    print(f"{'':37}" + "".join(f"{words:>13}" for words in columns))
    for engine, row in rows.items():
        for key in ("seconds", "cpu_seconds", "memory_mb"):
            row[f"{key}_ratio"] = row[key] / max(rows[FAIR][key], 1e-9)
        cells = [row[k + end] for k in ("seconds", "cpu_seconds", "memory_mb") for end in ("", "_ratio")]
        cells += [
            row["share_of_peak"],
            row["largest_difference"],
            row["dice"],
            row.get("largest_attention_difference", float("nan")),
        ]
        print(f"{engine:37}" + "".join(f"{value:13.4g}" for value in cells), flush=True)
    return {"slices": slices, "field_kji": shape, "model": _package(arguments).id, "engines": rows}


def _is_here(engine: Engine, device: str) -> bool:
    needed = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}.get(engine.kind, ())
    return not needed or (device == "cpu" and all(find_spec(name) for name in needed))


def _differences(field: Path, engine: str) -> dict[str, float]:
    """How far an engine is from the network as it was trained."""
    got, exact = (np.load(f"{field}.{_file(name)}.npy", mmap_mode="r") for name in (engine, EXACT))
    found, expected = got >= 0.5, exact >= 0.5
    row = {
        "largest_difference": float(np.abs(got - exact).max()),
        "mean_difference": float(np.abs(got - exact).mean()),
        "dice": float(2 * (found & expected).sum() / max(1, found.sum() + expected.sum())),
    }
    maps = [Path(f"{field}.{_file(name)}.attention.npy") for name in (engine, EXACT)]
    if all(path.is_file() for path in maps):
        one, other = map(np.load, maps)
        row["largest_attention_difference"] = float(np.abs(one - other).max())
    return row


def _file(engine: str) -> str:
    return engine.replace(" ", "-").replace(",", "")


def make_field(path: Path, arguments: argparse.Namespace, slices: int) -> list[int]:
    """Write the network's input for a phantom of 409.6 x 409.6 x `slices` mm; return its shape."""
    import SimpleITK as sitk
    from AttentionUNetSegLib.imaging import HUWindow, body_box, to_model_grid
    from AttentionUNetSegLib.phantom import make_phantom

    package = _package(arguments)
    side = 409.6 / arguments.pixels
    phantom = make_phantom(1, (side, side, 1.0), "portal_venous", (409.6, 409.6, float(slices)))
    assert phantom.ct.GetSize() == (arguments.pixels, arguments.pixels, slices)
    coarse = to_model_grid(phantom.ct, package.spacing_mm)
    field = HUWindow(*package.window_hu).apply(sitk.GetArrayViewFromImage(coarse)[body_box(coarse)])
    np.save(path, field)
    return list(field.shape)


def measure(arguments: argparse.Namespace) -> dict:
    """Time and memory of one engine, in this process."""
    import torch
    from AttentionUNetSegLib.inference.weights import load_network

    field = np.load(arguments.field)
    engine, network = ENGINES[arguments.engine], load_network(_package(arguments))
    operations = _operations(network, field.shape)
    makers = {
        "ours": _ours, "plain": _plain, "MONAI": _monai,
        "torch.compile": _compiled, "onnxruntime": _onnx_runtime, "openvino": _openvino,
    }  # fmt: skip
    run = makers[engine.kind](arguments, network)
    run(field if engine.kind in COMPILING else field[:32, :32, :32])
    # Resets the kernel's high-water mark: what loading and warming up needed does not count. (ru_maxrss would even
    # count the parent's memory.)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _status_mb("VmRSS")
    if arguments.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds, of_processors = [], []
    for _ in range(arguments.repetitions):
        started, used = time.perf_counter(), time.process_time()
        probability, attention = run(field)
        seconds.append(time.perf_counter() - started)
        of_processors.append(time.process_time() - used)
    memory = _status_mb("VmHWM") - before
    if arguments.device == "cuda":
        memory = torch.cuda.max_memory_allocated() / 1e6
    name = f"{arguments.field}.{_file(arguments.engine)}"
    np.save(f"{name}.npy", probability)
    if attention is not None:
        np.save(f"{name}.attention.npy", attention)
    return {
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(of_processors),
        "all_seconds": seconds,
        "memory_mb": memory,
        "share_of_peak": operations / statistics.median(seconds) / arguments.peak,
        "peak_gflops": arguments.peak / 1e9,
    }


def _operations(network, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one forward pass of the network as it was trained."""
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.no_grad():
        copy.deepcopy(network).to("meta")(torch.empty(1, 1, *shape, device="meta"))
    return float(counter.get_total_flops())


def _peak(name: str, own_type: bool) -> float:
    """Operations a second of a large product of matrices in float32 or the device's own type, the best of five."""
    import torch
    from AttentionUNetSegLib.inference import choose_device

    device = choose_device(name)
    dtype = device.dtype if own_type else torch.float32
    left, right = (torch.randn(4096, 4096, device=device.device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        left @ right
        if device.kind == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * 4096**3 / best


def _device(arguments: argparse.Namespace):
    import dataclasses

    import torch
    from AttentionUNetSegLib.inference import choose_device

    engine, device = ENGINES[arguments.engine], choose_device(arguments.device)
    layout = torch.channels_last_3d if engine.channels_last else torch.contiguous_format
    return dataclasses.replace(device, dtype=device.dtype if engine.own_type else torch.float32, memory_format=layout)


def _ours(arguments: argparse.Namespace, network):
    from AttentionUNetSegLib.inference import SilentObserver
    from AttentionUNetSegLib.inference.field import FieldPredictor
    from AttentionUNetSegLib.inference.fusion import FusedNetwork
    from AttentionUNetSegLib.inference.observer import StageProgress

    device = _device(arguments)
    predictor = FieldPredictor(lambda where: FusedNetwork(network, where.transposed_upsampling).on(where), device)
    observer = SilentObserver()

    def run(field):
        prediction = predictor.predict(field, observer, StageProgress(observer, "Network", 0.0, 1.0))
        return prediction.probability(0).numpy(), prediction.attention[0][1].numpy() if prediction.attention else None

    return run


def _plain(arguments: argparse.Namespace, network):
    """The network as it was trained, over the whole field at once."""
    import torch

    device = _device(arguments)
    network = network.to(device.device, device.dtype, memory_format=device.memory_format)

    @torch.inference_mode()
    def run(field):
        tensor = torch.from_numpy(field)[None, None].to(device.device, device.dtype)
        logits, attention = network(tensor.contiguous(memory_format=device.memory_format), return_attention=True)
        finest = attention[0][0, 0].float().cpu().numpy() if attention else None
        return torch.sigmoid(logits.float())[0, 0].cpu().numpy(), finest

    return run


def _compiled(arguments: argparse.Namespace, network):
    """The network as it was trained through torch's own compiler, which leaves convolutions to oneDNN or cuDNN."""
    import torch

    return _plain(arguments, torch.compile(network, dynamic=False))


def _exported(network, shape: tuple[int, ...]) -> bytes:
    """The network as it was trained as ONNX: image in, logits and the finest gate's coefficients out."""
    import io

    import torch

    class Answers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image):
            logits, attention = self.network(image, return_attention=True)
            return (logits, attention[0]) if attention else logits

    file = io.BytesIO()
    torch.onnx.export(Answers(), (torch.zeros(1, 1, *shape),), file, dynamo=False, opset_version=17)
    return file.getvalue()


def _onnx_runtime(arguments: argparse.Namespace, network):
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = _exported(network, np.load(arguments.field, mmap_mode="r").shape)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda field: _answers(session.run(None, {name: field[None, None]}))


def _openvino(arguments: argparse.Namespace, network):
    import io

    import openvino
    import torch

    core = openvino.Core()
    model = core.read_model(io.BytesIO(_exported(network, np.load(arguments.field, mmap_mode="r").shape)))
    precision = "bf16" if ENGINES[arguments.engine].own_type else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(model, "CPU", settings)
    return lambda field: _answers(list(compiled(field[None, None]).values()))


def _answers(outputs):
    logits = np.asarray(outputs[0], np.float32)[0, 0]
    finest = np.asarray(outputs[1], np.float32)[0, 0] if len(outputs) > 1 else None
    return 1 / (1 + np.exp(-logits)), finest


def _monai(arguments: argparse.Namespace, network):
    import torch
    from monai.inferers import sliding_window_inference

    device, overlap = _device(arguments), ENGINES[arguments.engine].overlap
    network = network.to(device.device, device.dtype, memory_format=device.memory_format)

    def look(window):
        return network(window.to(device.dtype).contiguous(memory_format=device.memory_format)).float()

    @torch.inference_mode()
    def run(field):
        tensor = torch.from_numpy(field)[None, None].to(device.device)
        logits = sliding_window_inference(
            tensor, (96, 96, 96), 1, look, overlap=overlap, mode="gaussian", sigma_scale=0.125
        )
        return torch.sigmoid(logits)[0, 0].cpu().numpy(), None

    return run


def _package(arguments: argparse.Namespace):
    from AttentionUNetSegLib.models import Catalogue, load_package

    return load_package(arguments.model) if arguments.model else Catalogue().default()


def _status_mb(key: str) -> float:
    """A value of /proc/self/status in MB: VmRSS is the resident memory now, VmHWM its peak. Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1]) * 1024 / 1e6
    raise SystemExit("This benchmark reads /proc/self/status: run it on Linux.")


if __name__ == "__main__":
    main()
