"""BuildGrid's command line, `bgd`, on the wheels of engine.txt."""

from buildgrid.server.app import cli

if __name__ == "__main__":
    cli()
