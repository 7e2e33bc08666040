"""``python -m workflow`` is the command ``latentphase``."""

from workflow.cli import main

if __name__ == "__main__":
    main()
