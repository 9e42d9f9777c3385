"""hold.py PID: stops a process's first thread, and no other, until the process ends: it lives, answers the kernel and
(by its threads) the network, and makes no progress. Prints "held" once it is so; exits with 77 if that is not allowed."""

import ctypes
import os
import sys

SEIZE, INTERRUPT, ALL_CHILDREN = 0x4206, 0x4207, 0x40000000
process = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
if libc.ptrace(SEIZE, process, None, None) or libc.ptrace(INTERRUPT, process, None, None):
    print(os.strerror(ctypes.get_errno()))
    sys.exit(77)
os.waitpid(process, ALL_CHILDREN)
print("held", flush=True)
while not os.WIFSIGNALED(os.waitpid(process, ALL_CHILDREN)[1]):
    pass
