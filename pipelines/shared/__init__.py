"""Code of several training and scoring stages: project, models, run specs, runs, scoring."""
