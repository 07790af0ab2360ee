"""The pipeline: one script for each stage, run as `python -m stages.NAME`."""
