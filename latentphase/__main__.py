"""``python -m latentphase`` is the command ``latentphase``."""

from workflow.cli.main import main

if __name__ == "__main__":
    main()
