"""Which system calls a sandboxed process may make: a list of what Python needs; everything else fails (seccomp).

There is no `socket`, `connect`, `execve`, `fork`, `kill`, `ptrace`, `mount`, `chmod`, `bpf` or `io_uring` on the list, so none
of these exists for the process, whoever runs it; `clone` makes threads only. A call that is not listed fails with EPERM, or with
ENOSYS where the C library then takes an older one. Loaded inside the sandbox: standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, AUDIT_ARCH

# name:number on x86-64:number on arm64 (linux/arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)
ALLOWED = """
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 open:2:- openat:257:56 close:3:57
close_range:436:436 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291 statfs:137:43 fstatfs:138:44
access:21:- faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 lseek:8:62 getdents64:217:61
getcwd:79:17 chdir:80:49 fchdir:81:50 mkdir:83:- mkdirat:258:34 rmdir:84:- unlink:87:- unlinkat:263:35 rename:82:-
renameat:264:38 renameat2:316:276 ftruncate:77:46 fsync:74:82 fdatasync:75:83 flock:73:32 fcntl:72:25 ioctl:16:29
dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 fadvise64:221:223 sendfile:40:71 select:23:- pselect6:270:72
poll:7:- ppoll:271:73 epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 eventfd2:290:19
socketpair:53:199 sendto:44:206 recvfrom:45:207 shutdown:48:210 getsockopt:55:209 setsockopt:54:208
getsockname:51:204 getpeername:52:205 mmap:9:222 mprotect:10:226 munmap:11:215 mremap:25:216 madvise:28:233
brk:12:214 membarrier:324:283 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigpending:127:136
rt_sigsuspend:130:133 rt_sigtimedwait:128:137 sigaltstack:131:132 restart_syscall:219:128
pause:34:- alarm:37:- setitimer:38:103 getitimer:36:102 nanosleep:35:101 clock_nanosleep:230:115
clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:- times:100:153 getpid:39:172
getppid:110:173 gettid:186:178 getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148
getresgid:120:150 getgroups:115:158 getpgrp:111:- getpgid:121:155 getsid:124:156 getpriority:140:141
getrusage:98:165 getrlimit:97:163 prlimit64:302:261 sched_yield:24:124 sched_getaffinity:204:123
sched_getparam:143:121 sched_getscheduler:145:120 getcpu:309:168 futex:202:98 futex_waitv:449:449
set_robust_list:273:99 get_robust_list:274:100 set_tid_address:218:96 rseq:334:293 arch_prctl:158:- prctl:157:167
clone:56:220 exit:60:93 exit_group:231:94 uname:63:160 sysinfo:99:179 getrandom:318:278
"""

# (which 32 bits of the arguments: 2 x argument, + 1 for its upper half; mask; value)
Check = tuple[int, int, int]
_ALL = 0xFFFFFFFF
_O_TRUNC, _O_TMPFILE, _O_ACCMODE = 0o1000, 0o20000000, 0o3
_CLONE_THREAD, _AF_UNIX = 0x10000, 1

_FIRST_NEW = 424  # from here on a system call has the same number everywhere, and C libraries expect that it may be missing
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_SIZE = 8  # bytes of an instruction
Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant (struct sock_filter)


def install(libc: ctypes.CDLL) -> None:
    """Bind this process to the filter, for good. Raises OSError; RuntimeError on other processors."""
    code = program()
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // _SIZE, ctypes.addressof(buffer))  # struct sock_fprog
    filter_mode = 2
    if libc.prctl(22, filter_mode, ctypes.c_char_p(header), 0, 0):  # PR_SET_SECCOMP
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


@functools.cache
def program() -> bytes:
    """The filter for this machine, as the kernel reads it. Raises RuntimeError on other processors."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise RuntimeError(f"no list of system calls for the processor type {machine}")
    return b"".join(struct.pack("=HBBI", *each) for each in _program(*ARCHITECTURES[machine]))


def _program(column: int, audit: int) -> list[Instruction]:
    """Compare the call's number with each allowed one in turn (struct seccomp_data: number, architecture, ..., arguments)."""
    conditions = _conditions()
    program = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_LOAD, 0, 0, 0),
    ]
    for entry in ALLOWED.split():
        name, *numbers = entry.split(":")
        if numbers[column] != "-":
            program += _rule(int(numbers[column]), conditions.get(name, ()))
    return [
        *program,
        (_AT_LEAST, 0, 1, _FIRST_NEW),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
    ]


def _rule(number: int, alternatives: tuple[tuple[Check, ...], ...]) -> list[Instruction]:
    """Allow the call when all checks of one alternative hold; without alternatives, always."""
    body: list[Instruction] = []
    for checks in alternatives:
        for left, (word, mask, value) in zip(range(len(checks) - 1, -1, -1), checks, strict=True):
            next_alternative = 3 * left + 1
            body += [(_LOAD, 0, 0, 16 + 4 * word), (_AND, 0, 0, mask), (_EQUAL, 0, next_alternative, value)]
        body.append((_RETURN, 0, 0, _ALLOW))
    body.append((_RETURN, 0, 0, _FAIL | errno.EPERM if alternatives else _ALLOW))
    return [(_EQUAL, 0, len(body), number), *body]


def _conditions() -> dict[str, tuple[tuple[Check, ...], ...]]:
    """Calls that may be made with some arguments only."""

    def one_of(argument: int, *values: int) -> tuple[tuple[Check, ...], ...]:
        return tuple(((2 * argument, _ALL, value),) for value in values)

    def opening(argument: int) -> tuple[tuple[Check, ...], ...]:
        # No file without a name (it would not count as disk space), and no truncating by who may only read: kernels
        # before 6.2 would allow that to a process that Landlock lets read.
        word, named = 2 * argument, (2 * argument, _O_TMPFILE, 0)
        written = [((word, _O_ACCMODE, mode), named) for mode in (1, 2)]
        return ((((word, _O_TRUNC, 0), named)), *written)

    return {
        "open": opening(1),
        "openat": opening(2),
        "mkdir": (((2, 0o700, 0o700),),),  # a folder that its owner cannot enter could not be removed
        "mkdirat": (((4, 0o700, 0o700),),),
        "clone": (((0, _CLONE_THREAD, _CLONE_THREAD),),),
        "prlimit64": one_of(0, 0),
        "prctl": one_of(0, 15, 16, 0x53564D41),  # names of threads and of memory, for debuggers
        "ioctl": one_of(
            1, 0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451
        ),  # is it a terminal, sizes, blocking, inheritance
        # descriptor flags and locks; not the owner of a signal (F_SETOWN), which may be any process
        "fcntl": one_of(1, 0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032),
        "socketpair": one_of(0, _AF_UNIX),
        "sendto": (((8, _ALL, 0), (9, _ALL, 0)),),  # to the other end of the pair, no address
    }
