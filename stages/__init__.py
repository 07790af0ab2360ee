"""The pipeline: one script a stage, run as `python -m stages.NAME`, and the modules that stages share."""
