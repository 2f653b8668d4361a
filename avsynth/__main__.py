"""``python -m avsynth``."""

from avsynth.cli.main import main

main()
