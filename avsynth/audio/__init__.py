"""Audio sources, sound decoding and the front end of the networks."""
