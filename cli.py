"""`python cli.py …` runs this checkout as `imbpipe …` runs an installation."""

from imbpipe.cli import main

if __name__ == "__main__":
    main()
