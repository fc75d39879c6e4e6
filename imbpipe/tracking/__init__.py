"""Finished runs for other programs' tracking: what the result store holds, sent on. A file a program."""
