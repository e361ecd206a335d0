"""Ctrl-C ends a command at once, even inside a compilation, and leaves no half-written file.

Python runs a signal handler between two of its own instructions: a compilation of many seconds is one. The byte that
`signal.set_wakeup_fd` writes comes at once, and a thread that waits for it ends the process.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path

INTERRUPTED = 130  # exit status of a command ended by Ctrl-C, as shells have it
unfinished: set[Path] = set()
"""Files that are being written; they are removed when the process ends at once."""
written: list[Path] = []
"""Files that the command was asked for and has written."""


def end_on_interrupt() -> None:
    """From now on Ctrl-C ends this process with a sentence and exit status 130."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # ignored, as under nohup, or another program's
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(here, there), daemon=True).start()


def interrupted_sentence() -> str:
    """What an interrupted command leaves behind."""
    return f"scalefit: interrupted; {', '.join(map(str, written)) or 'nothing'} was written."


def _wait(here: socket.socket, there: socket.socket) -> None:
    while signal.SIGINT not in here.recv(16):
        pass  # another signal
    for path in tuple(unfinished):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    with contextlib.suppress(Exception):
        # A progress bar hides the cursor of its terminal.
        start = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
        print(f"{start}{interrupted_sentence()}", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
