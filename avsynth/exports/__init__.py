"""Export of datasets to the layouts of other software."""
