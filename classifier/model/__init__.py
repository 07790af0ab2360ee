"""The network, how it learns, and the TensorFlow it runs on."""
