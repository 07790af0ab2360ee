"""Trials of the pipeline with other parameters, on this machine or a Dask cluster; each ends as a DVC experiment."""
