"""Tables, texts and presets that are part of the package."""
