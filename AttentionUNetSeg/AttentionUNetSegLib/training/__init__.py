"""Procedural phantoms, and the model that is trained on them for the tests and the demo."""
