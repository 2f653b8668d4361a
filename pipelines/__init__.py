"""One file per stage: the function, the command, the DVC stage and the params section share a name."""

if __name__ != "avsynth.pipelines":
    raise ImportError(f"import this package as avsynth.pipelines, not as {__name__}")
