"""Write datasets in the layouts of others."""
