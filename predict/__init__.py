"""Reads pictures; it needs NumPy, SciPy, Pillow and ONNX Runtime, and nothing else of the project."""
