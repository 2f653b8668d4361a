"""Sources of categories, masks and audio clips."""
