"""`python -m chassis.runtime`: serves the model of the image until SIGTERM, SIGINT or OMI's Shutdown."""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> int:
    """Serves until the process ends; returns 1 if there is nothing to serve."""
    # What is imported stays: to look at it for garbage again and again would make a start longer. The server, and each
    # process of the model, collect when they have what they need.
    gc.disable()
    # Until there is something to drain, being told to stop means to go at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    if os.getpid() == 1:
        from chassis.runtime.process_one import become_init

        become_init()

    from chassis.errors import ChassisError
    from chassis.runtime import cpus, home, process_name, server_place, settings

    try:
        told = settings.read_settings(os.environ)
        cpus.limit_threads(os.environ, told.threads)
        home.settle_user(os.environ)
        process_name.name_process("chassis-server")
        fork_server = None
        if told.workers:
            from chassis.runtime.workers.fork_server import start_fork_server

            fork_server = start_fork_server(told)
            server_place.enter(told.server_path)
            from chassis.runtime import late_imports

            late_imports.allow()
        else:
            server_place.share(told.server_path)
        from chassis.runtime import lifecycle

        lifecycle.serve(told, fork_server)
    except ChassisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
