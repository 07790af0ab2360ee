"""The code that stages use; it imports neither stages nor review.

data: from a mirror to batches of images. model: the network and the settings of TensorFlow. page: the page to draw on.
Beside these folders: paths, parameters, how a stage starts and ends, and how outputs and pictures are written.
"""
