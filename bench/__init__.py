"""The notebook and its time beside the pipeline's; how often the verdict is right, and how well predict reads."""
