"""Train recipes with several seeds, beside the pipeline and its outputs."""
