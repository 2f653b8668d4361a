"""``python -m avsynth``."""

from avsynth.cli import main

main()
