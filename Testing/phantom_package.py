"""The phantom-only model that tests, benchmarks and screenshots run: the one place that says where its package lies."""

from pathlib import Path

PHANTOM_MODEL = Path(__file__).resolve().parent / "model_packages" / "pancreas-phantom"
PHANTOM_MODEL_ID = "pancreas-phantom"
