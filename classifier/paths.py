"""Paths of the files that the pipeline reads and writes, from the folder of the project; dvc.yaml has the same."""

from pathlib import Path

PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
LOCK = Path("dvc.lock")

RAW = Path("data/raw/mnist.npz")  # of any data set: an output in dvc.yaml cannot be named by a parameter
SOURCE = Path("data/raw/dataset.json")
PROCESSED = Path("data/processed")

MODEL = Path("models/model.keras")
BY_KERAS = Path("models/by_keras.npy")  # what MODEL predicts by Keras for the images of `splits.map_compared`
PROVENANCE = Path("models/provenance.json")
HISTORY = Path("evaluation/history.csv")

ONNX = Path("models/model.onnx")
PAGE = Path("page/index.html")
AGREEMENT = Path("evaluation/export.json")  # of ONNX and MODEL

METRICS = Path("metrics.json")
PREDICTIONS = Path("evaluation/predictions.csv")
PER_CLASS = Path("evaluation/per_class.csv")
CONFUSION_MATRIX = Path("evaluation/confusion_matrix.png")
MISCLASSIFIED = Path("evaluation/misclassified.png")

NOISE = Path("evaluation/noise")  # a file for each recipe that `review.noise` measured
