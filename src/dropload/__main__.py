"""Make `python -m dropload` the same as `dropload`."""

from dropload.cli import main

if __name__ == "__main__":
    main()
