"""What the stages are made of; nothing here imports a stage or the review.

data: from a mirror to batches of images. model: the network, and the TensorFlow it runs on. files: how outputs are
written. running: parameters, the edge to the shell, other processes, and what DVC takes on trust.
"""
