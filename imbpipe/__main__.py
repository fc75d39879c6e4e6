"""`python -m imbpipe …` runs as `imbpipe …`."""

from imbpipe.cli import main

main(prog_name="imbpipe")
