"""The six systems: SAM oracle, AP-SAM, AV-SAM, SAMA-AVS, SAVE, ST-BAVA."""

if __name__ != "avsynth.models":
    raise ImportError(f"import this package as avsynth.models, not as {__name__}")
