"""Score rows -> tables, figures and one page for people; no model is needed to make it again."""
