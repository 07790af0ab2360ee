"""From a mirror or a package to batches of images and labels."""
