"""The default recipe in PyTorch and in JAX, and their own MNIST examples, timed in turn with stages/train.py."""
