"""Tables, figures and a page from score rows; no model is needed to rebuild them."""
