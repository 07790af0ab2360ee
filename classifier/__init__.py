"""The code that stages use; it imports neither stages nor review.

data: from a mirror to batches of images. model: the network and the settings of TensorFlow. files: paths of outputs and
how they are written. running: parameters, errors, locks, and checks of the files that DVC does not check.
"""
