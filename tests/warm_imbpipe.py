"""`imbpipe` without its three seconds of imports: a server that has them behind it and forks for every call.

What a call sees is its own: arguments, folder, environment, and the caller's stdin, stdout and stderr.
"""

import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

LIBRARIES = "torch torchvision pandas scipy.stats sklearn.metrics matplotlib.pyplot altair h5py imblearn"

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(call)
    sys.exit(server.recv(1)[0])
"""


def write_client(path: Path, address: Path) -> None:
    """A program `path` that has its calls answered by the server at `address`."""
    path.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    path.chmod(0o755)


def serve(address: str) -> None:
    """Say that it is ready, and answer calls, several at a time, until killed."""
    for name in LIBRARIES.split():
        __import__(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            caller, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(caller)
            caller.close()


def _answer(caller: socket.socket) -> None:
    """Run the call in a child, so that its exit status is known however it ends; never returns."""
    import json

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(caller, 4, 3)
    arguments, folder, environment = json.loads(_received(caller, int.from_bytes(size, "big")))
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
        sys.argv = ["imbpipe", *arguments]
        _run()
    _, status = os.waitpid(child, 0)
    caller.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
    os._exit(0)


def _run() -> None:
    """The call itself, without the seconds that an interpreter takes to tear all libraries down."""
    from imbpipe.cli import main

    status: object = 1
    try:
        main(prog_name="imbpipe")
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def _received(caller: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += caller.recv(size - len(data))
    return data


if __name__ == "__main__":
    serve(sys.argv[1])
