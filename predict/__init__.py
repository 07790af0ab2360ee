"""What uses the model without TensorFlow; it needs NumPy, Pillow and ONNX Runtime, and nothing else of the project."""
