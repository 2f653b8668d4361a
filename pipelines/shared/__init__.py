"""What training and scoring stages share: project, models, runs, scoring."""
